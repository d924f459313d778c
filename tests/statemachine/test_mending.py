"""A fix changes on a server what keeps it from a backup, keeps what it was, and gives it back."""

import json
from typing import Any

import pytest

from sandbox.windows.examination import DISABLED, MANUAL
from tests.statemachine.mending import (
    TAG,
    THEIRS,
    add_bare,
    allow,
    fix,
    give_profiles,
    mended,
    state_of,
    undo,
)
from tests.support.environment import BUCKET, SERVER_PROFILE
from tests.support.factories.policy import a_policy
from tests.support.wire import FunctionDied, refused


@pytest.fixture(autouse=True)
def profiles(monkeypatch):
    give_profiles(monkeypatch, for_agents=True)


@pytest.fixture
def bare(cloud):
    return add_bare(cloud)


@pytest.fixture
def allowed(cloud, bare):
    """The same, on which its owner allows changes."""
    allow(cloud, bare)
    return bare


def outcomes(cloud: Any, server: Any, name: str = "fix-1") -> dict[str, str]:
    kept = json.loads(cloud.items()[f"doctor-fix#{name}", server.instance_id]["fix"])
    of_people = cloud.s3.get_object(Bucket=BUCKET, Key=f"fixes/{name}/{server.instance_id}.json")
    assert json.loads(of_people["Body"].read()) == kept
    changes = {tuple(each["change"][name] for name in ("setting", "name")): each["outcome"] for each in kept["made"]}
    return {f"{setting} of {name}" if name else setting: outcome for (setting, name), outcome in changes.items()}


ALL = [
    "instance profile",
    "agent",
    "AwsVssComponents",
    "MaxSpace of C:",
    "StartMode of VSS",
    "StartMode of swprv",
    "StartMode of EventSystem",
    "State of EventSystem",
]


def test_a_fix_makes_a_bare_server_ready_and_says_each_change(machine, cloud, allowed):
    before = state_of(cloud, allowed)
    run = fix(machine, allowed)
    assert state_of(cloud, allowed) == mended(before)
    assert run.output["diagnosis"]["best"] == "vss"
    assert run.output["diagnosis"]["changes"] == []
    assert run.output["fix"] == "fix-1"
    told = [line.removeprefix(f"{allowed.instance_id}: ").partition(": from")[0] for line in run.output["changes"]]
    assert told == ALL
    assert all(line.endswith(": done") for line in run.output["changes"])
    assert cloud.lease(allowed.instance_id) is None
    policy = a_policy(allowed.instance_id, vss={})
    record = machine.start({"policy": policy, "instance_id": allowed.instance_id}).output
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")


def test_undo_gives_back_all_that_the_fix_has_changed(machine, cloud, clock, allowed):
    before = state_of(cloud, allowed)
    fix(machine, allowed)
    run = undo(machine)
    assert state_of(cloud, allowed) == before
    assert set(outcomes(cloud, allowed).values()) == {"given back"}
    assert (run.output["fix"], run.output["servers"]) == ("fix-1", 1)
    assert cloud.lease(allowed.instance_id) is None
    clock.now_s += 600  # Systems Manager has noticed that the agent has no rights any more
    assert fix(machine, allowed, "fix-2").output["diagnosis"]["best"] == "vss"


def test_components_that_were_old_come_back_in_their_version(machine, cloud, allowed):
    allowed.windows.guest.condition.aws_components = "2.2.1.0"
    fix(machine, allowed)
    assert allowed.windows.guest.condition.aws_components == "2.5.1.0"
    undo(machine)
    assert allowed.windows.guest.condition.aws_components == "2.2.1.0"


def test_without_fix_it_is_only_said_what_would_be_changed(machine, cloud, allowed):
    before = state_of(cloud, allowed)
    run = machine.examine({"instance_id": allowed.instance_id})
    assert state_of(cloud, allowed) == before
    assert machine.examine({"instance_id": allowed.instance_id, "fix": False}).status == "SUCCEEDED"
    assert state_of(cloud, allowed) == before
    found = run.output["diagnosis"]
    assert [(each["setting"], each["to"]) for each in found["changes"]] == [("instance profile", SERVER_PROFILE)]
    assert (found["may_be_changed"], run.output["fix"], run.output["changes"]) == (True, "", [])
    latest = json.loads(cloud.s3.get_object(Bucket=BUCKET, Key="doctor/latest.json")["Body"].read())
    [summary] = latest["servers"]
    assert summary["changes"] == [f"instance profile: from none to {SERVER_PROFILE}"]
    assert summary["may_be_changed"]


