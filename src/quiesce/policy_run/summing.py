"""What a policy run came to, by what its servers' runs left in the table. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from quiesce.executions import Cause, starter_of
from quiesce.points.record import Record
from quiesce.policy_run.input import PolicyRunIdentity
from quiesce.policy_run.state import Ended, Found, Item, Status, Summary

# A state document has 256 KiB, and a person reads no more.
WORST = 20
LONGEST_REASON = 300
# Of clusters all of whose nodes believe that another one is to be backed up, and of policies that mean no other.
NOBODY = (
    "no server was backed up: each said that another node of its cluster is the one. A policy must mean all nodes of a "
    "cluster; docs/use/clusters.md says more"
)
# In the order in which a person wants to know of them.
ORDER = ("Failed", "Unreported", "NotStarted", "PartiallySuccessful", "Skipped", "Successful")


@dataclass(frozen=True)
class Known:
    """What is known of a policy run: what Resolve found, what its servers left, and why it did not go on."""

    found: Found | None
    ends: Sequence[Ended]
    cause: Cause | None


def end_of(record: Record, remark: str) -> Ended:
    """Return what a server's run leaves of itself for its policy run."""
    return Ended(
        instance_id=record.instance_id,
        instance_name=record.instance_name,
        run_id=record.run_id,
        status=record.status,
        reason=record.reason[:LONGEST_REASON],
        consistency=record.consistency.level,
        remark=remark,
        record=record.record,
    )


def all_ends(items: Sequence[Item], ended: Mapping[str, Ended], unreported: Mapping[str, str]) -> list[Ended]:
    """Return what became of each server of a policy run, in the order of the list.

    Args:
        items: every server that was to be backed up.
        ended: what their runs left, by instance id.
        unreported: why a run that began left nothing, by instance id.
    """
    return [ended.get(item.instance_id) or _without_end(item, unreported.get(item.instance_id)) for item in items]


def _without_end(item: Item, why: str | None) -> Ended:
    known = {"instance_id": item.instance_id, "run_id": item.name}
    if why is None:
        return Ended(**known, status="NotStarted", reason="no run of it began in this policy run")
    return Ended(**known, status="Unreported", reason=why)


def summarize(
    run: PolicyRunIdentity, raw: Any, known: Known, *, started_at: datetime, now: datetime, place: str
) -> Summary:
    """Return the summary of a policy run, which is as small for 10,000 servers as for 20."""
    data = raw if isinstance(raw, dict) else {}
    by_status: Counter[str] = Counter(end.status for end in known.ends)
    status, reason = _judge(by_status, known)
    bad = [end for end in known.ends if end.status not in ("Successful", "Skipped")]
    worst = sorted(bad, key=lambda end: ORDER.index(end.status))[:WORST]
    return Summary(
        policy=run.policy,
        run_id=run.run_id,
        status=status,
        reason=reason,
        servers=len(known.ends),
        by_status={name: by_status[name] for name in ORDER if by_status[name]},
        by_consistency=dict(sorted(Counter(end.consistency for end in known.ends).items())),
        worst=worst,
        remarks=dict(sorted(Counter(end.remark for end in known.ends if end.remark).items())),
        notes=known.found.notes if known.found else [],
        warnings=[*(known.found.warnings if known.found else []), *([NOBODY] if _nobody(by_status) else [])],
        scheduled_time=_text(data.get("scheduled_time")),
        schedule=_text(data.get("schedule")),
        started_by=starter_of(raw),
        started_at=started_at,
        ended_at=now,
        failure=known.cause.error if known.cause else "",
        all=place,
        execution=run.execution,
    )


def _judge(by_status: Mapping[str, int], known: Known) -> tuple[Status, str]:
    servers, good, partial = sum(by_status.values()), by_status["Successful"], by_status["PartiallySuccessful"]
    mixed: Status = "PartiallySuccessful" if good or partial else "Failed"
    if known.cause:
        return mixed, f"{known.cause.error}: {known.cause.words}"
    if reason := _why_skipped(by_status, known.found):
        return "Skipped", reason
    if good + by_status["Skipped"] == servers:
        return "Successful", _good_words(servers, good)
    counted = ", ".join(f"{by_status[name]} {name}" for name in ORDER if by_status[name])
    return mixed, f"of {servers} server{'s' if servers > 1 else ''}: {counted}"


def _why_skipped(by_status: Mapping[str, int], found: Found | None) -> str:
    """Return why nothing was backed up and nothing has failed; empty if something was, or has.

    Without a server, or with passive nodes alone, it is told by a warning that such a run always has; it is no good
    one, and breaks no series of good ones.
    """
    servers = sum(by_status.values())
    if (found and found.skipped) or not servers:
        return (found.skipped if found else "") or "there was no server to back up"
    return f"role leaves out {'its server' if servers == 1 else f'all {servers} servers'}" if _nobody(by_status) else ""


def _good_words(servers: int, good: int) -> str:
    if good == servers:
        return "its server is backed up" if servers == 1 else f"all {servers} servers are backed up"
    skipped = servers - good
    passive = f"{skipped} passive node{'s' if skipped > 1 else ''} of clusters {'were' if skipped > 1 else 'was'}"
    return f"of {servers} servers {good} {'is' if good == 1 else 'are'} backed up, {passive} skipped"


def _nobody(by_status: Mapping[str, int]) -> bool:
    """Say whether all servers were skipped, and there was one."""
    return bool(by_status["Skipped"]) and by_status["Skipped"] == sum(by_status.values())


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
