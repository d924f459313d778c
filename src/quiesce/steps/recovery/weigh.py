"""Weigh: what was found of building the volumes decides whether the recovery goes on, before anything is launched."""

from datetime import datetime

from quiesce.aws.recoveries import Recoveries
from quiesce.recovery.describing import describe
from quiesce.recovery.instants import instants, refusal, standing
from quiesce.recovery.state import Planned, RecoveryState


def weigh(recoveries: Recoveries, state: RecoveryState, now: datetime) -> Planned:
    """Add what can be built to the plan, and keep it, so that another execution under this id builds the same.

    Returns:
        The plan in full; a dry run has what stops the recovery among its problems.

    Raises:
        RecoveryRefused: some volumes can't be built, and the input does not accept that; not retried.
    """
    planned, looked = state.plan, state.look
    if planned is None or looked is None:
        raise ValueError("the state document has no plan: start the recover machine, not a state of it")
    plan = planned.plan.model_copy(update={"looked": looked})
    stopped = refusal(plan)
    if plan.mode == "instance":
        if stopped:
            raise stopped
        plan = recoveries.keep_looked(plan)
    problems = [*planned.problems, *([str(stopped)] if stopped else [])]
    return planned.model_copy(
        update={
            "plan": plan,
            "consistency": standing(plan),
            "volumes": instants(plan),
            "to_look": False,
            "to_build": plan.mode == "instance" and bool(plan.looked and plan.looked.children),
            "possible": not problems,
            "steps": describe(plan),
            "problems": problems,
            "weighed_at": now,
        }
    )
