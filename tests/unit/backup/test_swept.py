"""How Sweep judges an execution that ended without Report: never better than what is known about it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from quiesce.backup.awaiting import may_exist, seen_late
from quiesce.backup.findings import ADOPTED, gather
from quiesce.backup.run import identify
from quiesce.backup.session_problems import was_asked
from quiesce.backup.state import Complete
from quiesce.backup.swept import Ended, left_by, remembered, with_end
from quiesce.backup.verdict import judge
from quiesce.executions import Failure, execution_of, input_of
from tests.support.factories.run import (
    EXECUTION,
    INSTANCE,
    NOW,
    a_freeze,
    a_plan,
    a_session,
    a_snapshot,
    a_state,
    an_awaited,
    some_settings,
)

INPUT = {"policy": "files-nightly", "instance_id": INSTANCE}
PLAN = a_plan(settings=some_settings(scripts={}))


def an_event(status: str = "ABORTED", **changes: Any) -> dict[str, Any]:
    """The detail of a "Step Functions Execution Status Change" event (EventBridge's reference)."""
    fields = {
        "executionArn": EXECUTION,
        "stateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:backup",
        "name": "run-1",
        "status": status,
        "startDate": int(NOW.timestamp() * 1000),
        "stopDate": int(NOW.timestamp() * 1000) + 60_000,
        "input": json.dumps(INPUT),
        "output": None,
        "inputDetails": {"included": True},
        "outputDetails": None,
    }
    return {**fields, **changes}


def an_item(**changes: str) -> dict[str, str]:
    """The table's item of a run that entered Freeze."""
    return {"execution": EXECUTION, "status": "Running", "plan": PLAN.model_dump_json(), "attempt": "1", **changes}


def an_item_without(*names: str) -> dict[str, str]:
    return {name: value for name, value in an_item().items() if name not in names}


def test_an_event_names_the_execution_and_when_it_began() -> None:
    execution = execution_of(an_event(startDate=1_773_451_800_123))
    assert (execution.id, execution.name) == (EXECUTION, "run-1")
    assert execution.started_at == datetime(2026, 3, 14, 1, 30, 0, 123_000, UTC)


@pytest.mark.parametrize(
    ("text", "data"), [(json.dumps(INPUT), INPUT), ('"garbage"', "garbage"), (None, None), ("", None)]
)
def test_the_input_is_whatever_it_was(text: str | None, data: Any) -> None:
    assert input_of(an_event(input=text)) == data


def test_an_input_that_the_event_had_no_room_for_is_not_known() -> None:
    event = an_event()
    del event["input"]
    assert input_of(event) is None
    assert identify(execution_of(event), input_of(event)).run_id == "run-1"


WORDS = {
    "ABORTED": ("ExecutionStopped", "the execution was stopped by hand or by its parent"),
    "TIMED_OUT": ("ExecutionTimedOut", "the execution ran longer than the state machine allows"),
    "FAILED": ("ExecutionFailed", "the execution failed before it could record its end"),
}


@pytest.mark.parametrize(("status", "error", "words"), [(s, *w) for s, w in WORDS.items()])
def test_each_ending_has_its_name_and_words(status: str, error: str, words: str) -> None:
    state = left_by(an_event(status), an_item())
    assert state.failure
    assert (state.failure.Error, state.failure.Cause) == (error, words)
    assert (state.plan, state.input) == (PLAN, INPUT)


@pytest.mark.parametrize("status", ["SUCCEEDED", "RUNNING", "PENDING_REDRIVE"])
def test_an_ending_that_leaves_nothing_is_not_swept(status: str) -> None:
    with pytest.raises(KeyError):
        left_by(an_event(status), an_item())


LEFT = {
    "stopped in Plan, before it was claimed": ({}, False),
    "stopped in Plan, before the plan was kept": (an_item_without("plan", "attempt"), False),
    "stopped after Plan, before Freeze": (an_item_without("attempt"), False),
    "stopped in Freeze or later": (an_item(), True),
}


@pytest.mark.parametrize(("item", "asked"), LEFT.values(), ids=LEFT)
def test_a_server_is_asked_to_end_its_session_only_where_freeze_was_entered(
    item: dict[str, str], *, asked: bool
) -> None:
    assert was_asked(left_by(an_event(), item)) == asked


def test_a_plan_that_froze_nothing_stays_so() -> None:
    assert not was_asked(left_by(an_event(), an_item(plan=a_plan().model_dump_json())))


NOT_ASKED = Ended()


def swept(status: str = "ABORTED", item: dict[str, str] | None = None, found: Any = (), ended: Any = NOT_ASKED) -> Any:
    """Return the state of a run without a history, as sweep judges it."""
    left = left_by(an_event(status), an_item() if item is None else item)
    return with_end(left, ended).model_copy(update={"await_snapshots": seen_late(left, found, NOW)})


SILENT = Ended(problem="no answer; the server thaws and ends its session by itself")
THAWED, AT_END = (Ended(Complete(session=a_session(p), succeeded=False, calls={})) for p in ("thawed", "ended"))
ALL = [a_snapshot(0), a_snapshot(1)]
PENDING = [a_snapshot(0), a_snapshot(1, state="pending")]


@pytest.mark.parametrize("ended", [SILENT, THAWED, AT_END])
@pytest.mark.parametrize("found", [[], [a_snapshot(0)], PENDING])
@pytest.mark.parametrize("status", WORDS)
def test_what_was_swept_has_failed_for_its_true_reason_if_its_snapshots_are_not_known_to_be_good(
    ended: Ended, found: list[Any], status: str
) -> None:
    state = swept(status, found=found, ended=ended)
    verdict = judge(gather(state))
    assert (verdict.status, verdict.consistency.level) == ("Failed", "none")
    assert verdict.cause
    if found != [a_snapshot(0)]:
        assert (verdict.cause.error, verdict.reason) == WORDS[status]
    assert state.session == (ended.complete.session if ended.complete else None)


@pytest.mark.parametrize("ended", [SILENT, THAWED, AT_END])
def test_good_snapshots_without_a_history_are_crash_consistent_because_more_is_not_known(ended: Ended) -> None:
    verdict = judge(gather(swept(found=ALL, ended=ended)))
    assert (verdict.status, verdict.consistency.level) == ("PartiallySuccessful", "crash")
    assert "it is not known whether the application was still held" in verdict.consistency.reason


@pytest.mark.parametrize("found", [[], PENDING])
def test_the_record_of_a_sweep_says_what_the_server_did_not_say_and_nothing_that_nobody_knows(found: list[Any]) -> None:
    adopted = [ADOPTED] if found else []
    assert list(judge(gather(swept(found=found, ended=SILENT))).notes) == [
        *adopted,
        "the server did not report its session",
        f"it is not known whether the complete script ran ({SILENT.problem})",
    ]


def test_a_sweep_that_had_nobody_to_ask_complains_of_nothing() -> None:
    assert judge(gather(swept(item=an_item_without("attempt")))).notes == ()


# ---- With the execution's history ------------------------------------------------------------------------------------

LEFT_BY_ABORT = left_by(an_event(), an_item())
FROZEN = a_freeze()


def a_document(**parts: Any) -> dict[str, Any]:
    return a_state(plan=PLAN, **parts).model_dump(mode="json")


@pytest.mark.parametrize("document", [None, {"policy": "files-nightly"}, "a text", [], {"execution": "an ARN"}])
def test_a_history_without_a_state_document_adds_nothing(document: Any) -> None:
    assert remembered(LEFT_BY_ABORT, an_item(), document) == LEFT_BY_ABORT


def test_a_document_that_can_not_be_read_is_not_known() -> None:
    state = remembered(LEFT_BY_ABORT, an_item(), {"execution": {"of": "an older release"}})
    assert state.unread
    assert state.unread.Error == "ValidationError"
    assert state.model_copy(update={"unread": None}) == LEFT_BY_ABORT


def test_what_the_states_had_left_is_the_runs() -> None:
    awaited = an_awaited(*ALL)
    state = remembered(LEFT_BY_ABORT, an_item(), a_document(freeze=FROZEN, await_snapshots=awaited))
    assert (state.plan, state.freeze, state.await_snapshots) == (PLAN, FROZEN, awaited)
    assert (state.swept, state.failure) == (LEFT_BY_ABORT.swept, LEFT_BY_ABORT.swept)
    assert state.freeze_failure is None


FREEZING = {
    "the first attempt": ({}, "1"),
    "a later attempt": ({"freeze": a_freeze(retry=True, go_on=False)}, "2"),
    "the wait between two": ({"freeze": a_freeze(retry=True, go_on=False), "retrying": {"attempt": 1}}, "1"),
}


@pytest.mark.parametrize(("parts", "attempt"), FREEZING.values(), ids=FREEZING)
def test_an_execution_that_ended_while_it_froze_failed_for_that_reason_and_has_no_snapshots(
    parts: dict[str, Any], attempt: str
) -> None:
    item = an_item(attempt=attempt)
    state = remembered(left_by(an_event(), item), item, a_document(**parts))
    assert state.attempt == int(attempt)
    assert not may_exist(state)
    verdict = judge(gather(state))
    assert verdict.cause
    assert verdict.cause.error == "ExecutionStopped"


def test_an_error_that_a_state_had_caught_stays_the_cause() -> None:
    lost = Failure(Error="OutcomeUnknown", Cause="lost")
    state = remembered(LEFT_BY_ABORT, an_item(), a_document(freeze=FROZEN, failure=lost))
    assert state.failure == lost
    refused = Failure(Error="SnapshotRefused", Cause="no")
    state = remembered(LEFT_BY_ABORT, an_item(), a_document(freeze=FROZEN, snapshot_refused=refused))
    assert (state.failure, state.snapshot_failure) == (None, refused)


def test_a_run_that_was_stopped_before_another_attempt_was_ended_by_that() -> None:
    refused = Failure(Error="SnapshotLimitWhileFrozen", Cause="no")
    document = a_document(freeze=FROZEN, snapshot_refused=refused, retrying={"attempt": 1})
    assert remembered(LEFT_BY_ABORT, an_item(), document).failure == LEFT_BY_ABORT.swept


def test_what_complete_had_heard_counts_more_than_a_server_that_is_gone_now() -> None:
    heard = Complete(session=a_session("ended"), succeeded=True, ending="completed", calls={})
    state = remembered(LEFT_BY_ABORT, an_item(), a_document(freeze=FROZEN, complete=heard))
    for ended in (SILENT, THAWED):
        assert with_end(state, ended) == state


def test_a_server_that_answers_sweep_makes_good_what_complete_did_not_hear() -> None:
    unheard = Failure(Error="AgentUnreachable", Cause="gone")
    state = remembered(LEFT_BY_ABORT, an_item(), a_document(freeze=FROZEN, complete_failure=unheard))
    assert with_end(state, AT_END).complete_failure is None
    assert with_end(state, SILENT).complete_failure != unheard
