"""What a run is worth: every combination that can occur, and never better than it is."""

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.state import Awaited, Failure, Plan
from quiesce.verdict import SNAPSHOTS_INCOMPLETE, Cause, cause_of, judge
from tests.unit.factories import NOW, a_failure, a_plan, a_snapshot, an_awaited, snapshot_id, volume_id

PLAN = a_plan()
WHOLE = (a_snapshot(0), a_snapshot(1))
NOT_KNOWN = "it is not known whether the snapshots completed"
NONE_FOUND = "no snapshot of this run was found"
FIRST, SECOND = f"/dev/sda1 {volume_id(0)}", f"xvdb {volume_id(1)}"
SNAPSHOT_0, SNAPSHOT_1 = f"{snapshot_id(0)} of /dev/sda1", f"{snapshot_id(1)} of xvdb"

FAILED = {
    "Plan refused": (None, None, a_failure("PolicyRefused", "no"), "PolicyRefused", "no"),
    "Plan never answered": (None, None, None, "PlanMissing", "Plan gave no answer"),
    "AwaitSnapshots failed": (PLAN, None, a_failure("AccessDenied", "no"), "AccessDenied", "no"),
    "AwaitSnapshots never answered": (PLAN, None, None, SNAPSHOTS_INCOMPLETE, NOT_KNOWN),
    "AwaitSnapshots failed while it waited": (
        PLAN,
        an_awaited(*WHOLE, done=False, wait_s=10),
        a_failure("AwsUnavailable", "down"),
        "AwsUnavailable",
        "down",
    ),
    "EC2 refused": (PLAN, an_awaited(), a_failure("SnapshotRefused", "no"), "SnapshotRefused", "no"),
    "answer lost, nothing found": (PLAN, an_awaited(), a_failure(), "OutcomeUnknown", "its answer was lost"),
    "answer empty, nothing found": (PLAN, an_awaited(), None, SNAPSHOTS_INCOMPLETE, NONE_FOUND),
    "answer lost, found in part": (
        PLAN,
        an_awaited(a_snapshot(1), adopted=True),
        a_failure(),
        SNAPSHOTS_INCOMPLETE,
        f"{FIRST} has no snapshot",
    ),
    "answer in part": (PLAN, an_awaited(a_snapshot(0)), None, SNAPSHOTS_INCOMPLETE, f"{SECOND} has no snapshot"),
    "one in error": (
        PLAN,
        an_awaited(a_snapshot(0, "error", state_message="KMS key is disabled"), a_snapshot(1)),
        None,
        SNAPSHOTS_INCOMPLETE,
        f"{SNAPSHOT_0} failed in EBS: KMS key is disabled",
    ),
    "all in error without a word": (
        PLAN,
        an_awaited(a_snapshot(0, "error"), a_snapshot(1, "error")),
        None,
        SNAPSHOTS_INCOMPLETE,
        f"{SNAPSHOT_0} failed in EBS: no reason given; {SNAPSHOT_1} failed in EBS: no reason given",
    ),
    "one vanished while another was pending": (
        PLAN,
        an_awaited(a_snapshot(0, "vanished"), a_snapshot(1, "pending", progress="40%")),
        None,
        SNAPSHOTS_INCOMPLETE,
        f"{SNAPSHOT_0} vanished: somebody deleted it, or a lifecycle rule did; "
        f"{SNAPSHOT_1} was still pending when another one failed (40%)",
    ),
    "never completed": (
        PLAN,
        an_awaited(a_snapshot(0), a_snapshot(1, "pending"), timed_out=True),
        None,
        SNAPSHOTS_INCOMPLETE,
        f"{SNAPSHOT_1} did not complete in time (no progress known)",
    ),
    "in the Recycle Bin": (
        PLAN,
        an_awaited(a_snapshot(0, "recoverable"), a_snapshot(1, "recovering")),
        None,
        SNAPSHOTS_INCOMPLETE,
        f"{SNAPSHOT_0} is in the Recycle Bin (recoverable): somebody deleted it; "
        f"{SNAPSHOT_1} is in the Recycle Bin (recovering): somebody deleted it",
    ),
    "one too many, and that one bad": (
        PLAN,
        an_awaited(*WHOLE, a_snapshot(2, "error")),
        None,
        SNAPSHOTS_INCOMPLETE,
        f"{snapshot_id(2)} of an unplanned volume failed in EBS: no reason given",
    ),
}


@pytest.mark.parametrize(("plan", "awaited", "failure", "error", "words"), FAILED.values(), ids=FAILED)
def test_a_run_without_all_its_snapshots_failed_for_its_true_reason(
    plan: Plan | None, awaited: Awaited | None, failure: Failure | None, error: str, words: str
) -> None:
    verdict = judge(plan, awaited, failure)
    assert (verdict.status, verdict.reason, verdict.notes) == ("Failed", words, ())
    assert (verdict.consistency.level, verdict.consistency.reason) == ("none", words)
    assert verdict.cause == Cause(error, words)


