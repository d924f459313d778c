"""A run's verdict: for every combination that can occur, and never better than what happened."""

import json
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quiesce.backup.findings import ADOPTED, NOT_FROZEN, gather
from quiesce.backup.snapshot_verdict import SNAPSHOTS_INCOMPLETE, judge_snapshots
from quiesce.backup.state import Awaited, Plan, RunState
from quiesce.backup.verdict import HELD, MAYBE_HELD, RUN_IT, judge
from quiesce.executions import Cause, Failure, cause_of
from quiesce.guest.sessions import ScriptResult, Session
from quiesce.points.parts import Consistency
from tests.support.factories.run import (
    NOW,
    a_complete,
    a_failure,
    a_freeze,
    a_plan,
    a_script,
    a_session,
    a_snapshot,
    a_snapshot_set,
    a_state,
    a_thaw,
    an_awaited,
    snapshot_id,
    some_settings,
    volume_id,
)

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
        f"{SNAPSHOT_0} vanished: a person or a lifecycle rule deleted it; "
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
        f"{SNAPSHOT_0} was deleted and is in the Recycle Bin (recoverable); "
        f"{SNAPSHOT_1} was deleted and is in the Recycle Bin (recovering)",
    ),
}


@pytest.mark.parametrize(("plan", "awaited", "failure", "error", "words"), FAILED.values(), ids=FAILED)
def test_a_run_without_all_its_snapshots_failed_for_its_true_reason(
    plan: Plan | None, awaited: Awaited | None, failure: Failure | None, error: str, words: str
) -> None:
    verdict = judge_snapshots(plan, awaited, failure)
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
        (f"{snapshot_id(2)} (completed) is a snapshot of {volume_id(2)}, which was attached after the plan was made",),
    ),
    "a volume more, whose snapshot was deleted": (
        an_awaited(*WHOLE, a_snapshot(2, "vanished")),
        None,
        (f"{snapshot_id(2)} (vanished) is a snapshot of {volume_id(2)}, which was attached after the plan was made",),
    ),
}


@pytest.mark.parametrize(("awaited", "failure", "notes"), SUCCESSFUL.values(), ids=SUCCESSFUL)
def test_a_run_with_all_its_snapshots_is_successful_and_notes_what_was_odd(
    awaited: Awaited, failure: Failure | None, notes: tuple[str, ...]
) -> None:
    verdict = judge_snapshots(PLAN, awaited, failure)
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

    verdict = judge_snapshots(plan, awaited or None, failure)

    completed = {volume_id(n) for n, state in seen or [] if state == "completed"}
    whole = plan is not None and {v.volume_id for v in plan.volumes} <= completed
    good = whole and done and all(state == "completed" for _, state in seen or [])
    assert verdict.status == ("Successful" if good else "Failed")
    assert (verdict.cause is None) == good
    assert (verdict.consistency.level == "none") != good
    assert verdict.consistency.level != "application"


def test_each_pair_of_states_of_two_snapshots_is_judged() -> None:
    for states in product(STATES, STATES):
        verdict = judge_snapshots(PLAN, an_awaited(*(a_snapshot(n, state) for n, state in enumerate(states))), None)
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
        ("", "no message was given"),
        (json.dumps({"errorMessage": ""}), '{"errorMessage": ""}'),
    ],
)
def test_the_words_of_an_error_are_found_in_whatever_a_catch_kept(kept: str, words: str) -> None:
    assert cause_of(Failure(Error="X", Cause=kept)) == Cause("X", words)


def test_a_failure_may_come_without_a_cause() -> None:
    assert cause_of(Failure.model_validate({"Error": "States.Timeout"})) == Cause(
        "States.Timeout", "no message was given"
    )


def test_the_moment_of_the_snapshots_is_no_part_of_the_verdict() -> None:
    late = an_awaited(a_snapshot(0, started_at=NOW.replace(year=2020)), a_snapshot(1))
    assert judge_snapshots(PLAN, late, None).status == "Successful"


