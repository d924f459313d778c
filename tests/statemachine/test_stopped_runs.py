"""An execution that is stopped in each of its states: the application is thawed, with Sweep and without it.

Step Functions does not stop a function with its execution: it runs on, but the execution enters no other state.
"""

import json
import math
from types import SimpleNamespace

import pytest

from quiesce.aws.runs import LEASE_S
from quiesce.backup.awaiting import ADOPTION_S
from quiesce.backup.parameters import SESSION_LIMIT_S
from quiesce.errors import LeaseLost
from quiesce.guest.patience import COLLECT_PATIENCE, SWEEP_S
from quiesce.policy.parts import DELIVERY_S
from quiesce.steps.backup.sweep import LOOK_FOR_S, SNAPSHOT_TIMEOUT_S
from sandbox.aws.snapshots import RULES
from sandbox.windows.session import Session
from tests.statemachine.truth import record_of
from tests.support.environment import ACCOUNT, REGION
from tests.support.factories.policy import a_policy
from tests.support.machine import APPS, ended_event
from tests.support.project import definition, template

FREEZE_LIMIT_S = 120
NOT_ASKED = ["Begin", "Plan", "Freezes?"]
HELD = ["Freeze", "Frozen?", "Snapshot", "Thaw"]
THAWED = ["AwaitSnapshots", "Awaited?", "WaitForSnapshots"]
# States that a run enters only with shadow copies.
VERIFYING = ["Verify", "Reverts?"]
COMPLETED = ["Complete", "MakeImage"]
RECORDED = ["Report", "Failed?"]
# A state that a run enters only if its policy builds at backup (test_every_way.py).
BUILDING = ["Revert"]
# States that a run enters only if VSS times out or EC2 refuses.
RETRYING = ["Retry", "ThawBeforeRetry", "WaitBeforeRetry", "CrashAllowed?", "RetryRefused?"]
# States that a run enters only if AWS's document makes its snapshots (test_aws_vss.py).
BY_AWS = ["SnapshotByAws", "Made?"]
FAILED_BEFORE = "# sandbox: exit 3\n"


@pytest.fixture(params=[0, 3], ids=["before succeeds", "before fails"])
def asked(request, cloud, shop):
    """The calls of the scripts in a run that is stopped before its end; a before that fails is not in the list."""
    if request.param == 0:
        return ["before", "after 1", "complete 0"]
    cloud.put_scripts("orders", before=FAILED_BEFORE)
    return ["after 0", "complete 0"]


def stopped_in(state, machine, request):
    machine.stop_in(state)
    run = machine.start(request)
    assert run.status == "ABORTED"
    assert run.states[-1] == state, "a later state was entered"
    return run


def pass_time(machine, cloud, seconds):
    machine.clock.now_s += seconds
    cloud.servers.advance()


def assert_after_came_in_time(shop):
    [session] = [session.saved for session in shop.windows.guest.sessions()]
    held_ms = session["after"]["startedMs"] - session["before"]["endedMs"]
    assert 0 <= held_ms <= FREEZE_LIMIT_S * 1000
    assert session["after"]["argument"] == ("1" if session["before"]["succeeded"] else "0")


def test_these_lists_hold_every_state_in_which_an_execution_can_be_stopped():
    ends = {name for name, state in definition()["States"].items() if state["Type"] in ("Succeed", "Fail")}
    lists = {*NOT_ASKED, *HELD, *VERIFYING, *BUILDING, *RETRYING, *BY_AWS, *THAWED, *COMPLETED, *RECORDED}
    assert lists == definition()["States"].keys() - ends


@pytest.mark.parametrize("state", NOT_ASKED)
def test_stopped_before_the_server_was_asked_no_script_runs_and_the_server_is_free(
    state, machine, cloud, shop, frozen_request
):
    run = stopped_in(state, machine, frozen_request)
    machine.sweep(run)
    assert cloud.lease(shop.instance_id) is None
    assert record_of(cloud, run, shop.instance_id)["failure"]["error"] == "ExecutionStopped"
    pass_time(machine, cloud, SESSION_LIMIT_S + 600)
    assert shop.application.asked == []
    assert cloud.snapshot_sets() == 0


