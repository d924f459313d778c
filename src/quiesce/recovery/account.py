"""The account of a recovery: what exists now, and how it ended. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from quiesce.errors import RecoveryUsedUp, next_step
from quiesce.executions import Cause, Crossing, Execution
from quiesce.recovery.hand_over import HandOver
from quiesce.recovery.instants import at, fallback, instants, standing
from quiesce.recovery.plan import RecoveryPlan

# The remedy where the recovery's id can't be used again: EC2 remembers what was requested under it.
OTHER_ID = "start a new recovery, under another id"


class Remains(Crossing):
    """A resource that a recovery made and that exists; ``what`` is its purpose."""

    kind: Literal["server", "volume", "security group", "snapshot"]
    resource_id: str
    state: str
    what: str


class Account(Crossing):
    """How a recovery ended; every field is explained in docs/use/recover.md."""

    recovery_id: str
    status: Literal["Recovered", "Failed"]
    error: str = ""
    reason: str
    consistency: str = ""
    volumes: list[str] = []
    fallback: str = ""
    passed_over: list[str] = []
    notes: list[str] = []
    recovery_point: str
    from_instance_id: str
    snapshots_at: datetime | None
    instance_id: str
    exists: list[Remains]
    execution: str
    started_by: str = ""
    started_at: datetime
    ended_at: datetime
    took: str = ""
    account: str
    hand_over: HandOver | None = None
    untold: str = ""


@dataclass(frozen=True)
class Ending:
    """Which execution of which recovery ends, when, where its account is kept, and how long its states took."""

    recovery_id: str
    execution: Execution
    ended_at: datetime
    place: str
    took: str = ""


def recovered(
    ending: Ending, plan: RecoveryPlan, instance_id: str, exists: Sequence[Remains], handed: HandOver | None = None
) -> Account:
    """Return the account of a recovery that succeeded."""
    built = bool(plan.built or (plan.looked and plan.looked.children))
    state = "built as of their shadow copies" if built else f"as of {at(plan.snapshots_at)}"
    reason = f"{instance_id} runs with the volumes of {plan.from_instance_id} {state}"
    account = _account(ending, plan, "Recovered", reason, instance_id, exists)
    return account.model_copy(update={"hand_over": handed})


def failed(
    ending: Ending, plan: RecoveryPlan | None, cause: Cause, exists: Sequence[Remains], *, runs: bool = False
) -> Account:
    """Return the account of a recovery that failed: its reason ends with what exists, and what to do with it.

    ``runs`` says that the server passes EC2's status checks, for which clean-up has left it.
    """
    if runs:
        state = f"{_server(exists)} is kept all the same: it runs and passes EC2's status checks; log on and look"
        state += f"; {_restart(ending)}; if you don't want it, delete {_listed(exists)}"
    elif not exists:
        state = "Nothing that it made exists"
    elif plan and plan.on_failure == "clean-up":
        state = f"The clean-up is not complete; this exists: {_listed(exists)}"
    elif cause.error == RecoveryUsedUp.__name__:
        remedy = f"to delete it, start '{ending.recovery_id}' again with on_failure 'clean-up'"
        state = f"This exists: {_listed(exists)}; {remedy}"
    else:
        remedy = f"{_restart(ending)}; with on_failure 'clean-up', this is deleted if it fails again"
        state = f"This exists: {_listed(exists)}; {remedy}"
    to_do = next_step(cause.error, cause.words)
    words = ". ".join([f"{cause.error}: {cause.words.rstrip('.')}", *([f"Next: {to_do}"] if to_do else []), state])
    reason = f"{words}."
    account = _account(ending, plan, "Failed", reason, _server(exists), exists)
    # Of a build that failed the state machine has only that its task did.
    return account.model_copy(update={"error": cause.error})


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
        consistency=standing(plan) if plan else "",
        volumes=instants(plan) if plan else [],
        fallback=fallback(plan) if plan else "",
        passed_over=plan.passed_over if plan else [],
        notes=plan.notes if plan else [],
        recovery_point=plan.recovery_point if plan else "",
        from_instance_id=plan.from_instance_id if plan else "",
        snapshots_at=plan.snapshots_at if plan else None,
        instance_id=instance_id,
        exists=list(exists),
        execution=ending.execution.id,
        started_at=ending.execution.started_at,
        ended_at=ending.ended_at,
        took=ending.took,
        account=ending.place,
    )
