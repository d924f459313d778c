"""The verdict on a run's snapshots alone, whatever the application did."""

from dataclasses import dataclass

from quiesce.backup.state import Awaited, Plan
from quiesce.executions import Cause, Failure, cause_of
from quiesce.points.parts import Consistency, Snapshot
from quiesce.points.record import Status

# The error name of a run without a plan.
PLAN_MISSING = "PlanMissing"
# The error name of a run that no exception ended: a snapshot is missing or not completed.
SNAPSHOTS_INCOMPLETE = "SnapshotsIncomplete"


@dataclass(frozen=True)
class Verdict:
    """The verdict on a run, with its reason as a sentence; ``cause`` only if it is Failed."""

    status: Status
    reason: str
    consistency: Consistency
    cause: Cause | None
    notes: tuple[str, ...] = ()


def judge_snapshots(plan: Plan | None, awaited: Awaited | None, failure: Failure | None) -> Verdict:
    """Judge the snapshots of a run alone.

    Args:
        plan: None if Plan failed.
        awaited: the last answer of AwaitSnapshots; None if it never answered.
        failure: the error that the last Catch kept, if any.

    Returns:
        ``Skipped`` if the plan backs up nothing; ``Failed`` unless each planned volume has a completed snapshot; those
        found by their tag are noted.
    """
    cause = cause_of(failure) if failure else None
    if plan is None:
        return failed(cause or Cause(PLAN_MISSING, "Plan gave no answer"))
    if plan.skipped:
        return Verdict("Skipped", plan.skipped, plan.consistency, None)
    if awaited is None or not awaited.done:
        return failed(cause or Cause(SNAPSHOTS_INCOMPLETE, "it is not known whether the snapshots completed"))
    if not awaited.snapshots:
        return failed(cause or Cause(SNAPSHOTS_INCOMPLETE, "no snapshot of this run was found"))
    if problems := [*_missing_problems(plan, awaited), *_state_problems(awaited, plan)]:
        return failed(Cause(SNAPSHOTS_INCOMPLETE, "; ".join(problems)))
    notes = _notes(plan, awaited, cause)
    return Verdict("Successful", "every chosen volume has a completed snapshot", plan.consistency, None, notes)


def failed(cause: Cause) -> Verdict:
    """Return the verdict of a run that left no recovery point."""
    return Verdict("Failed", cause.words, Consistency(level="none", reason=cause.words), cause)


def _missing_problems(plan: Plan, awaited: Awaited) -> list[str]:
    there = {snapshot.volume_id for snapshot in awaited.snapshots}
    return [f"{v.device} {v.volume_id} has no snapshot" for v in plan.volumes if v.volume_id not in there]


def _state_problems(awaited: Awaited, plan: Plan) -> list[str]:
    devices = {v.volume_id: v.device for v in plan.volumes}
    return [
        f"{s.snapshot_id} of {devices[s.volume_id]} {_state_words(s, awaited)}"
        for s in awaited.snapshots
        if s.state != "completed" and s.volume_id in devices
    ]


def _state_words(snapshot: Snapshot, awaited: Awaited) -> str:
    match snapshot.state:
        case "pending":
            pending = "did not complete in time" if awaited.timed_out else "was still pending when another one failed"
            return f"{pending} ({snapshot.progress or 'no progress known'})"
        case "vanished":
            return "vanished: a person or a lifecycle rule deleted it"
        case "error":
            return f"failed in EBS: {snapshot.state_message or 'no reason given'}"
        case _:
            return f"was deleted and is in the Recycle Bin ({snapshot.state})"


def _notes(plan: Plan, awaited: Awaited, cause: Cause | None) -> tuple[str, ...]:
    planned = {v.volume_id for v in plan.volumes}
    notes = [
        f"{s.snapshot_id} ({s.state}) is a snapshot of {s.volume_id}, which was attached after the plan was made"
        for s in awaited.snapshots
        if s.volume_id not in planned
    ]
    if awaited.others:
        words = "the run's tags, and are in no recovery point: AWS's document made them besides; delete them"
        notes.append(f"{', '.join(awaited.others)} have {words}")
    if awaited.adopted and plan.by_aws:
        notes.append("the snapshots of AWS's document were found by their tag, later than its end could be waited for")
    elif awaited.adopted:
        notes.append(
            f"the answer of CreateSnapshots was lost ({cause.error if cause else 'unknown'}); "
            "its snapshots were found by their tag"
        )
    if not awaited.lease_held:
        notes.append("the server's lease was lost while the snapshots completed; another run may have overlapped")
    return tuple(notes)