@pytest.mark.parametrize("value", [None, "no", "Yes"])
def test_a_server_without_the_tag_is_not_changed_and_the_answer_says_how_to_allow_it(machine, cloud, bare, value):
    if value:
        cloud.ec2.create_tags(Resources=[bare.instance_id], Tags=[TAG | {"Value": value}])
    before = state_of(cloud, bare)
    run = fix(machine, bare)
    assert state_of(cloud, bare) == before
    [line] = run.output["changes"]
    assert f"create-tags --resources {bare.instance_id} --tags Key=quiesce:may-be-changed,Value=yes" in line
    assert not run.output["diagnosis"]["may_be_changed"]
    assert machine.wire.count("ec2:AssociateIamInstanceProfile") == 0


def test_a_server_whose_tag_was_taken_off_keeps_what_the_fix_has_changed(machine, cloud, allowed):
    fix(machine, allowed)
    before = state_of(cloud, allowed)
    cloud.ec2.delete_tags(Resources=[allowed.instance_id], Tags=[{"Key": TAG["Key"]}])
    run = undo(machine)
    assert state_of(cloud, allowed) == before
    assert "quiesce:may-be-changed" in run.output["changes"][-1]


def test_of_several_servers_only_those_are_changed_whose_owners_allow_it(machine, cloud, server, allowed):
    cloud.servers.servers[server.instance_id].windows.guest.condition.services["VSS"] = DISABLED
    stage = {"Key": "Stage", "Value": "test"}
    cloud.ec2.create_tags(Resources=[server.instance_id, allowed.instance_id], Tags=[stage])
    run = machine.examine({"tags": {"Stage": "test"}, "fix": True}, "fix-1")
    assert (run.status, run.output["ready"]["vss"]) == ("SUCCEEDED", 1)
    assert server.windows.guest.condition.services["VSS"] == DISABLED
    assert allowed.windows.guest.condition.services["VSS"] == MANUAL
    assert sum(line.startswith(server.instance_id) for line in run.output["changes"]) == 1


def test_nothing_is_changed_while_a_backup_holds_the_server_and_then_the_backup_waits(machine, cloud, clock, allowed):
    before = state_of(cloud, allowed)
    cloud.hold(allowed.instance_id, "run-7", clock.now_s + 86400)
    run = fix(machine, allowed)
    assert state_of(cloud, allowed) == before
    assert "is being backed up by run run-7" in run.output["changes"][-1]
    assert cloud.lease(allowed.instance_id)["run_id"] == "run-7"
    cloud.free(allowed.instance_id)
    cloud.hold(allowed.instance_id, "fix-fix-9", clock.now_s + 86400)
    policy = a_policy(allowed.instance_id)
    backup = machine.start({"policy": policy, "instance_id": allowed.instance_id})
    assert (backup.error, "is being changed by the doctor's fix-fix-9" in backup.cause) == ("ServerBusy", True)


def test_a_fix_waits_for_a_backup_that_ends_in_time(machine, cloud, clock, allowed):
    cloud.hold(allowed.instance_id, "run-7", clock.now_s + 600)
    assert fix(machine, allowed).output["diagnosis"]["best"] == "vss"


def test_what_somebody_has_changed_since_the_fix_stays(machine, cloud, allowed):
    fix(machine, allowed)
    services = allowed.windows.guest.condition.services
    services["VSS"] = ("Stopped", "Auto")
    undo(machine)
    assert services["VSS"] == ("Stopped", "Auto")
    assert services["swprv"] == DISABLED
    assert outcomes(cloud, allowed)["StartMode of VSS"] == "left"