@pytest.mark.parametrize("state", NOT_ASKED)
def test_stopped_before_the_server_was_asked_and_not_swept_the_lease_ends_by_itself(
    state, machine, cloud, shop, frozen_request
):
    stopped_in(state, machine, frozen_request)
    assert shop.application.asked == []
    machine.stop_in("")
    pass_time(machine, cloud, LEASE_S)
    assert machine.start(frozen_request).status == "SUCCEEDED"
    assert shop.application.asked == ["before", "after 1", "complete 1"]


@pytest.mark.parametrize("state", HELD + THAWED)
def test_stopped_once_the_server_was_asked_it_is_thawed_and_completed_by_sweep(
    state, machine, cloud, shop, frozen_request, asked
):
    run = stopped_in(state, machine, frozen_request)
    machine.sweep(run)
    assert shop.application.asked == asked
    assert not shop.application.held
    assert_after_came_in_time(shop)
    record = record_of(cloud, run, shop.instance_id)
    if {s["state"] for s in record["snapshots"]} == {"completed"}:
        # Good snapshots stay what they are.
        assert (record["status"], record["failure"]) == ("PartiallySuccessful", None)
        assert record["consistency"]["level"] == ("application" if "before" in asked else "crash")
        assert any("(ExecutionStopped: " in note for note in record["notes"])
    else:
        assert (record["status"], record["failure"]["error"]) == ("Failed", "ExecutionStopped")
        assert record["consistency"]["level"] == "none"
        unknown = any("it is not known whether they completed" in note for note in record["notes"])
        assert unknown == bool(record["snapshots"])
    assert {s["snapshot_id"] for s in record["snapshots"]} == {s["id"] for s in cloud.snapshots()}
    assert cloud.lease(shop.instance_id) is None
    assert len(cloud.mails()) == 1
    pass_time(machine, cloud, SESSION_LIMIT_S + 600)
    assert shop.application.asked == asked


@pytest.mark.parametrize("state", HELD)
def test_stopped_while_it_is_held_and_never_swept_the_server_thaws_and_completes_by_itself(
    state, machine, cloud, shop, frozen_request, asked
):
    stopped_in(state, machine, frozen_request)
    pass_time(machine, cloud, FREEZE_LIMIT_S + 1)
    assert shop.application.asked == asked[:-1]
    assert not shop.application.held
    assert_after_came_in_time(shop)
    pass_time(machine, cloud, SESSION_LIMIT_S)
    assert shop.application.asked == asked


@pytest.mark.parametrize("state", THAWED)
def test_stopped_after_the_thaw_and_never_swept_the_server_completes_by_itself(
    state, machine, cloud, shop, frozen_request, asked
):
    stopped_in(state, machine, frozen_request)
    assert shop.application.asked == asked[:-1]
    pass_time(machine, cloud, SESSION_LIMIT_S)
    assert shop.application.asked == asked


@pytest.mark.parametrize("state", COMPLETED)
def test_stopped_once_complete_was_asked_the_script_keeps_its_argument_and_the_backup_stays_good(
    state, machine, cloud, shop, frozen_request
):
    run = stopped_in(state, machine, frozen_request)
    machine.sweep(run)
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    assert record["session"]["complete"]["argument"] == "1"
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"application"}
    assert any("(ExecutionStopped: " in note for note in record["notes"])
    assert cloud.lease(shop.instance_id) is None


def test_an_image_of_a_run_that_was_stopped_stands_in_its_record_and_is_the_next_ones(
    machine, cloud, shop, frozen_request
):
    run = stopped_in("MakeImage", machine, frozen_request)
    machine.sweep(run)
    made = [image for image in cloud.servers.backend().amis.values() if image.instance_id == shop.instance_id]
    assert record_of(cloud, run, shop.instance_id)["initial_image"] == made[0].id
    machine.stop_in("")
    pass_time(machine, cloud, LEASE_S)
    assert machine.start(frozen_request).output["initial_image"] == made[0].id
    assert made == [image for image in cloud.servers.backend().amis.values() if image.instance_id == shop.instance_id]