# ---- The whole run ---------------------------------------------------------------------------------------------------

ASKING = a_plan(settings=some_settings(scripts={}))
OBSTACLE = "the application could not be frozen: the server was stopped"
LESS = ASKING.model_copy(update={"freezes": False, "consistency": Consistency(level="crash", reason=OBSTACLE)})
GOOD = an_awaited(*WHOLE)
BAD = an_awaited(a_snapshot(0), a_snapshot(1, "error"))
BAD_WORDS = f"{SNAPSHOT_1} failed in EBS: no reason given"


def a_failed_script(argument: str = "1") -> ScriptResult:
    return a_script(argument, succeeded=False, exit_code=7)


def ended(**changes: Any) -> Session:
    return a_session("ended", **changes)


def a_run(session: Session | None = None, **parts: Any) -> RunState:
    """A run with scripts that went through all its steps; ``session`` is the server's last answer."""
    whole = {
        "plan": ASKING,
        "freeze": a_freeze(),
        "snapshot": a_snapshot_set(*WHOLE),
        "thaw": a_thaw(a_session("thawed")),
        "await_snapshots": GOOD,
        "complete": a_complete(session or ended()),
    }
    return a_state(**{**whole, **parts})


@dataclass(frozen=True)
class Judged:
    """A verdict in short."""

    status: str
    level: str
    reason: str
    notes: tuple[str, ...] = ()


STILL_HELD = f"{MAYBE_HELD}: the after script ended with exit code 7; {RUN_IT}"
EVERY = "every chosen volume has a completed snapshot"
AFTER_UNKNOWN = "it is not known whether the after script ran"
COMPLETE_UNKNOWN = "it is not known whether the complete script ran"
BY_ITSELF = "the server thawed by itself: no thaw request came in time"
LOST_NOTE = "the answer of CreateSnapshots was lost (OutcomeUnknown); its snapshots were found by their tag"
THAW_LOST = "Thaw got no answer (no answer)"

