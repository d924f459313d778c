"""The state document of an execution that ended without a report, as sweep puts it together.

The event says how it ended, the table what Plan and Freeze kept there, the history what its states had left.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from quiesce.backup.state import Complete, Plan, RunState
from quiesce.errors import AgentUnreachable
from quiesce.executions import Failure, cause_of_ending, execution_of, failure_of, input_of


@dataclass(frozen=True)
class Ended:
    """How the server ended its session for sweep: its ``complete``, or the ``problem`` why it did not report it."""

    complete: Complete | None = None
    problem: str = ""


def left_by(detail: Mapping[str, Any], run_item: Mapping[str, str]) -> RunState:
    """Return what event and table show of a run: all that is needed to thaw its server.

    Args:
        detail: of a "Step Functions Execution Status Change" event; ``startDate`` in milliseconds since 1970.
        run_item: the run's item in the table, as Plan and Freeze left it; empty if Plan failed before it wrote one.
    """
    cause = cause_of_ending(detail)
    ended = Failure(Error=cause.error, Cause=cause.words)
    plan = Plan.model_validate_json(run_item["plan"]) if "plan" in run_item else None
    asked = "attempt" in run_item
    return RunState(
        execution=execution_of(detail),
        input=input_of(detail),
        plan=_as_entered(plan, asked=asked),
        swept_attempt=int(run_item["attempt"]) if asked else 1,
        swept=ended,
        failure=ended,
    )


def remembered(left: RunState, run_item: Mapping[str, str], document: Any) -> RunState:
    """Add what the states had left, by the newest document in the execution's history.

    A freeze that had not ended, or was to be tried again, is one that failed because the execution ended.

    Args:
        left: from event and table, whose attempt is the newer one: Freeze writes it before it asks the server.
        run_item: as above.
        document: as ``aws.history.last_document`` returns it; the input of the first states is no state document.
    """
    if not isinstance(document, dict) or not isinstance(document.get("execution"), dict):
        return left
    try:
        state = RunState.model_validate(document)
    except ValidationError as error:
        # The state machine was updated while it ran.
        return left.model_copy(update={"unread": failure_of(error)})
    asked = "attempt" in run_item
    begun = {
        "plan": _as_entered(state.plan or left.plan, asked=asked),
        "swept_attempt": left.swept_attempt,
        "swept": left.swept,
    }
    if state.failure is None and (state.snapshot_failure is None or state.given_up):
        begun["failure"] = left.swept
    if asked and state.freeze_failure is None and _is_freezing(state, left.attempt):
        begun["freeze_failure"] = left.swept
    return state.model_copy(update=begun)


def with_end(state: RunState, ended: Ended) -> RunState:
    """Add how the server ended its session, unless Complete had heard of it before."""
    if state.complete and state.complete.session:
        return state
    if ended.complete:
        return state.model_copy(update={"complete": ended.complete, "complete_failure": None})
    if ended.problem:
        failure = Failure(Error=AgentUnreachable.__name__, Cause=ended.problem)
        return state.model_copy(update={"complete_failure": failure})
    return state


def _as_entered(plan: Plan | None, *, asked: bool) -> Plan | None:
    """Return the plan, of a run that freezes nothing if Freeze was not entered: the server was not asked."""
    return plan if asked or plan is None else plan.model_copy(update={"freezes": False})


def _is_freezing(state: RunState, attempt: int) -> bool:
    """Say whether the execution ended within an attempt to freeze, or between two."""
    freeze = state.freeze
    if freeze is None or freeze.attempt != attempt:
        return True
    return freeze.retry and state.retry_failure is None and state.snapshot is None
