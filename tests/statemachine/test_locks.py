"""Whole recovery points are locked by EBS for the days of their policy, once, and nothing else is."""

import pytest

from quiesce.aws.items import Items
from quiesce.steps.retention import lock
from sandbox.aws.snapshot_use import LOCKS
from tests.statemachine.generations import DAY_S, Generations
from tests.support.wire import answer_lost, dies_after, dies_before, refused

GOVERNANCE = {"mode": "governance", "days": 30}
COMPLIANCE = {"mode": "compliance", "days": 30, "cool_off_hours": 24, "i_know": True}


@pytest.fixture
def generations(machine, cloud, server, monkeypatch):
    monkeypatch.setattr("sandbox.aws.snapshots.RULES.duration_s", 0.0)
    made = Generations(cloud, machine, server)
    made.begin()
    made.put_policy(lock=GOVERNANCE)
    return made


def asked() -> list[tuple[str, int, int]]:
    return [each[1:] for each in LOCKS.asked]


def locked(generations) -> set[str]:
    """Return the runs of which each snapshot is locked; none may be in part."""
    found = {}
    for each in generations.cloud.snapshots():
        run_id = each["tags"].get("quiesce:run") or each["tags"].get("quiesce:built-for", "")
        found.setdefault(run_id, set()).add(LOCKS.holds(each["id"]))
    assert all(len(states) == 1 for states in found.values())
    return {run_id for run_id, states in found.items() if states == {True}}


@pytest.mark.parametrize(("of_policy", "hours"), [(GOVERNANCE, 0), (COMPLIANCE, 24)])
def test_a_whole_recovery_point_is_locked_raw_and_built_snapshots_alike(generations, of_policy, hours):
    generations.put_policy(lock=of_policy)
    night = generations.night(built=True)
    assert generations.prune().output["locked"] == 1
    assert asked() == [(of_policy["mode"], 30, hours)] * 6
    assert locked(generations) == {night}


def test_a_policy_without_keep_locks_too_and_one_without_lock_locks_nothing(generations, cloud):
    cloud.put_policy({"targets": [{"instance_id": generations.server.instance_id}], "name": "nightly"})
    generations.nights(2)
    assert generations.prune().output["locked"] == 0
    targets = [{"instance_id": generations.server.instance_id}]
    cloud.put_policy({"targets": targets, "name": "nightly", "lock": GOVERNANCE})
    assert generations.prune().output["locked"] == 2


def test_a_lock_is_made_once_and_is_no_longer_for_being_asked_again(generations):
    generations.night()
    generations.prune()
    held = dict(LOCKS.held)
    sent = len(generations.machine.wire.sent)
    generations.machine.clock.now_s += 5 * DAY_S
    assert generations.prune().output["locked"] == 0
    assert held == LOCKS.held
    assert not {"ec2:LockSnapshot", "ec2:DescribeLockedSnapshots"} & {*generations.machine.wire.sent[sent:]}


def test_a_lock_that_a_person_ended_is_not_made_again(generations):
    night = generations.night()
    generations.prune()
    LOCKS.held.clear()
    assert generations.prune().output["locked"] == 0
    server = generations.server.instance_id
    generations.prune(instance_id=server, remove=night, confirm=night)
    assert generations.left() == {}


def test_a_lock_that_a_person_made_is_left_alone(generations):
    night = generations.night()
    first, *others = generations.snapshot_ids(night)
    LOCKS.held[first] = ("governance", generations.machine.clock.now_s + 900 * DAY_S)
    assert generations.prune().output["locked"] == 1
    assert sorted(each[0] for each in LOCKS.asked) == sorted(others)


def test_a_policy_that_locks_late_locks_for_the_days_that_are_left(generations):
    """So that a lock ends as if it had been made after the run; what is older than its days is not locked."""
    generations.put_policy(keep={"last": 99}, lock=None)
    generations.nights(4)
    generations.machine.clock.now_s += DAY_S
    generations.put_policy(keep={"last": 99}, lock={"mode": "governance", "days": 4})
    assert generations.prune().output["locked"] == 3
    assert sorted(asked()) == sorted(("governance", days, 0) for days in (1, 2, 3) for _ in range(3))
    assert locked(generations) == set(generations.made[1:])


@pytest.mark.parametrize("status", ["PartiallySuccessful", "Failed"])
def test_what_is_not_whole_is_not_locked(generations, status):
    generations.put_policy(partial_counts=True, lock=GOVERNANCE)
    generations.night(status=status)
    torn = generations.night()
    generations.cloud.ec2.delete_snapshot(SnapshotId=generations.snapshot_ids(torn)[0])
    assert generations.prune().output["locked"] == 0
    assert LOCKS.asked == []


def test_what_the_rule_is_about_to_remove_is_not_locked_and_goes(generations):
    generations.put_policy()
    nights = generations.nights(5)
    generations.settle()
    generations.put_policy(lock=GOVERNANCE)
    told = generations.prune().output
    assert (told["locked"], told["removed"], told["problems"]) == (3, 2, [])
    assert locked(generations) == set(generations.left()) == set(nights[2:])