RUNS = {
    "all good": (a_run(), Judged("Successful", "application", EVERY)),
    "nobody was to be asked": (
        a_state(plan=PLAN, await_snapshots=GOOD),
        Judged("Successful", "crash", EVERY),
    ),
    "nobody could be asked": (
        a_state(plan=LESS, await_snapshots=GOOD),
        Judged("PartiallySuccessful", "crash", OBSTACLE),
    ),
    "nobody could be asked, and the snapshots are bad": (
        a_state(plan=LESS, await_snapshots=BAD),
        Judged("Failed", "none", BAD_WORDS),
    ),
    "before failed": (
        a_run(ended(before=a_failed_script(""))),
        Judged("PartiallySuccessful", "crash", "the before script ended with exit code 7"),
    ),
    "before failed, and the policy takes nothing less": (
        a_run(
            ended(before=a_failed_script("")),
            freeze=a_freeze(
                a_session(before=a_failed_script("")),
                go_on=False,
                reason="the before script ended with exit code 7",
            ),
            snapshot=None,
            await_snapshots=an_awaited(),
        ),
        Judged(
            "Failed",
            "none",
            "the before script ended with exit code 7, and the policy wants application consistency",
        ),
    ),
    "after failed": (
        a_run(ended(after=a_failed_script())),
        Judged("PartiallySuccessful", "application", "the after script ended with exit code 7", (STILL_HELD,)),
    ),
    "complete failed": (
        a_run(ended(complete=a_failed_script())),
        Judged("PartiallySuccessful", "application", "the complete script ended with exit code 7"),
    ),
    "complete is not known": (
        a_run(ended(complete=None)),
        Judged("PartiallySuccessful", "application", COMPLETE_UNKNOWN),
    ),
    "Complete got no answer": (
        a_run(complete=None, complete_failure=a_failure("AgentUnreachable", "no answer")),
        Judged("PartiallySuccessful", "application", f"{COMPLETE_UNKNOWN} (no answer)"),
    ),
    "it thawed by itself": (
        a_run(ended(auto_thawed=True)),
        Judged("PartiallySuccessful", "crash", BY_ITSELF),
    ),
    "Thaw got no answer, Complete did": (
        a_run(thaw=None, thaw_failure=a_failure("AgentUnreachable", "no answer")),
        Judged("PartiallySuccessful", "application", THAW_LOST),
    ),
    "Thaw got no answer, and the server thawed by itself": (
        a_run(ended(auto_thawed=True), thaw=None, thaw_failure=a_failure("AgentUnreachable", "no answer")),
        Judged("PartiallySuccessful", "crash", f"{THAW_LOST}; {BY_ITSELF}"),
    ),
    "nobody answered any more": (
        a_run(
            thaw=None,
            thaw_failure=a_failure("AgentUnreachable", "no answer"),
            complete=None,
            complete_failure=a_failure("AgentUnreachable", "gone"),
        ),
        Judged("PartiallySuccessful", "crash", f"{THAW_LOST}; {AFTER_UNKNOWN}; {COMPLETE_UNKNOWN} (gone)"),
    ),
    "CreateSnapshots' answer was lost": (
        a_run(snapshot=None, failure=a_failure(), await_snapshots=an_awaited(*WHOLE, adopted=True)),
        Judged("PartiallySuccessful", "crash", ADOPTED, (LOST_NOTE,)),
    ),
    "CreateSnapshots' answer was lost, and after failed": (
        a_run(
            ended(after=a_failed_script()),
            snapshot=None,
            failure=a_failure(),
            await_snapshots=an_awaited(*WHOLE, adopted=True),
        ),
        Judged(
            "PartiallySuccessful",
            "crash",
            f"{ADOPTED}; the after script ended with exit code 7",
            (LOST_NOTE, STILL_HELD),
        ),
    ),
    "Freeze got no answer": (
        a_run(
            ended(before=a_script(succeeded=False, exit_code=None, reason="NotStarted"), after=a_script("0")),
            freeze=None,
            freeze_failure=a_failure("AgentUnreachable", "no answer"),
            snapshot=None,
            await_snapshots=an_awaited(),
        ),
        Judged(
            "Failed",
            "none",
            "no answer",
            ("the before script was not started: the session runner was not running, or the thaw came first",),
        ),
    ),
    "Freeze lost its lease before it asked": (
        a_state(
            plan=ASKING,
            freeze_failure=a_failure("LeaseLost", "too late"),
            thaw=a_thaw(None),
            await_snapshots=an_awaited(),
            complete=a_complete(None, succeeded=False),
        ),
        Judged("Failed", "none", "too late"),
    ),
    "the snapshots are bad, all else good": (
        a_run(await_snapshots=BAD),
        Judged("Failed", "none", BAD_WORDS),
    ),
    "EC2 refused, and the server is not known to have thawed": (
        a_run(
            snapshot=None,
            failure=a_failure("SnapshotRefused", "no"),
            await_snapshots=an_awaited(),
            thaw=None,
            thaw_failure=a_failure("AgentUnreachable", "no answer"),
            complete=None,
            complete_failure=a_failure("AgentUnreachable", "gone"),
        ),
        Judged("Failed", "none", "no", (THAW_LOST, AFTER_UNKNOWN, f"{COMPLETE_UNKNOWN} (gone)")),
    ),
    "Plan refused": (
        a_state(failure=a_failure("PolicyRefused", "no")),
        Judged("Failed", "none", "no"),
    ),
}


@pytest.mark.parametrize(("state", "judged"), RUNS.values(), ids=RUNS)
@pytest.mark.chapter("6.3.4 status")
def test_each_way_that_a_run_can_go_has_its_verdict(state: RunState, judged: Judged) -> None:
    verdict = judge(gather(state))
    assert Judged(verdict.status, verdict.consistency.level, verdict.reason, verdict.notes) == judged
    assert (verdict.cause is None) == (judged.status != "Failed")


