"""What AwaitSnapshots concludes from one look, and when it looks again."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.backup import awaiting
from quiesce.backup.state import Awaited, RunState
from quiesce.points.parts import Snapshot
from tests.support.factories.run import (
    NOW,
    a_failure,
    a_freeze,
    a_plan,
    a_snapshot,
    a_snapshot_set,
    a_state,
    an_awaited,
    snapshot_id,
)

LOST = a_failure("OutcomeUnknown")


def created(*snapshots: Snapshot, **parts: object) -> RunState:
    return a_state(plan=a_plan(), snapshot=a_snapshot_set(*snapshots), **parts)


def look(state: RunState, *found: Snapshot, after_s: float = 0) -> Awaited:
    return awaiting.answer(state, found, NOW + timedelta(seconds=after_s))


def states_of(answer: Awaited) -> list[str]:
    return [s.state for s in answer.snapshots]


def test_completed_snapshots_end_the_waiting() -> None:
    done = (a_snapshot(0), a_snapshot(1))
    answer = look(created(a_snapshot(0, "pending"), a_snapshot(1, "pending")), *done, after_s=60)
    assert (answer.done, answer.wait_s, answer.snapshots) == (True, 0, list(done))
    assert (answer.adopted, answer.timed_out, answer.rounds) == (False, False, 1)


def test_one_pending_snapshot_keeps_the_run_waiting() -> None:
    answer = look(
        created(a_snapshot(0), a_snapshot(1, "pending")), a_snapshot(0), a_snapshot(1, "pending"), after_s=300
    )
    assert (answer.done, answer.wait_s) == (False, 100)


@pytest.mark.parametrize("bad", ["error", "recoverable", "recovering"])
def test_one_bad_snapshot_ends_the_waiting_for_the_others(bad: str) -> None:
    answer = look(created(a_snapshot(0), a_snapshot(1)), a_snapshot(0, "pending"), a_snapshot(1, bad), after_s=60)
    assert (answer.done, states_of(answer), answer.timed_out) == (True, ["pending", bad], False)


def test_a_snapshot_that_ec2_does_not_list_yet_is_waited_for_as_last_seen() -> None:
    state = created(a_snapshot(0, "pending"), a_snapshot(1, "pending"))
    answer = look(state, a_snapshot(0), after_s=awaiting.VANISHED_AFTER_S - 1)
    assert (answer.done, states_of(answer)) == (False, ["completed", "pending"])


def test_a_snapshot_that_ec2_still_does_not_list_after_minutes_has_vanished() -> None:
    state = created(a_snapshot(0, "pending"), a_snapshot(1, "pending"))
    answer = look(state, a_snapshot(0), after_s=awaiting.VANISHED_AFTER_S)
    assert (answer.done, states_of(answer)) == (True, ["completed", "vanished"])


def test_waiting_ends_after_the_limit_and_says_so() -> None:
    state, pending = created(a_snapshot(0, "pending")), a_snapshot(0, "pending")
    before = look(state, pending, after_s=awaiting.SNAPSHOT_LIMIT_S - 1)
    after = look(state, pending, after_s=awaiting.SNAPSHOT_LIMIT_S)
    assert (before.done, before.timed_out) == (False, False)
    assert (after.done, after.timed_out) == (True, True)


def test_snapshots_that_completed_just_at_the_limit_have_not_timed_out() -> None:
    answer = look(created(a_snapshot(0, "pending")), a_snapshot(0), after_s=awaiting.SNAPSHOT_LIMIT_S)
    assert (answer.done, answer.timed_out) == (True, False)


@given(st.floats(min_value=-100, max_value=1e6), st.floats(min_value=0, max_value=1e6))
def test_the_wait_grows_within_its_bounds(elapsed_s: float, more_s: float) -> None:
    wait_s = awaiting.growing_wait_s(elapsed_s)
    assert awaiting.SHORTEST_WAIT_S <= wait_s <= awaiting.growing_wait_s(elapsed_s + more_s) <= awaiting.LONGEST_WAIT_S


def test_a_snapshot_of_a_whole_day_is_looked_at_a_few_hundred_times_at_most() -> None:
    elapsed_s, looks = 0, 0
    while elapsed_s < awaiting.SNAPSHOT_LIMIT_S:
        elapsed_s, looks = elapsed_s + awaiting.growing_wait_s(elapsed_s), looks + 1
    assert looks < 150


def expecting(expected_s: int | None, *, after_s: float) -> Awaited:
    answered = look(created(a_snapshot(0, "pending")), a_snapshot(0, "pending"), after_s=after_s)
    return awaiting.expecting(answered, expected_s, NOW + timedelta(seconds=after_s))


EXPECTED = {
    "nothing is known of the last run's": (None, 0, 10),
    "the next look is when they should be complete": (60, 2, 64),
    "5 s later at least": (20, 5, 20),
    "they should be complete in a moment": (60, 64, 10),
    "the rest of a wait that was too long for one": (330, 300, 63),
    "they are late": (60, 90, 30),
    "the last run's was the first and took hours": (10_000, 0, 300),
    "as long again as has passed": (10_000, 500, 500),
    "never longer than the longest wait": (50_000, 10_000, 900),
    "EC2's clock is ahead": (60, -5, 71),
}


@pytest.mark.parametrize(("expected_s", "after_s", "wait_s"), EXPECTED.values(), ids=EXPECTED)
def test_the_next_look_comes_after_as_long_as_the_last_runs_snapshots_took(
    expected_s: int | None, after_s: float, wait_s: int
) -> None:
    answered = expecting(expected_s, after_s=after_s)
    assert (answered.done, answered.wait_s, answered.expected_s) == (False, wait_s, expected_s)


@given(st.integers(0, 1_000_000), st.floats(min_value=-100, max_value=80_000))
def test_whatever_the_last_run_took_the_wait_stays_within_its_bounds(expected_s: int, after_s: float) -> None:
    wait_s = expecting(expected_s, after_s=after_s).wait_s
    assert awaiting.SHORTEST_WAIT_S <= wait_s <= awaiting.LONGEST_WAIT_S
    assert wait_s <= max(awaiting.FIRST_WAIT_S, after_s)


def test_what_has_completed_is_waited_for_no_longer() -> None:
    answered = look(created(a_snapshot(0, "pending")), a_snapshot(0))
    assert awaiting.expecting(answered, 600, NOW).wait_s == 0


def test_a_lost_answers_snapshots_are_looked_for_as_soon_as_without_a_last_run() -> None:
    answered = look(lost())
    assert (answered.done, answered.snapshots) == (False, [])
    assert awaiting.expecting(answered, 600, NOW) == answered.model_copy(update={"expected_s": 600})


def lost(**parts: object) -> RunState:
    return a_state(plan=a_plan(), failure=LOST, **parts)


def test_a_whole_set_found_by_its_tag_is_adopted_at_once() -> None:
    answer = look(lost(), a_snapshot(0, "pending"), a_snapshot(1, "pending"), after_s=1)
    assert (answer.done, answer.adopted, len(answer.snapshots)) == (False, True, 2)
    assert answer.wait_s == awaiting.SHORTEST_WAIT_S


def test_what_was_adopted_stays_adopted_in_later_looks() -> None:
    state = lost(await_snapshots=look(lost(), a_snapshot(0, "pending"), a_snapshot(1, "pending")))
    answer = look(state, a_snapshot(0), a_snapshot(1), after_s=60)
    assert (answer.done, answer.adopted, answer.rounds) == (True, True, 2)


@pytest.mark.parametrize("found", [(), (a_snapshot(0),)])
def test_a_set_not_yet_seen_whole_is_looked_for_a_while(found: tuple[Snapshot, ...]) -> None:
    state = lost()
    for after_s in range(0, awaiting.ADOPTION_S, awaiting.ADOPTION_WAIT_S):
        answer = look(state, *found, after_s=after_s)
        assert (answer.done, answer.wait_s, answer.snapshots) == (False, awaiting.ADOPTION_WAIT_S, [])
        state = lost(await_snapshots=answer)
    assert answer.looking_since == NOW


def test_a_set_seen_late_is_still_adopted() -> None:
    state = lost(await_snapshots=look(lost()))
    answer = look(state, a_snapshot(0), a_snapshot(1), after_s=20)
    assert (answer.done, answer.adopted, len(answer.snapshots)) == (True, True, 2)


def test_a_set_never_seen_ends_the_looking_with_nothing() -> None:
    state = lost(await_snapshots=an_awaited(done=False, wait_s=5))
    answer = look(state, after_s=awaiting.ADOPTION_S)
    assert (answer.done, answer.adopted, answer.snapshots) == (True, False, [])


def test_a_set_seen_in_part_is_taken_as_it_is_in_the_end() -> None:
    state = lost(await_snapshots=an_awaited(done=False, wait_s=5))
    answer = look(state, a_snapshot(1), after_s=awaiting.ADOPTION_S)
    assert (answer.done, answer.adopted, [s.snapshot_id for s in answer.snapshots]) == (True, True, [snapshot_id(1)])


def test_a_set_of_more_volumes_than_planned_is_whole() -> None:
    assert look(lost(), a_snapshot(0), a_snapshot(1), a_snapshot(2)).adopted


@pytest.mark.parametrize("error", sorted(awaiting.NOTHING_CREATED))
def test_nothing_is_looked_for_where_ec2_said_that_nothing_was_created(error: str) -> None:
    state = a_state(plan=a_plan(), failure=a_failure(error))
    answer = look(state)
    assert not awaiting.may_exist(state)
    assert (answer.done, answer.snapshots) == (True, [])


@pytest.mark.parametrize(
    "error",
    [
        "OutcomeUnknown",
        "AwsThrottled",
        "AwsUnavailable",
        "AccessDenied",
        "LeaseLost",
        "States.Timeout",
        "Sandbox.Timedout",
    ],
)
def test_a_set_is_looked_for_after_every_error_that_an_earlier_try_may_hide_behind(error: str) -> None:
    state = a_state(plan=a_plan(), failure=a_failure(error))
    assert awaiting.may_exist(state)
    assert look(state, a_snapshot(0), a_snapshot(1)).adopted


NEVER_SENT = {
    "Freeze failed": a_state(plan=a_plan(), freeze_failure=a_failure("AgentUnreachable")),
    "Freeze said not to go on": a_state(plan=a_plan(), freeze=a_freeze(go_on=False)),
}


@pytest.mark.parametrize("state", NEVER_SENT.values(), ids=NEVER_SENT)
def test_nothing_is_looked_for_where_snapshot_was_never_entered(state: RunState) -> None:
    assert not awaiting.may_exist(state)
    answer = look(state)
    assert (answer.done, answer.snapshots, answer.adopted) == (True, [], False)


def test_a_set_is_looked_for_after_a_freeze_that_went_well() -> None:
    assert awaiting.may_exist(a_state(plan=a_plan(), freeze=a_freeze(), failure=LOST))


def test_an_answer_without_snapshots_is_not_trusted() -> None:
    assert look(created(), a_snapshot(0), a_snapshot(1)).adopted


def test_known_snapshots_are_those_last_seen() -> None:
    seen = an_awaited(a_snapshot(0, "error"), done=False)
    assert awaiting.known_snapshots(created(a_snapshot(0, "pending"), await_snapshots=seen)) == seen.snapshots
    assert awaiting.known_snapshots(created(a_snapshot(0, "pending"))) == [a_snapshot(0, "pending")]
    assert awaiting.known_snapshots(lost()) == []


@pytest.mark.parametrize("held", [True, False])
def test_a_lost_lease_and_the_calls_so_far_are_carried_on(held: bool) -> None:
    before = an_awaited(a_snapshot(0, "pending"), done=False, wait_s=10, lease_held=held, rounds=3)
    answer = look(created(a_snapshot(0, "pending"), await_snapshots=before), a_snapshot(0, "pending"), after_s=30)
    assert (answer.lease_held, answer.rounds, answer.calls) == (held, 4, before.calls)
