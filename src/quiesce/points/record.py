"""The record of a run: all that is known about it, and what a recovery reads as a recovery point."""

from datetime import datetime
from typing import Literal

from quiesce.executions import Crossing
from quiesce.guest.cluster_node import ClusterNode
from quiesce.guest.sessions import Session
from quiesce.points.evidence import Verified
from quiesce.points.parts import Consistency, Excluded, FailedAttempt, ShadowOutcome, Source, Volume

Revert = Literal["at-recovery", "at-backup", "off"]
# ``Skipped``: a passive node of a cluster, which leaves no recovery point; nothing is wrong.
Status = Literal["Successful", "PartiallySuccessful", "Failed", "Skipped"]


class FreezeWindow(Crossing):
    """Milliseconds from the end of the before script to the start of the after script, and its parts.

    ``total_ms`` is by the server's clock alone, ``snapshots_ms`` (until CreateSnapshots had returned) by AWS's.
    ``known_ms`` (until AWS knew of the freeze) and ``thaw_ms`` (until the after script began) each begin on one clock
    and end on the other: if the clocks differ, one is too long by as much as the other is too short.
    A part that would be negative is None, and of these two then both: the clocks differ by more than the part took, the
    server's was set back, or the server thawed before the snapshots.
    """

    total_ms: int | None
    known_ms: int | None
    snapshots_ms: int | None
    thaw_ms: int | None


class SnapshotRecord(Crossing):
    """One snapshot of the recovery point, with the volume it was made from.

    ``app_consistent``: AWS's document for VSS has tagged it as consistent.
    """

    snapshot_id: str
    volume_id: str
    device: str
    root: bool
    size_gib: int
    state: str
    started_at: datetime
    completed_at: datetime | None
    volume: Volume | None
    app_consistent: bool = False


class BuiltSnapshot(Crossing):
    """A snapshot that was built from another one: the volumes at ``paths`` are as of their shadow copies of ``as_of``.

    ``as_of`` is by the server's clock, None if its volumes only name no shadow copies any more.
    """

    snapshot_id: str
    built_from: str
    volume_id: str
    device: str
    paths: list[str]
    as_of: datetime | None


class FailureRecord(Crossing):
    """Why the run failed: what the execution's Fail state shows."""

    error: str
    cause: str


class Logs(Crossing):
    """Where the session's files lie in the bucket (``s3://.../``) and their names, or why they are not there."""

    place: str
    files: list[str]
    problem: str


class Record(Crossing):
    """One run of one policy on one server; every field is explained in docs/reference/reference.md."""

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
    cluster: ClusterNode | None = None
    started_at: datetime
    snapshots_at: datetime | None
    ended_at: datetime
    snapshots: list[SnapshotRecord]
    excluded: list[Excluded]
    session: Session | None
    attempts: list[FailedAttempt]
    shadow: ShadowOutcome | None
    evidence: Verified | None = None
    revert: Revert = "at-recovery"
    built: list[BuiltSnapshot] = []
    freeze_window: FreezeWindow | None
    logs: Logs | None
    initial_image: str = ""
    overdue_sessions: list[str] = []
    notes: list[str]
    failure: FailureRecord | None
    calls: dict[str, int]
    execution: str
    started_by: str = ""
    record: str
    archived_at: datetime | None = None
    removed_at: datetime | None = None
    removed_because: str = ""

    @property
    def snapshots_took_s(self) -> int | None:
        """Seconds from CreateSnapshots until EC2 had completed all snapshots; None unless each has completed."""
        ends = [snapshot.completed_at for snapshot in self.snapshots if snapshot.completed_at]
        if not ends or len(ends) < len(self.snapshots):
            return None
        return max(0, round((max(ends) - min(snapshot.started_at for snapshot in self.snapshots)).total_seconds()))