@pytest.mark.parametrize("state", RECORDED)
def test_stopped_once_the_record_is_written_nothing_is_left_to_sweep(state, machine, cloud, shop, frozen_request):
    run = stopped_in(state, machine, frozen_request)
    before = (cloud.records(), cloud.items(), cloud.mails())
    machine.sweep(run)
    assert (cloud.records(), cloud.items(), cloud.mails()) == before
    assert record_of(cloud, run, shop.instance_id)["status"] == "Successful"
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    assert cloud.lease(shop.instance_id) is None


def test_these_tests_would_see_a_server_that_does_not_thaw_by_itself(machine, cloud, shop, frozen_request, monkeypatch):
    wait = Session._from_frozen

    def wait_for_ever(session, runner, now_s):
        session.limits = {**session.limits, "freeze": math.inf}
        return wait(session, runner, now_s)

    monkeypatch.setattr(Session, "_from_frozen", wait_for_ever)
    stopped_in("Snapshot", machine, frozen_request)
    pass_time(machine, cloud, FREEZE_LIMIT_S + 1)
    assert shop.application.held


@pytest.mark.parametrize("state", ["Freeze", "Thaw", "WaitForSnapshots", "Complete"])
def test_sweeping_twice_is_sweeping_once(state, machine, cloud, shop, frozen_request):
    run = stopped_in(state, machine, frozen_request)
    machine.sweep(run)
    before = (shop.application.asked[:], cloud.records(), cloud.items(), cloud.mails())
    machine.sweep(run)
    assert (shop.application.asked, cloud.records(), cloud.items(), cloud.mails()) == before


def test_a_server_that_sweep_cannot_reach_thaws_by_itself_and_the_record_says_so(machine, cloud, shop, frozen_request):
    def lose_the_server(_instance_id, _snapshots):
        shop.windows.agent.connected = False

    RULES.captured.append(lose_the_server)
    run = stopped_in("Snapshot", machine, frozen_request)
    machine.sweep(run)
    record = record_of(cloud, run, shop.instance_id)
    # While Sweep waited for the server, the snapshots completed.
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "thaws and ends its session by itself" in record["reason"]
    assert cloud.lease(shop.instance_id) is None
    pass_time(machine, cloud, SESSION_LIMIT_S)
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert_after_came_in_time(shop)


@pytest.mark.parametrize(
    ("state", "call", "nth"),
    [
        ("Plan", "dynamodb:TransactWriteItems", 1),
        ("Plan", "ssm:SendCommand", 1),
        ("Plan", "ssm:SendCommand", 2),
        ("Freeze", "dynamodb:TransactWriteItems", 2),
        ("Freeze", "ssm:SendCommand", 3),
        ("Snapshot", "dynamodb:UpdateItem", 1),
        ("Thaw", "ssm:SendCommand", 4),
        ("Complete", "ssm:SendCommand", 5),
        ("Report", "dynamodb:TransactWriteItems", 3),
    ],
    ids=str,
)
def test_a_sweep_that_comes_while_the_function_still_runs_leaves_nothing_frozen_and_one_record(
    state, call, nth, *, machine, cloud, shop, frozen_request
):
    """The function sends its next call only after Sweep has ended the run."""
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:m-raced:raced"

    def sweep_first(_request, effect):
        machine.sweep_by_event(ended_event(arn, "ABORTED", json.dumps(frozen_request), machine.clock.now_s))
        return effect()

    machine.wire.on(call, sweep_first, nth=nth)
    machine.stop_in(state)
    run = machine.start(frozen_request, "raced")
    assert run.states[-1] == state
    assert len(machine.swept) == 1
    pass_time(machine, cloud, FREEZE_LIMIT_S + 1)
    assert not shop.application.held
    pass_time(machine, cloud, SESSION_LIMIT_S)
    assert shop.application.asked.count("before") <= 1
    assert [a for a in shop.application.asked if a.startswith("after")] in ([], ["after 0"], ["after 1"])
    lease = cloud.lease(shop.instance_id)
    assert lease is None or int(lease["expires_at"]) == 0
    record = record_of(cloud, run, shop.instance_id)
    listed = {s["snapshot_id"] for s in record["snapshots"]}
    assert {s["id"] for s in cloud.snapshots()} == listed
    assert {s["tags"].get("quiesce:consistency") for s in cloud.snapshots()} <= {record["consistency"]["level"]}


