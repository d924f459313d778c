"""What sweep makes of an execution that ended without a report: the state document that the execution took with it."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from quiesce.backup.state import Awaited, Complete, Execution, Failure, Plan, RunState, Snapshot
from quiesce.errors import AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused
from quiesce.guest.answers import Session, session_of
from quiesce.guest.patience import session_parameters, sweep_wait

if TYPE_CHECKING:
    from quiesce.aws.ssm import Guest

# Statuses of the event that can leave a run without its record; a failed one mostly has it.
WORDS = {
    "ABORTED": ("ExecutionStopped", "the execution was stopped by hand or by its parent"),
    "TIMED_OUT": ("ExecutionTimedOut", "the execution ran longer than the state machine allows"),
    "FAILED": ("ExecutionFailed", "the execution failed before anybody could tell its end"),
}


def execution_of(detail: Mapping[str, Any]) -> Execution:
    """Return the execution that an event speaks of."""
    started_at = datetime.fromtimestamp(detail["startDate"] / 1000, UTC)
    return Execution(id=detail["executionArn"], name=detail["name"], started_at=started_at)


def input_of(detail: Mapping[str, Any]) -> Any:
    """Return the execution's input; the event has none if it was too large."""
    return json.loads(detail.get("input") or "null")


def left_by(detail: Mapping[str, Any], run_item: Mapping[str, str]) -> RunState:
    """Return what is known of a run: from the event's detail, and from the run's item in the table.

    Args:
        detail: of a "Step Functions Execution Status Change" event; ``startDate`` in milliseconds since 1970.
        run_item: as Plan and Freeze left it; empty if Plan did not get that far.
    """
    error, words = WORDS[detail["status"]]
    plan = Plan.model_validate_json(run_item["plan"]) if "plan" in run_item else None
    if plan and "attempt" not in run_item:  # Freeze was not entered: nobody asked the server
        plan = plan.model_copy(update={"freezes": False})
    return RunState(
        execution=execution_of(detail),
        input=input_of(detail),
        plan=plan,
        swept_attempt=int(run_item.get("attempt", "1")),
        failure=Failure(Error=error, Cause=words),
    )


def with_end(state: RunState, session: Session | None, problem: str, found: list[Snapshot], now: datetime) -> RunState:
    """Add what the server said at the end or why it said nothing, and the snapshots that carry the run's tag.

    Nobody waits for these to complete: what was swept is no recovery point, whatever was found.
    """
    awaited = Awaited(
        done=False,
        wait_s=0,
        snapshots=found,
        adopted=False,
        looking_since=now,
        lease_held=True,
        rounds=1,
        calls={},
    )
    complete = Complete(session=session, succeeded=False, calls={}) if session else None
    failure = Failure(Error="AgentUnreachable", Cause=problem) if problem else None
    return state.model_copy(update={"complete": complete, "complete_failure": failure, "await_snapshots": awaited})


def end_session(guest: "Guest", plan: Plan, attempt: int) -> tuple[Session | None, str]:
    """Have the session end, with 0; it thaws before, if nobody has asked for that yet.

    Returns:
        What the server said, or why it said nothing: it keeps its own deadlines.
    """
    wait_s, patience = sweep_wait(plan.settings.limits)
    try:
        return session_of(guest.ask("complete", session_parameters(plan, attempt, wait_s), patience)), ""
    except (AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused) as error:
        return None, f"{error}; the server thaws and ends its session by itself"