def test_a_locked_recovery_point_stays_until_its_lock_is_over_and_then_goes_by_the_rule(generations):
    generations.night()
    generations.settle()
    nights = [night for _ in range(5) for night in generations.nights(1) if generations.prune()]
    assert set(generations.left()) == {generations.made[0], *nights}
    text = generations.prune(mode="dry-run", instance_id=generations.server.instance_id).output["plans"][0]
    assert "keep locked until " in " ".join(text.split())
    generations.machine.clock.now_s += 31 * DAY_S
    assert generations.prune().output["removed"] == 3
    assert set(generations.left()) == set(nights[2:])
    assert len(LOCKS.asked) == 18


def test_a_dry_run_and_a_person_who_removes_one_lock_nothing(generations):
    nights = generations.nights(2)
    server = generations.server.instance_id
    generations.prune(mode="dry-run", instance_id=server)
    generations.prune(instance_id=server, remove=nights[0], confirm=nights[0])
    assert LOCKS.asked == []
    assert set(generations.left()) == {nights[1]}


def test_only_the_policy_that_was_asked_for_locks(generations):
    generations.put_policy(name="weekly", lock=GOVERNANCE)
    generations.night()
    weekly = generations.night(policy="weekly")
    generations.prune(policy="weekly")
    assert locked(generations) == {weekly}


def test_by_a_clock_that_differs_from_awss_nothing_is_locked(generations):
    """A compliance lock of a year too long can't be undone."""
    generations.put_policy(lock=COMPLIANCE)
    generations.night()
    generations.machine.clock.aws_ahead_s = 365 * DAY_S
    told = generations.prune().output
    assert (told["locked"], LOCKS.asked) == (0, [])
    assert "nothing is locked: the function's clock says" in str(told["problems"])
    generations.machine.clock.aws_ahead_s = 0
    assert generations.prune().output["locked"] == 1


def test_what_ec2_refuses_is_told_stops_no_removal_and_is_tried_again(generations):
    generations.put_policy()
    nights = generations.nights(5)
    generations.settle()
    generations.put_policy(lock=GOVERNANCE)
    generations.machine.wire.on("ec2:LockSnapshot", refused("UnauthorizedOperation", 403), nth=2)
    told = generations.prune().output
    assert (told["locked"], told["removed"]) == (2, 2)
    [problem] = told["problems"]
    assert " is not locked: " in problem
    assert problem in generations.cloud.mails()[-1][1]
    assert generations.prune().output["locked"] == 1
    assert locked(generations) == set(nights[2:])


FAULTS = [(call, fault) for call in ("ec2:LockSnapshot", "dynamodb:UpdateItem")
          for fault in (answer_lost, dies_before, dies_after)]  # fmt: skip


@pytest.mark.parametrize("of_policy", [GOVERNANCE, COMPLIANCE, {"mode": "compliance", "days": 30, "i_know": True}])
@pytest.mark.parametrize(("call", "fault"), FAULTS)
def test_a_lock_that_was_cut_off_anywhere_is_made_once(generations, call, fault, of_policy):
    generations.put_policy(lock=of_policy)
    nights = generations.nights(3)
    ends = {generations.machine.clock.now_s + days * DAY_S for days in (28, 29, 30)}
    generations.machine.wire.on(call, fault, nth=2, times=2)
    assert generations.prune().output["problems"] == []
    generations.machine.clock.now_s += DAY_S
    generations.prune()
    assert locked(generations) == set(nights)
    assert all(min(abs(expires - end) for end in ends) < DAY_S for _, expires in LOCKS.held.values())
    marks = [item for (_, sk), item in generations.cloud.items().items() if sk.startswith("run#")]
    assert all("locked_until" in item for item in marks)


def test_an_accepted_call_is_no_lock(generations, monkeypatch):
    generations.night()
    with monkeypatch.context() as patched:
        patched.setattr(lock, "lock_snapshot", lambda *_: "")
        assert generations.prune().output["locked"] == 0
    assert generations.prune().output["locked"] == 1


def test_a_refused_call_is_no_problem_where_the_lock_is_there(generations, monkeypatch):
    """By an answer that was lost, or another execution at the same time."""
    generations.night()
    made = lock.lock_snapshot
    with monkeypatch.context() as patched:
        patched.setattr(lock, "lock_snapshot", lambda *given: made(*given) or f"{given[1]} is not locked: refused")
        told = generations.prune().output
    assert (told["locked"], told["problems"]) == (1, [])


def test_what_one_call_has_no_time_for_the_next_execution_locks(generations):
    generations.night()
    generations.machine.remaining_ms = lock.RESERVE_MS
    told = generations.prune().output
    assert (told["locked"], told["problems"], LOCKS.asked) == (0, [], [])
    generations.machine.remaining_ms = lock.RESERVE_MS + 1
    assert generations.prune().output["locked"] == 1


def test_a_policy_that_cannot_be_read_locks_nothing_and_its_plan_says_so(generations):
    generations.night()
    generations.settle()
    night = generations.night()
    generations.cloud.s3.put_object(Bucket="quiesce-bucket", Key="policies/nightly.yaml", Body=b"lock: [")
    assert generations.prune().output["locked"] == 0
    generations.put_policy(lock=GOVERNANCE)
    assert generations.prune().output["locked"] == 1
    assert night in locked(generations)


def test_what_is_locked_is_known_without_reading_records(generations, monkeypatch):
    generations.nights(3)
    generations.prune()
    read = []
    monkeypatch.setattr(Items, "query", lambda items, pk, *rest: (read.append(pk), iter(()))[1])
    generations.prune()
    assert generations.server.instance_id not in read