SUCCESSFUL = {
    "plain": (an_awaited(*WHOLE), None, ()),
    "found again": (
        an_awaited(*WHOLE, adopted=True),
        a_failure("OutcomeUnknown"),
        ("the answer of CreateSnapshots was lost (OutcomeUnknown); its snapshots were found by their tag",),
    ),
    "found again after an empty answer": (
        an_awaited(*WHOLE, adopted=True),
        None,
        ("the answer of CreateSnapshots was lost (unknown); its snapshots were found by their tag",),
    ),
    "lease lost": (
        an_awaited(*WHOLE, lease_held=False),
        None,
        ("the server's lease was lost while the snapshots completed; another run may have overlapped",),
    ),
    "a volume more": (
        an_awaited(*WHOLE, a_snapshot(2)),
        None,
        (f"{snapshot_id(2)} is of {volume_id(2)}, which was attached after the plan was made",),
    ),
}


@pytest.mark.parametrize(("awaited", "failure", "notes"), SUCCESSFUL.values(), ids=SUCCESSFUL)
def test_a_run_with_all_its_snapshots_is_successful_and_notes_what_was_odd(
    awaited: Awaited, failure: Failure | None, notes: tuple[str, ...]
) -> None:
    verdict = judge(PLAN, awaited, failure)
    assert (verdict.status, verdict.reason) == ("Successful", "every chosen volume has a completed snapshot")
    assert (verdict.cause, verdict.notes, verdict.consistency) == (None, notes, PLAN.consistency)


STATES = ("pending", "completed", "error", "recoverable", "recovering", "vanished")
failures = st.none() | st.builds(a_failure, st.sampled_from(["OutcomeUnknown", "States.Timeout", "AccessDenied"]))
snapshots = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(STATES)), max_size=5)


@given(
    plan=st.none() | st.builds(a_plan, st.integers(1, 3)),
    seen=st.none() | snapshots,
    failure=failures,
    flags=st.tuples(*[st.booleans()] * 4),
)
def test_a_run_is_never_better_than_it_is(
    plan: Plan | None, seen: list[tuple[int, str]] | None, failure: Failure | None, flags: tuple[bool, ...]
) -> None:
    done, adopted, lease_held, timed_out = flags
    awaited = seen and an_awaited(
        *(a_snapshot(n, state) for n, state in seen),
        done=done,
        adopted=adopted,
        lease_held=lease_held,
        timed_out=timed_out,
    )

    verdict = judge(plan, awaited or None, failure)

    completed = {volume_id(n) for n, state in seen or [] if state == "completed"}
    whole = plan is not None and {v.volume_id for v in plan.volumes} <= completed
    good = whole and done and all(state == "completed" for _, state in seen or [])
    assert verdict.status == ("Successful" if good else "Failed")
    assert (verdict.cause is None) == good
    assert (verdict.consistency.level == "none") != good
    assert verdict.consistency.level != "application"


def test_each_pair_of_states_of_two_snapshots_is_judged() -> None:
    for states in product(STATES, STATES):
        verdict = judge(PLAN, an_awaited(*(a_snapshot(n, state) for n, state in enumerate(states))), None)
        bad = [n for n, state in enumerate(states) if state != "completed"]
        assert all((snapshot_id(n) in verdict.reason) == (n in bad) for n in (0, 1))


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (json.dumps({"errorMessage": "the words", "errorType": "X"}), "the words"),
        (json.dumps({"errorType": "X"}), '{"errorType": "X"}'),
        (json.dumps(["a list"]), '["a list"]'),
        ("Lambda said something else", "Lambda said something else"),
        ("{torn", "{torn"),
        ("", "no words were given"),
        (json.dumps({"errorMessage": ""}), '{"errorMessage": ""}'),
    ],
)
def test_the_words_of_an_error_are_found_in_whatever_a_catch_kept(kept: str, words: str) -> None:
    assert cause_of(Failure(Error="X", Cause=kept)) == Cause("X", words)


def test_a_failure_may_come_without_a_cause() -> None:
    assert cause_of(Failure.model_validate({"Error": "States.Timeout"})) == Cause(
        "States.Timeout", "no words were given"
    )


def test_the_moment_of_the_snapshots_is_no_part_of_the_verdict() -> None:
    late = an_awaited(a_snapshot(0, started_at=NOW.replace(year=2020)), a_snapshot(1))
    assert judge(PLAN, late, None).status == "Successful"
