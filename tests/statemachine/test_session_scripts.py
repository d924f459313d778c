"""A session script is before and after in one process: it holds the application while it runs, and never for longer."""

import pytest

from quiesce.backup.parameters import SESSION_LIMIT_S
from sandbox.aws.snapshots import RULES
from tests.statemachine.builds import BackedShop, recovering
from tests.statemachine.truth import record_of
from tests.support.environment import BUCKET
from tests.support.factories.policy import a_policy
from tests.support.wire import refused

SETTINGS = {"scripts": {"from": "bucket", "before_limit_s": 30, "after_limit_s": 20}}


@pytest.fixture
def shop(cloud, shop):
    """A server whose owner has a session script and complete in the bucket."""
    for stage in ("before", "after"):
        cloud.s3.delete_object(Bucket=BUCKET, Key=f"scripts/admin/{stage}_orders.ps1")
    put(cloud, "session", "# goes well\n")
    return shop


@pytest.fixture
def held(shop):
    """Whether the application was held at the instant of each CreateSnapshots."""
    found = []

    def take(instance_id, _snapshots):
        if instance_id == shop.instance_id:
            found.append(shop.application.held)

    RULES.captured.append(take)
    yield found
    RULES.captured.remove(take)


def put(cloud, stage, text):
    cloud.s3.put_object(Bucket=BUCKET, Key=f"scripts/admin/{stage}_orders.ps1", Body=text.encode())


def request_of(cloud, shop, vss="off", **changes):
    limit_s = 120 if vss == "off" else 240
    settings = SETTINGS | {"freeze_limit_s": limit_s} | changes
    policy = a_policy(shop.instance_id, name="orders", vss=vss, defaults=settings)
    return {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id}


def pass_time(machine, cloud, seconds):
    machine.clock.now_s += seconds
    cloud.servers.advance()


def session_of(shop):
    return shop.windows.guest.sessions()[0]


@pytest.mark.chapter("6.4.2 session")
def test_a_session_script_holds_the_application_while_ec2_creates_the_snapshots(machine, cloud, shop, held):
    run = machine.start(request_of(cloud, shop))
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    words = "the session script held the application until the snapshots were initiated"
    assert record["consistency"]["reason"] == words
    assert held == [True]
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    assert record["session"]["holds"]
    assert "session.out" in record["logs"]["files"]
    assert not [note for note in record["notes"] if "script" in note]


def test_with_vss_the_shadow_copies_are_made_while_the_session_script_holds(machine, cloud, shop, held):
    run = machine.start(request_of(cloud, shop, vss={}))
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    assert "while the session script held the application" in record["consistency"]["reason"]
    assert held == [True]


@pytest.mark.parametrize("wish", ["application-or-crash", "application"])
def test_a_session_script_that_never_holds_is_a_failed_before_and_nothing_stays_held(wish, machine, cloud, shop, held):
    put(cloud, "session", "# sandbox: never frozen\n# sandbox: deaf\n")
    run = machine.start(request_of(cloud, shop, consistency=wish))
    record = record_of(cloud, run, shop.instance_id)
    words = (
        "the session script was ended at its limit: it had not made the file of QUIESCE_FROZEN within before_limit_s"
    )
    assert words in record["reason"]
    assert not shop.application.held
    assert (record["status"], held) == (("Failed", []) if wish == "application" else ("PartiallySuccessful", [False]))
    assert record["consistency"]["level"] == ("none" if wish == "application" else "crash")


def test_a_session_script_that_ends_before_the_thaw_makes_no_application_consistent_recovery_point(
    machine, cloud, shop, held
):
    put(cloud, "session", "# sandbox: ends after 2 s\n")
    machine.before("snapshot", lambda: pass_time(machine, cloud, 2))
    record = record_of(cloud, machine.start(request_of(cloud, shop)), shop.instance_id)
    assert held == [False]
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert record["reason"].startswith("the session script ended before it was told to thaw")
    assert shop.application.asked == ["before", "after 1", "complete 0"]


def test_a_session_script_that_ignores_the_thaw_is_ended_at_its_limit(machine, cloud, shop, held):
    put(cloud, "session", "# sandbox: deaf\n")
    record = record_of(cloud, machine.start(request_of(cloud, shop)), shop.instance_id)
    assert held == [True]
    assert not shop.application.held
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "application")
    assert "it had not ended within after_limit_s of the thaw" in record["reason"]
    [note] = [note for note in record["notes"] if note.startswith("the application may still be held")]
    assert "make sure that the application works" in note
    assert "run the after script" not in note
    assert shop.application.asked[-1] == "complete 0"