def test_a_before_script_that_the_policy_could_not_do_without_has_an_error_of_its_own() -> None:
    verdict = judge(gather(RUNS["before failed, and the policy takes nothing less"][0]))
    assert verdict.cause
    assert verdict.cause.error == NOT_FROZEN


def test_an_application_that_was_held_is_told_with_what_shows_it() -> None:
    assert judge(gather(a_run())).consistency.reason == HELD


def test_the_first_problem_is_why_the_application_was_not_held() -> None:
    state = a_run(ended(before=a_failed_script(""), complete=a_failed_script("0")))
    assert judge(gather(state)).consistency.reason == "the before script ended with exit code 7"


scripts = st.sampled_from(["good", "failed", "unknown"])
whole_runs = st.fixed_dictionaries(
    {
        "before": scripts,
        "after": scripts,
        "complete": scripts,
        "auto_thawed": st.booleans(),
        "runner_lost": st.booleans(),
        "adopted": st.booleans(),
        "thaw_answered": st.booleans(),
        "complete_answered": st.booleans(),
        "snapshots": st.sampled_from(["good", "error", "none"]),
        "go_on": st.booleans(),
        "asked": st.sampled_from(["asked", "could not be", "was not to be"]),
    }
)
SCRIPT = {"good": a_script("1"), "failed": a_failed_script(), "unknown": None}


def a_run_of(way: dict[str, Any]) -> RunState:
    """The state document of a run that went this way."""
    session = ended(
        before=SCRIPT[way["before"]],
        after=SCRIPT[way["after"]],
        complete=SCRIPT[way["complete"]],
        auto_thawed=way["auto_thawed"],
        runner_lost=way["runner_lost"],
    )
    lost = a_failure("AgentUnreachable", "no answer")
    snapshots = {"good": WHOLE, "error": (a_snapshot(0), a_snapshot(1, "error")), "none": ()}[way["snapshots"]]
    parts: dict[str, Any] = {
        "plan": {"asked": ASKING, "could not be": LESS, "was not to be": PLAN}[way["asked"]],
        "await_snapshots": an_awaited(*snapshots, adopted=way["adopted"]),
        "failure": a_failure() if way["adopted"] else None,
    }
    if way["asked"] == "asked":
        parts |= {"freeze": a_freeze(session, go_on=way["go_on"])}
        parts |= {"thaw": a_thaw(session)} if way["thaw_answered"] else {"thaw_failure": lost}
        parts |= {"complete": a_complete(session)} if way["complete_answered"] else {"complete_failure": lost}
    return a_state(**parts)


@given(whole_runs)
def test_no_run_is_ever_better_than_everything_that_happened_in_it(way: dict[str, Any]) -> None:
    verdict = judge(gather(a_run_of(way)))

    asked = way["asked"] == "asked"
    whole = way["snapshots"] == "good" and (way["go_on"] or not asked)
    held = asked and way["before"] == "good" and way["after"] != "unknown" and not way["auto_thawed"]
    held = held and not way["adopted"] and not way["runner_lost"]
    smooth = held and way["after"] == "good" and way["complete"] == "good"
    smooth = smooth and way["thaw_answered"] and way["complete_answered"]
    good = whole and (smooth or way["asked"] == "was not to be")
    assert verdict.status == ("Successful" if good else "PartiallySuccessful" if whole else "Failed")
    assert verdict.consistency.level == ("none" if not whole else "application" if held else "crash")
    assert verdict.reason
    assert verdict.consistency.reason


@given(whole_runs)
@pytest.mark.chapter("6.4.4 argument")
def test_the_complete_script_hears_of_success_only_if_all_before_it_succeeded(way: dict[str, Any]) -> None:
    succeeded = gather(a_run_of(way | {"complete": "unknown"})).succeeded_so_far
    with_complete = a_run_of(way | {"complete": "good", "complete_answered": True})
    assert succeeded == (judge(gather(with_complete)).status == "Successful")


def test_without_a_plan_nothing_succeeded() -> None:
    assert not gather(a_state()).succeeded_so_far
