"""How Sweep judges an execution that ended without Report: never better than what is known about it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from quiesce.backup.findings import gather
from quiesce.backup.run import identify
from quiesce.backup.session_problems import was_asked
from quiesce.backup.swept import left_by, with_end
from quiesce.backup.verdict import judge
from quiesce.executions import execution_of, input_of
from quiesce.guest.answers import Session
from tests.support.factories.run import EXECUTION, INSTANCE, NOW, a_plan, a_session, a_snapshot, some_settings

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


@pytest.mark.parametrize("session", [None, a_session("thawed"), a_session("ended")])
@pytest.mark.parametrize("found", [[], [a_snapshot(0)], [a_snapshot(0), a_snapshot(1)]])
@pytest.mark.parametrize("status", WORDS)
def test_what_was_swept_has_failed_for_its_true_reason_whatever_is_found(
    session: Session | None, found: list[Any], status: str
) -> None:
    problem = "" if session else "no answer; the server thaws and ends its session by itself"
    state = with_end(left_by(an_event(status), an_item()), session, problem, found, NOW)
    verdict = judge(gather(state))
    assert (verdict.status, verdict.consistency.level) == ("Failed", "none")
    assert verdict.cause
    assert (verdict.cause.error, verdict.reason) == WORDS[status]
    assert state.session == session


@pytest.mark.parametrize("found", [[], [a_snapshot(0), a_snapshot(1)]])
def test_the_record_of_a_sweep_says_what_the_server_did_not_say_and_nothing_that_nobody_knows(found: list[Any]) -> None:
    state = with_end(left_by(an_event(), an_item()), None, "no answer; the server thaws by itself", found, NOW)
    assert judge(gather(state)).notes == (
        "the server did not report its session",
        "it is not known whether the complete script ran (no answer; the server thaws by itself)",
    )


def test_a_sweep_that_had_nobody_to_ask_complains_of_nothing() -> None:
    state = with_end(left_by(an_event(), an_item_without("attempt")), None, "", [], NOW)
    assert judge(gather(state)).notes == ()


def test_snapshots_that_were_found_are_the_runs() -> None:
    state = with_end(left_by(an_event(), an_item()), None, "", [a_snapshot(0)], NOW)
    assert state.await_snapshots
    assert (state.await_snapshots.snapshots, state.await_snapshots.done) == ([a_snapshot(0)], False)
