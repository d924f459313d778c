"""What a run's snapshots are worth by themselves, whatever the application did."""

from dataclasses import dataclass

from quiesce.backup.state import Awaited, Plan
from quiesce.executions import Cause, Failure, cause_of
from quiesce.points.parts import Consistency, Snapshot
from quiesce.points.record import Status

# The error name of a run whose Plan left nothing.
PLAN_MISSING = "PlanMissing"
# The snapshots are not all there, or not all good: the error name of a run that no exception ended.
SNAPSHOTS_INCOMPLETE = "SnapshotsIncomplete"


@dataclass(frozen=True)
class Verdict:
    """What a run is worth, with the reason in words; ``cause`` only where it is Failed."""

    status: Status
    reason: str
    consistency: Consistency
    cause: Cause | None
    notes: tuple[str, ...] = ()


def judge_snapshots(plan: Plan | None, awaited: Awaited | None, failure: Failure | None) -> Verdict:
    """Judge the snapshots of a run alone.

    Args:
        plan: None if Plan did not get through.
        awaited: the last that AwaitSnapshots knew; None if it never answered.
        failure: what the last Catch kept, if any.

    Returns:
        ``Failed`` unless each planned volume has a completed snapshot; a lost answer that was found again is a note.
    """
    cause = cause_of(failure) if failure else None
    if plan is None:
        return failed(cause or Cause(PLAN_MISSING, "Plan gave no answer"))
    if awaited is None or not awaited.done:
        return failed(cause or Cause(SNAPSHOTS_INCOMPLETE, "it is not known whether the snapshots completed"))
    if not awaited.snapshots:
        return failed(cause or Cause(SNAPSHOTS_INCOMPLETE, "no snapshot of this run was found"))
    if problems := [*_missing(plan, awaited), *_bad(awaited, plan)]:
        return failed(Cause(SNAPSHOTS_INCOMPLETE, "; ".join(problems)))
    notes = _notes(plan, awaited, cause)
    return Verdict("Successful", "every chosen volume has a completed snapshot", plan.consistency, None, notes)


def failed(cause: Cause) -> Verdict:
    """Return the verdict of a run that left no recovery point."""
    return Verdict("Failed", cause.words, Consistency(level="none", reason=cause.words), cause)


def _missing(plan: Plan, awaited: Awaited) -> list[str]:
    there = {snapshot.volume_id for snapshot in awaited.snapshots}
    return [f"{v.device} {v.volume_id} has no snapshot" for v in plan.volumes if v.volume_id not in there]


def _bad(awaited: Awaited, plan: Plan) -> list[str]:
    devices = {v.volume_id: v.device for v in plan.volumes}
    return [
        f"{snapshot.snapshot_id} of {devices.get(snapshot.volume_id, 'an unplanned volume')} {_word(snapshot, awaited)}"
        for snapshot in awaited.snapshots
        if snapshot.state != "completed"
    ]


def _word(snapshot: Snapshot, awaited: Awaited) -> str:
    match snapshot.state:
        case "pending":
            pending = "did not complete in time" if awaited.timed_out else "was still pending when another one failed"
            return f"{pending} ({snapshot.progress or 'no progress known'})"
        case "vanished":
            return "vanished: somebody deleted it, or a lifecycle rule did"
        case "error":
            return f"failed in EBS: {snapshot.state_message or 'no reason given'}"
        case _:
            return f"is in the Recycle Bin ({snapshot.state}): somebody deleted it"


def _notes(plan: Plan, awaited: Awaited, cause: Cause | None) -> tuple[str, ...]:
    planned = {v.volume_id for v in plan.volumes}
    notes = [
        f"{s.snapshot_id} is of {s.volume_id}, which was attached after the plan was made"
        for s in awaited.snapshots
        if s.volume_id not in planned
    ]
    if awaited.adopted:
        notes.append(
            f"the answer of CreateSnapshots was lost ({cause.error if cause else 'unknown'}); "
            "its snapshots were found by their tag"
        )
    if not awaited.lease_held:
        notes.append("the server's lease was lost while the snapshots completed; another run may have overlapped")
    return tuple(notes)