@pytest.mark.parametrize(
    ("state", "step"), [("Freezes?", "freeze"), ("Frozen?", "snapshot")], ids=["freeze", "snapshot"]
)
@pytest.mark.parametrize("call", ["dynamodb:GetItem", "ec2:DescribeSnapshots", "s3:PutObject", "dynamodb:PutItem"])
def test_a_function_that_starts_behind_sweeps_back_freezes_nobody_and_creates_nothing(
    state, step, call, *, machine, cloud, shop, frozen_request
):
    """The stop comes as the execution enters the state, and the function starts while Sweep is at work."""
    run = stopped_in(state, machine, frozen_request)
    document = {**run.input_of(state)}
    acted, [frozen] = [], [shop.application.asked[:]]

    def function_first(_request, effect):
        answer = effect()
        with pytest.raises(LeaseLost):
            acted.append(APPS[step].handler(document, SimpleNamespace(aws_request_id="late", function_name=step)))
        return answer

    nth = 2 if call == "dynamodb:GetItem" else 1
    machine.wire.on(call, function_first, nth=nth)
    machine.sweep(run)
    assert acted == []
    assert cloud.snapshot_sets() == 0
    assert not shop.application.held
    assert shop.application.asked.count("before") == frozen.count("before")
    assert cloud.lease(shop.instance_id) is None
    pass_time(machine, cloud, SESSION_LIMIT_S)
    assert not shop.application.held


@pytest.mark.parametrize("hidden", [1, 5, 12])
def test_sweep_finds_the_set_of_a_stopped_snapshot_though_ec2_lists_it_late(
    hidden, *, machine, cloud, shop, frozen_request, monkeypatch
):
    monkeypatch.setattr(RULES, "hidden_lookups", hidden)
    run = stopped_in("Snapshot", machine, frozen_request)
    machine.sweep(run)
    record = record_of(cloud, run, shop.instance_id)
    assert {s["snapshot_id"] for s in record["snapshots"]} == {s["id"] for s in cloud.snapshots()}
    assert len(record["snapshots"]) == 3


def test_sweep_waits_for_a_whole_set_of_which_ec2_lists_a_part(machine, cloud, shop, frozen_request):
    def hide_one():
        hidden = next(s for s in cloud.stored_snapshots() if s.volume_id == shop.volumes["E:"])
        hidden.hidden_lookups = 3

    run = stopped_in("Snapshot", machine, frozen_request)
    hide_one()
    machine.sweep(run)
    record = record_of(cloud, run, shop.instance_id)
    assert {s["snapshot_id"] for s in record["snapshots"]} == {s["id"] for s in cloud.snapshots()}
    assert len(record["snapshots"]) == 3


def test_sweep_looks_for_longer_than_snapshot_may_run_and_ec2_may_take_to_list_its_set():
    [snapshot, sweep] = [
        template()["Resources"][f"{name}Function"]["Properties"]["Timeout"] for name in ("Snapshot", "Sweep")
    ]
    assert snapshot == SNAPSHOT_TIMEOUT_S
    assert SNAPSHOT_TIMEOUT_S + ADOPTION_S < LOOK_FOR_S
    assert SWEEP_S + DELIVERY_S + LOOK_FOR_S + COLLECT_PATIENCE.limit_s < sweep - 60


@pytest.mark.parametrize("state", VERIFYING)
def test_stopped_while_the_snapshots_are_looked_into_it_is_completed_by_sweep(state, machine, cloud, shop):
    cloud.put_scripts("orders")
    policy = a_policy(shop.instance_id, name="orders", vss={}, defaults={"scripts": {"from": "bucket"}})
    run = stopped_in(state, machine, {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id})
    machine.sweep(run)
    record = record_of(cloud, run, shop.instance_id)
    assert record["status"] != "Successful"
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert shop.windows.guest.vss.shadow_copies == []
    assert cloud.lease(shop.instance_id) is None
