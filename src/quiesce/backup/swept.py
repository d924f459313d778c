"""The state document of an execution that ended without a report, as sweep rebuilds it from event and table."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from quiesce.backup.state import Awaited, Complete, Plan, RunState
from quiesce.errors import AgentUnreachable
from quiesce.executions import Failure, cause_of_ending, execution_of, input_of
from quiesce.guest.answers import Session
from quiesce.points.parts import Snapshot


def left_by(detail: Mapping[str, Any], run_item: Mapping[str, str]) -> RunState:
    """Return what event and table show of a run.

    Args:
        detail: of a "Step Functions Execution Status Change" event; ``startDate`` in milliseconds since 1970.
        run_item: the run's item in the table, as Plan and Freeze left it; empty if Plan failed before it wrote one.
    """
    plan = Plan.model_validate_json(run_item["plan"]) if "plan" in run_item else None
    if plan and "attempt" not in run_item:  # Freeze was not entered: the server was not asked
        plan = plan.model_copy(update={"freezes": False})
    cause = cause_of_ending(detail)
    return RunState(
        execution=execution_of(detail),
        input=input_of(detail),
        plan=plan,
        swept_attempt=int(run_item.get("attempt", "1")),
        failure=Failure(Error=cause.error, Cause=cause.words),
    )


def with_end(state: RunState, session: Session | None, problem: str, found: list[Snapshot], now: datetime) -> RunState:
    """Add the session at its end or why the server did not report it, and the snapshots with the run's tag.

    Sweep does not wait for them to complete: a swept run is no recovery point, whatever it left.
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
    failure = Failure(Error=AgentUnreachable.__name__, Cause=problem) if problem else None
    return state.model_copy(update={"complete": complete, "complete_failure": failure, "await_snapshots": awaited})
