"""The account of a recovery: what exists now, and why it ended. Pure."""

from collections.abc import Sequence
from typing import Literal

from quiesce.recover_plan import RecoveryPlan
from quiesce.state import Crossing


class Remains(Crossing):
    """Something that a recovery made and that exists: ``what`` says what it is for."""

    kind: Literal["server", "volume", "security group"]
    resource_id: str
    state: str
    what: str


class Account(Crossing):
    """How a recovery ended; every field is explained in docs/recovery.md."""

    recovery_id: str
    status: Literal["Recovered", "Failed"]
    reason: str
    recovery_point: str
    instance_id: str
    exists: list[Remains]


def recovered(plan: RecoveryPlan, instance_id: str, exists: Sequence[Remains]) -> Account:
    """Return the account of a recovery that went well."""
    at = f"{plan.snapshots_at:%Y-%m-%d %H:%M:%S} UTC"
    caution = f"; {plan.caution}" if plan.caution else ""
    reason = f"{instance_id} runs with the volumes of {plan.from_instance_id} of {at}{caution}"
    return _account(plan.recovery_id, plan, "Recovered", reason, instance_id, exists)


def failed(recovery_id: str, plan: RecoveryPlan | None, words: str, exists: Sequence[Remains]) -> Account:
    """Return the account of a recovery that failed: its reason ends with what exists, and what to do with it."""
    remains = ", ".join(f"{r.kind} {r.resource_id} ({r.state})" for r in exists)
    if not exists:
        state = "Nothing of it exists"
    elif plan and plan.on_failure == "clean-up":
        state = f"Not all could be cleaned up; this exists: {remains}"
    else:
        state = f"This exists: {remains}; go on under recovery_id '{recovery_id}', or start that with clean-up"
    server = next((r.resource_id for r in exists if r.kind == "server"), "")
    return _account(recovery_id, plan, "Failed", f"{words.rstrip('.')}. {state}.", server, exists)


def _account(
    recovery_id: str,
    plan: RecoveryPlan | None,
    status: Literal["Recovered", "Failed"],
    reason: str,
    instance_id: str,
    exists: Sequence[Remains],
) -> Account:
    return Account(
        recovery_id=recovery_id,
        status=status,
        reason=reason,
        recovery_point=plan.recovery_point if plan else "",
        instance_id=instance_id,
        exists=list(exists),
    )
