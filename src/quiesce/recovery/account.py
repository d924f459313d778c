"""The account of a recovery: what exists now, and how it ended. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from quiesce.errors import RecoveryUsedUp
from quiesce.executions import Cause, Crossing, Execution
from quiesce.recovery.plan import RecoveryPlan

# The remedy where the recovery's id can't be used again: EC2 remembers what was requested under it.
OTHER_ID = "start a new recovery, under another id"


class Remains(Crossing):
    """A resource that a recovery made and that exists; ``what`` is its purpose."""

    kind: Literal["server", "volume", "security group"]
    resource_id: str
    state: str
    what: str


class Account(Crossing):
    """How a recovery ended; every field is explained in docs/use/recover.md."""

    recovery_id: str
    status: Literal["Recovered", "Failed"]
    reason: str
    recovery_point: str
    from_instance_id: str
    snapshots_at: datetime | None
    instance_id: str
    exists: list[Remains]
    execution: str
    started_at: datetime
    ended_at: datetime
    account: str
    untold: str = ""


@dataclass(frozen=True)
class Ending:
    """Which execution of which recovery ends, when, and where its account is kept."""

    recovery_id: str
    execution: Execution
    ended_at: datetime
    place: str


def recovered(ending: Ending, plan: RecoveryPlan, instance_id: str, exists: Sequence[Remains]) -> Account:
    """Return the account of a recovery that succeeded."""
    at = f"{plan.snapshots_at:%Y-%m-%d %H:%M:%S} UTC"
    caution = f"; {plan.caution}" if plan.caution else ""
    reason = f"{instance_id} runs with the volumes of {plan.from_instance_id} as of {at}{caution}"
    return _account(ending, plan, "Recovered", reason, instance_id, exists)


def failed(ending: Ending, plan: RecoveryPlan | None, cause: Cause, exists: Sequence[Remains]) -> Account:
    """Return the account of a recovery that failed: its reason ends with what exists, and what to do with it."""
    if not exists:
        state = "Nothing that it made exists"
    elif plan and plan.on_failure == "clean-up":
        state = f"The clean-up is not complete; this exists: {_listed(exists)}"
    elif cause.error == RecoveryUsedUp.__name__:
        remedy = f"to delete it, start '{ending.recovery_id}' again with on_failure 'clean-up'"
        state = f"This exists: {_listed(exists)}; {remedy}"
    else:
        remedy = f"{_restart(ending)}; with on_failure 'clean-up', this is deleted if it fails again"
        state = f"This exists: {_listed(exists)}; {remedy}"
    reason = f"{cause.error}: {cause.words.rstrip('.')}. {state}."
    return _account(ending, plan, "Failed", reason, _server(exists), exists)


def cut_off(ending: Ending, plan: RecoveryPlan | None, cause: Cause, exists: Sequence[Remains]) -> Account:
    """Return the account of a recovery whose execution was cut off: nothing is cleaned up, and a step may still run."""
    state = f"This exists: {_listed(exists)}" if exists else "EC2 lists nothing that it made"
    late = "a step that was running may add to it, under the same tag quiesce:recovery"
    reason = f"{cause.error}: {cause.words}. {state}; {late}; {_restart(ending)}."
    return _account(ending, plan, "Failed", reason, _server(exists), exists)


def _restart(ending: Ending) -> str:
    return f"to go on, start it again under recovery_id '{ending.recovery_id}'"


def _listed(exists: Sequence[Remains]) -> str:
    return ", ".join(f"{r.kind} {r.resource_id} ({r.state})" for r in exists)


def _server(exists: Sequence[Remains]) -> str:
    return next((r.resource_id for r in exists if r.kind == "server"), "")


def _account(
    ending: Ending,
    plan: RecoveryPlan | None,
    status: Literal["Recovered", "Failed"],
    reason: str,
    instance_id: str,
    exists: Sequence[Remains],
) -> Account:
    return Account(
        recovery_id=ending.recovery_id,
        status=status,
        reason=reason,
        recovery_point=plan.recovery_point if plan else "",
        from_instance_id=plan.from_instance_id if plan else "",
        snapshots_at=plan.snapshots_at if plan else None,
        instance_id=instance_id,
        exists=list(exists),
        execution=ending.execution.id,
        started_at=ending.execution.started_at,
        ended_at=ending.ended_at,
        account=ending.place,
    )
