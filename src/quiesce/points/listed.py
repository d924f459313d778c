"""A recovery point as a list of many has it: what retention and alarms need of a record, and no more."""

from datetime import datetime

from quiesce.points.point import PointPart
from quiesce.points.record import Record, Status


class ListedPoint(PointPart):
    """What a run's record says of its recovery point, short enough to list thousands.

    ``at`` is when EC2 began its snapshots; ``built`` are the snapshots that the backup built of those in ``snapshots``.
    ``evidence`` is what Verify read of the shadow copies in them, empty if it looked for none.
    """

    run_id: str
    policy: str
    instance_id: str
    status: Status
    level: str
    at: datetime
    ended_at: datetime
    snapshots: list[str]
    built: list[str] = []
    evidence: str = ""

    @property
    def all_snapshots(self) -> list[str]:
        """The snapshots that were built, then the raw ones: the order in which they are deleted."""
        return [*self.built, *self.snapshots]


def listed(record: Record) -> ListedPoint | None:
    """Return the recovery point of a record, None if its run left no snapshot."""
    if record.snapshots_at is None or not record.snapshots:
        return None
    return ListedPoint(
        run_id=record.run_id,
        policy=record.policy,
        instance_id=record.instance_id,
        status=record.status,
        level=record.consistency.level,
        at=record.snapshots_at,
        ended_at=record.ended_at,
        snapshots=[snapshot.snapshot_id for snapshot in record.snapshots],
        built=[built.snapshot_id for built in record.built],
        evidence=(record.evidence.verdict if record.evidence else None) or "",
    )