def test_another_profile_that_somebody_has_given_since_stays(machine, cloud, allowed):
    fix(machine, allowed)
    [found] = cloud.ec2.describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    cloud.ec2.disassociate_iam_instance_profile(AssociationId=found["AssociationId"])
    cloud.ec2.associate_iam_instance_profile(IamInstanceProfile={"Arn": THEIRS}, InstanceId=allowed.instance_id)
    undo(machine)
    assert state_of(cloud, allowed)["profiles"] == [THEIRS]
    assert outcomes(cloud, allowed)["instance profile"] == "left"


def test_what_windows_refuses_is_said_and_the_rest_is_changed(machine, cloud, allowed):
    allowed.windows.guest.services_refused = True
    run = fix(machine, allowed)
    found = outcomes(cloud, allowed)
    assert {name for name, outcome in found.items() if outcome == "failed"} >= {
        "StartMode of VSS",
        "StartMode of swprv",
    }
    assert {name for name, outcome in found.items() if outcome == "done"} >= {"AwsVssComponents", "MaxSpace of C:"}
    assert any(
        "StartMode of VSS: from Disabled to Manual: failed, GuestRefused: NotChanged" in line
        for line in run.output["changes"]
    )
    assert cloud.lease(allowed.instance_id) is None


def test_a_server_whose_agent_never_comes_is_left_after_an_hour(machine, cloud, clock, monkeypatch, allowed):
    give_profiles(monkeypatch, for_agents=False)
    began = clock.now_s
    run = fix(machine, allowed)
    assert 3600 <= clock.now_s - began < 3 * 3600
    assert run.output["diagnosis"]["best"] == "crash"
    assert outcomes(cloud, allowed) == {"instance profile": "done"}


def test_an_error_of_a_fix_is_told_and_lets_the_server_go(machine, cloud, allowed):
    # Of the list, of the diagnosis, and then of what the fix is going to change.
    machine.wire.on("s3:PutObject", refused("AccessDenied", 403), nth=3)
    before = state_of(cloud, allowed)
    run = fix(machine, allowed)
    assert not machine.wire.unused()
    assert state_of(cloud, allowed) == before
    assert "AccessDenied: s3:PutObject" in run.output["changes"][-1]
    assert cloud.lease(allowed.instance_id) is None


@pytest.mark.parametrize("command", [1, 5])
def test_what_a_function_had_changed_when_it_died_for_good_comes_back(machine, cloud, allowed, command):
    """It is kept before anything is changed: no later step of the execution could tell."""

    def dies_for_good(_request, effect):
        effect()
        machine.wire.down["s3"] = refused("AccessDenied", 403)
        raise FunctionDied

    before = state_of(cloud, allowed)
    machine.wire.on("ssm:SendCommand", dies_for_good, nth=command)
    assert machine.examine({"instance_id": allowed.instance_id, "fix": True}, "fix-1").status == "FAILED"
    machine.wire.forget()
    machine.clock.now_s += 600
    cloud.servers.advance()
    assert state_of(cloud, allowed) != before
    undo(machine)
    assert state_of(cloud, allowed) == before


def test_an_undo_of_what_nobody_has_fixed_is_refused(machine):
    run = machine.examine({"undo": "fix-7"})
    assert (run.status, run.error) == ("FAILED", "DoctorRefused")
    assert "there is no fix fix-7" in run.cause


@pytest.mark.parametrize(
    "data",
    [
        {"fix": True},
        {"policy": "x", "undo": "y"},
        {"undo": "a b"},
        {"instance_id": "i-0123456789abcdef0", "fix": "yes"},
    ],
)
def test_a_fix_names_its_servers_and_an_undo_its_fix(machine, data):
    run = machine.examine(data)
    assert (run.status, run.error) == ("FAILED", "DoctorRefused")


def test_an_undo_that_is_null_gives_nothing_back(machine, cloud, allowed):
    run = machine.examine({"instance_id": allowed.instance_id, "undo": None, "fix": None})
    assert (run.status, run.error) == ("FAILED", "DoctorRefused")
    assert machine.examine({"instance_id": allowed.instance_id, "undo": None}).output["fix"] == ""