def test_a_session_script_that_ends_with_3_has_held_and_failed(machine, cloud, shop, held):
    put(cloud, "session", "# sandbox: exit 3\n")
    record = record_of(cloud, machine.start(request_of(cloud, shop)), shop.instance_id)
    assert (held, shop.application.held) == ([True], False)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "application")
    assert "the session script ended with exit code 3" in record["reason"]


@pytest.mark.parametrize("stage", ["before", "after"])
def test_a_session_script_beside_one_of_the_pair_is_refused_before_anything_is_held(stage, machine, cloud, shop):
    put(cloud, stage, "# goes well\n")
    run = machine.start(request_of(cloud, shop))
    assert (run.status, run.error) == ("FAILED", "PolicyRefused")
    assert (
        f"scripts/admin/session_orders.ps1 is before and after in one, and there is scripts/admin/{stage}" in run.cause
    )
    assert "leave the session script, or before and after" in run.cause
    assert shop.application.asked == []
    assert cloud.snapshot_sets() == 0


def test_complete_is_missed_beside_a_session_script_and_the_pair_is_not(machine, cloud, shop):
    cloud.s3.delete_object(Bucket=BUCKET, Key="scripts/admin/complete_orders.ps1")
    record = record_of(cloud, machine.start(request_of(cloud, shop)), shop.instance_id)
    missed = [note for note in record["notes"] if note.startswith("there is no ")]
    assert [note.split(" script ")[0] for note in missed] == ["there is no complete"]


def test_killed_while_the_session_script_holds_the_runner_is_replaced_and_the_application_thawed(
    machine, cloud, shop, held
):
    def kill():
        session_of(shop).runner = None

    machine.before("snapshot", kill)
    record = record_of(cloud, machine.start(request_of(cloud, shop)), shop.instance_id)
    assert held == [True]
    assert not shop.application.held
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "nobody heard its exit code" in record["reason"]


def test_a_server_that_restarts_while_the_session_script_holds_was_not_held(machine, cloud, shop):
    machine.before("snapshot", lambda: shop.windows.reboot(down_s=40))
    record = record_of(cloud, machine.start(request_of(cloud, shop)), shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "the session script ended before it was told to thaw" in record["reason"]
    assert not shop.application.held


def test_nobody_asks_and_the_server_tells_the_session_script_itself(machine, cloud, shop):
    machine.before("snapshot", lambda: pass_time(machine, cloud, 130))
    record = record_of(cloud, machine.start(request_of(cloud, shop)), shop.instance_id)
    assert record["session"]["auto_thawed"]
    assert record["consistency"]["level"] == "crash"
    assert not shop.application.held
    pass_time(machine, cloud, SESSION_LIMIT_S)
    assert shop.application.asked.count("after 1") == 1


def test_for_another_attempt_the_session_script_thaws_and_holds_again(machine, cloud, clock, shop, held):
    in_the_wait = []
    clock.at_next_wait(lambda: in_the_wait.append(shop.application.held))
    machine.wire.on("ec2:CreateSnapshots", refused("PendingSnapshotLimitExceeded"), nth=2, times=1)
    record = record_of(cloud, machine.start(request_of(cloud, shop)), shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    assert (in_the_wait, held) == ([False], [True])
    assert shop.application.asked == ["before", "after 1", "before", "after 1", "complete 1"]


def test_on_a_recovered_server_no_script_is_owed(machine, cloud, shop):
    run = machine.start(request_of(cloud, shop, vss={}))
    assert run.output["consistency"]["level"] == "application"
    recovered = recovering(BackedShop(cloud, machine, shop, run.output))(thaw_after_recovery=True)
    assert recovered.status == "SUCCEEDED", (recovered.error, recovered.cause)
    [task] = [task for task in recovered.output["hand_over"]["checklist"] if task["what"] == "session of the backup"]
    assert (task["state"], "none is owed" in task["words"]) == ("done", True)


def test_an_execution_that_is_stopped_while_the_session_script_holds_is_swept(machine, cloud, shop):
    machine.stop_in("Snapshot")
    run = machine.start(request_of(cloud, shop))
    assert (run.status, shop.application.held) == ("ABORTED", True)
    machine.sweep(run)
    assert not shop.application.held
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert cloud.lease(shop.instance_id) is None
