"""Servers that AWS cannot command: Plan finds out and states the reason, before anything is frozen."""

from dataclasses import replace

import pytest

from sandbox.windows.guest import LANGUAGE_MODE
from tests.statemachine.truth import assert_failed, record_of
from tests.support.environment import BUCKET
from tests.support.factories.policy import a_policy


def stopped(cloud, shop):
    cloud.servers.stop(shop)


def not_windows(cloud, shop):
    cloud.servers.backend().get_instance(shop.instance_id).platform = None
    cloud.servers.backend().get_instance(shop.instance_id).platform_details = "Linux/UNIX"


def without_ssm(cloud, shop):
    del cloud.servers.managed[shop.instance_id]


def offline(cloud, shop):
    """Lost for longer than SSM takes to notice."""
    shop.windows.agent.connected = False
    shop.windows.agent.last_ping_s -= 3600


def lost_just_now(cloud, shop):
    """Still online to SSM: only a command shows that the agent is lost."""
    shop.windows.agent.connected = False


def with_an_old_agent(cloud, shop):
    shop.windows.agent.version = "2.3.1319.0"


def constrained(cloud, shop):
    shop.windows.guest.language_full = False


def without_a_way_to_the_bucket(cloud, shop):
    shop.windows.scripts.get = lambda _link: None


def with_a_folder_of_somebody_else(cloud, shop):
    shop.windows.guest.folder_trusted = False


def a_clone(cloud, shop):
    """SSM takes it for this server; its metadata has another id."""
    shop.windows.guest.instance_id = "i-0c10e0000000000ff"


OBSTACLES = {
    stopped: "the server was stopped",
    not_windows: "the server is not Windows",
    without_ssm: "Systems Manager does not know the server",
    offline: "has lost its connection",
    lost_just_now: "no answer to inventory on",
    with_an_old_agent: "SSM agent 2.3.1319.0 is older than 3.0.502",
    constrained: LANGUAGE_MODE,
    without_a_way_to_the_bucket: "PackageNotFetched",
    with_a_folder_of_somebody_else: "FolderNotTrusted",
    a_clone: "ForeignServer: this is i-0c10e0000000000ff",
}


@pytest.fixture(params=OBSTACLES, ids=lambda obstacle: obstacle.__name__)
def reason(request, cloud, shop):
    """An obstacle on the server, and the reason that the record must give."""
    request.param(cloud, shop)
    return OBSTACLES[request.param]


def test_a_server_that_can_not_be_asked_gets_a_crash_consistent_backup_that_says_why(
    reason, machine, cloud, shop, frozen_request
):
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"]) == ("SUCCEEDED", "PartiallySuccessful"), record["reason"]
    assert record["consistency"]["level"] == "crash"
    assert reason in record["reason"]
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"crash"}
    assert [s for s in run.states if s in ("Freeze", "Frozen?")] == []
    assert shop.application.asked == []
    assert cloud.lease(shop.instance_id) is None
    assert len(cloud.mails()) == 1


def test_a_policy_that_wants_application_consistency_refuses_such_a_server_before_anything_is_created(
    reason, machine, cloud, shop
):
    settings = {"scripts": {"from": "bucket"}, "consistency": "application"}
    run = machine.start({"policy": a_policy(shop.instance_id, name="orders", defaults=settings)})
    assert_failed(cloud, run, shop.instance_id, "ServerRefused", reason)
    assert cloud.snapshot_sets() == 0
    assert shop.application.asked == []
    assert machine.invocations == ["plan", "report"]


def test_a_policy_without_an_agent_asks_nobody_and_is_successful(machine, cloud, shop):
    run = machine.start({"policy": a_policy(shop.instance_id, defaults={"agent": "none"})})
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "crash")
    assert not [call for call in machine.wire.sent if call.startswith("ssm:")]


def test_a_server_that_cannot_say_what_it_is_is_backed_up_all_the_same(machine, cloud, shop, frozen_request):
    shop.windows.guest.cim_answers = False
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    assert "InventoryUnreadable" in record["notes"][0]


@pytest.mark.parametrize(
    ("missing", "asked"),
    [("before", ["after 0", "complete 0"]), ("after", ["before", "complete 0"]), ("complete", ["before", "after 1"])],
)
def test_a_script_that_is_missing_counts_as_one_that_failed(missing, asked, machine, cloud, shop, frozen_request):
    cloud.s3.delete_object(Bucket=BUCKET, Key=f"scripts/admin/{missing}_orders.ps1")
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"]) == ("SUCCEEDED", "PartiallySuccessful")
    assert f"the {missing} script is missing" in record["reason"]
    assert any(f"there is no {missing} script" in note for note in record["notes"])
    assert shop.application.asked == asked


