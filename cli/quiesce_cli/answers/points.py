"""Recovery points out of records and of what EC2 has of their snapshots. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from quiesce.points.point import RecoveryPoint
from quiesce.points.record import Record
from quiesce.recovery.flaws import FoundSnapshot, archived_of, flaws_of_point, told
from quiesce_cli.answers.shapes import PointShape, RunBrief


def point_of(record: Record) -> RecoveryPoint:
    """Return a record as a recovery reads it."""
    return RecoveryPoint.model_validate(record.model_dump())


def time_of(record: Record) -> datetime:
    """Return the point in time of a run's snapshots, or its start if it has none."""
    return record.snapshots_at or record.started_at


def brief(record: Record) -> RunBrief:
    """Return a run in a line."""
    return RunBrief(
        run_id=record.run_id,
        at=time_of(record),
        status=record.status,
        reason=record.reason,
        consistency=record.consistency.level,
    )


def shapes(records: Sequence[Record], found: Mapping[str, FoundSnapshot]) -> list[PointShape]:
    """Return recovery points, and which of each server ``latest whole`` would choose among them.

    Args:
        records: of runs, the newest first.
        found: the snapshots that EC2 has of them, by id.
    """
    chosen: set[str] = set()
    points = []
    for record in records:
        flaw = told(flaws_of_point(point_of(record), found))
        takes = record.status == "Successful" and not flaw and record.instance_id not in chosen
        if takes:
            chosen.add(record.instance_id)
        archived = archived_of(point_of(record), found)
        points.append(_shape(record, flaw, archived, recommended=takes))
    return points


def _shape(record: Record, flaw: str, archived: int, *, recommended: bool) -> PointShape:
    command = f"quiesce recover {record.run_id} --server {record.instance_id}"
    return PointShape(
        run_id=record.run_id,
        instance_id=record.instance_id,
        name=record.instance_name,
        policy=record.policy,
        at=time_of(record),
        status=record.status,
        reason=record.reason,
        consistency=record.consistency.level,
        whole=record.status == "Successful",
        root=any(snapshot.root for snapshot in record.snapshots),
        snapshots=len(record.snapshots),
        size_gib=sum(snapshot.size_gib for snapshot in record.snapshots),
        built=bool(record.built),
        there=not flaw,
        archived=archived,
        flaw=flaw,
        recommended=recommended,
        recover="" if flaw else command,
    )
