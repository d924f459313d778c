"""The record: everything there is to know about a run, as the execution's output and in bucket and table."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from quiesce.backup.freeze_window import FreezeWindow, window_of
from quiesce.backup.initial_image import image_notes
from quiesce.backup.run import UNKNOWN, RunIdentity
from quiesce.backup.shadow_copies import evidence_of
from quiesce.backup.state import (
    Consistency,
    Crossing,
    Excluded,
    FailedAttempt,
    RunState,
    ShadowOutcome,
    Snapshot,
    Source,
    Volume,
)
from quiesce.backup.verdict import Status, Verdict
from quiesce.calls import add_calls
from quiesce.guest.answers import Session
from quiesce.points.evidence import Verified


class SnapshotRecord(Crossing):
    """One snapshot of the recovery point, with the volume it was made from."""

    snapshot_id: str
    volume_id: str
    device: str
    root: bool
    size_gib: int
    state: str
    started_at: datetime
    completed_at: datetime | None
    volume: Volume | None


class FailureRecord(Crossing):
    """Why the run failed: what the execution's Fail state shows."""

    error: str
    cause: str


class Logs(Crossing):
    """Where the session's files lie in the bucket (``s3://.../``) and their names, or why they are not there."""

    place: str
    files: list[str]
    problem: str


@dataclass(frozen=True)
class Places:
    """Where a run's record will lie, and its session's files do."""

    record: str
    logs: Logs | None


class Record(BaseModel):
    """One run of one policy on one server; every field is explained in docs/reference.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    run_id: str
    status: Status
    reason: str
    consistency: Consistency
    policy: str
    owner: str
    instance_id: str
    instance_name: str
    windows: str
    source: Source | None = None
    started_at: datetime
    snapshots_at: datetime | None
    ended_at: datetime
    snapshots: list[SnapshotRecord]
    excluded: list[Excluded]
    session: Session | None
    attempts: list[FailedAttempt]
    shadow: ShadowOutcome | None
    evidence: Verified | None = None
    freeze_window: FreezeWindow | None
    logs: Logs | None
    initial_image: str = ""
    notes: list[str]
    failure: FailureRecord | None
    calls: dict[str, int]
    execution: str
    record: str


def write(state: RunState, run: RunIdentity, verdict: Verdict, *, now: datetime, places: Places) -> Record:
    """Write down a run.

    Args:
        state: all that the steps left.
        run: who the run is.
        verdict: what it is worth.
        now: when it ended, in UTC.
        places: where the record will lie (``s3://...``), and the session's files do.

    Returns:
        ``calls`` counts what the steps before Report sent; of a step that failed nothing is known.
    """
    plan, snapshots = state.plan, _snapshots(state)
    return Record(
        run_id=run.run_id,
        status=verdict.status,
        reason=verdict.reason,
        consistency=verdict.consistency,
        policy=run.policy,
        owner=plan.owner if plan else UNKNOWN,
        instance_id=run.instance_id,
        instance_name=plan.instance_name if plan else "",
        windows=plan.windows if plan else "",
        source=plan.source if plan else None,
        started_at=state.execution.started_at,
        snapshots_at=min((s.started_at for s in snapshots), default=None),
        ended_at=now,
        snapshots=snapshots,
        excluded=plan.excluded if plan else [],
        session=state.session,
        attempts=state.freeze.earlier if state.freeze else [],
        shadow=state.shadow,
        evidence=evidence_of(state),
        freeze_window=window_of(state),
        logs=places.logs,
        initial_image=state.make_image.image_id if state.make_image else "",
        notes=[
            *(plan.notes if plan else []),
            *(state.shadow.notes if state.shadow else []),
            *verdict.notes,
            *image_notes(state),
        ],
        failure=FailureRecord(error=verdict.cause.error, cause=verdict.cause.words) if verdict.cause else None,
        calls=add_calls(*(part.calls for part in state.steps())),
        execution=state.execution.id,
        record=places.record,
    )


def _snapshots(state: RunState) -> list[SnapshotRecord]:
    volumes = {v.volume_id: v for v in state.plan.volumes} if state.plan else {}
    order = list(volumes)
    last = state.await_snapshots.snapshots if state.await_snapshots else []
    seen = last or (state.snapshot.snapshots if state.snapshot else [])
    records = [_snapshot(s, volumes.get(s.volume_id)) for s in seen]
    return sorted(records, key=lambda r: order.index(r.volume_id) if r.volume_id in order else len(order))


def _snapshot(snapshot: Snapshot, volume: Volume | None) -> SnapshotRecord:
    return SnapshotRecord(
        snapshot_id=snapshot.snapshot_id,
        volume_id=snapshot.volume_id,
        device=volume.device if volume else UNKNOWN,
        root=volume.root if volume else False,
        size_gib=snapshot.size_gib,
        state=snapshot.state,
        started_at=snapshot.started_at,
        completed_at=snapshot.completed_at,
        volume=volume,
    )