@pytest.mark.parametrize("stage", ["before", "after", "complete"])
def test_a_script_that_could_not_begin_is_found_before_anything_is_frozen(stage, machine, cloud, shop, frozen_request):
    cloud.put_scripts("orders", **{stage: "# sandbox: cannot begin\n"})
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert f"the server refused: ScriptNotRunnable: {stage}: line 1: the parser's words" in record["reason"]
    assert (shop.application.asked, cloud.snapshot_sets()) == ([], 1)


@pytest.mark.parametrize(
    ("failing", "asked"),
    [("before", ["after 0", "complete 0"]), ("after", ["before", "complete 0"]), ("complete", ["before", "after 1"])],
)
@pytest.mark.parametrize("how", ["# sandbox: exit 3\n", "# sandbox: hang\n"], ids=["exit code", "hangs"])
def test_a_script_that_fails_is_called_by_its_name_and_the_rest_goes_on(
    failing, asked, how, machine, cloud, shop, frozen_request
):
    cloud.put_scripts("orders", **{failing: how})
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert (run.status, record["status"]) == ("SUCCEEDED", "PartiallySuccessful")
    assert f"the {failing} script" in record["reason"]
    assert cloud.snapshot_sets() == 1
    if "exit" in how:
        assert shop.application.asked == asked
    session = record["session"]
    assert session["after"]["argument"] == ("1" if session["before"]["succeeded"] else "0")
    assert session["complete"]["argument"] == ("1" if failing == "complete" else "0")


def test_scripts_of_the_servers_own_folder_are_run(machine, cloud, shop):
    names = ("BEFORE_orders.cmd", "after_orders.exe", "Complete_orders.ps1")
    shop.windows.scripts.folder.update(dict.fromkeys(names, "goes well"))
    run = machine.start({"policy": a_policy(shop.instance_id, name="orders", defaults={"scripts": {"from": "server"}})})
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    assert shop.application.asked == ["before", "after 1", "complete 1"]


@pytest.mark.chapter("6.4.1 owner", "6.4 kinds", "6.4 names")
def test_the_folder_and_the_names_that_people_have_work_unchanged(machine, cloud, shop):
    names = (r"finance\BEFORE_orders.vbs", r"finance\AFTER_orders.bat", "COMPLETE_orders.prod.ps1")
    shop.windows.scripts.folder.update(dict.fromkeys(names, "goes well"))
    shop.windows.scripts.folder |= dict.fromkeys((r"hr\before_orders.cmd", "before_orders.cmd"), "# sandbox: exit 7")
    policy = a_policy(shop.instance_id, name="orders", owner="finance", defaults={"scripts": {"from": "server"}})
    record = record_of(cloud, machine.start({"policy": policy}), shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application"), record["reason"]
    assert shop.application.asked == ["before", "after 1", "complete 1"]


def test_a_script_of_vbscript_that_an_error_ends_costs_the_consistency(machine, cloud, shop, monkeypatch):
    shop.windows.scripts.folder.update(
        dict.fromkeys(("before_orders.vbs", "after_orders.cmd", "complete_orders.cmd"), "")
    )
    run_script, told = shop.windows.scripts.run, b"before_orders.vbs(3, 1) an error in any language\r\n"

    def run(path, stage, argument):
        outcome = run_script(path, stage, argument)
        return outcome._replace(printed=(b"", told)) if stage == "before" else outcome

    monkeypatch.setattr(shop.windows.scripts, "run", run)
    policy = a_policy(shop.instance_id, name="orders", defaults={"scripts": {"from": "server"}})
    record = record_of(cloud, machine.start({"policy": policy}), shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert record["reason"] == (
        "the before script ended by an error that it does not handle, and with exit code 0 all the same: see its output"
    )
    assert shop.application.asked[1:] == ["after 0", "complete 0"]


def test_a_drive_that_is_no_ebs_volume_is_named(machine, cloud, shop, frozen_request):
    shop.windows.guest.drives.append(replace(shop.windows.guest.drives[0], path="Z:", serial="AWS12345678ABCDEF01"))
    run = machine.start(frozen_request)
    record = record_of(cloud, run, shop.instance_id)
    assert record["status"] == "Successful"
    assert "Z: lies on a disk that is no EBS volume of this server" in record["notes"][0]
    assert {s["device"]: s["volume"]["drives"] for s in record["snapshots"]} == {
        "/dev/sda1": ["C:"],
        "xvdf": ["D:"],
        "xvdg": ["E:"],
    }
