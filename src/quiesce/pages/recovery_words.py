"""What a recovery from a run would give, by the run's record alone. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from quiesce.pages.words import count, listed, moment, sentence
from quiesce.points.evidence import Build
from quiesce.points.point import RecoveryPoint
from quiesce.points.record import Record, SnapshotRecord
from quiesce.points.restoring import hours_of
from quiesce.recovery.flaws import flaws_of_run, told
from quiesce.recovery.reverting import consistent_copies

RAW = "as after a power failure at {}"
HELD = "as of {}, while the application was held"


@dataclass(frozen=True)
class RecoveryWords:
    """Whether the record allows a recovery, what it would do, and each volume with the instant that it would be of."""

    possible: bool
    summary: str
    volumes: Sequence[tuple[str, str]]
    notes: Sequence[str]


def of(record: Record, zone: ZoneInfo) -> RecoveryWords:
    """Return what a recovery would give."""
    point = RecoveryPoint.model_validate(record.model_dump())
    if flaws := flaws_of_run(point):
        return RecoveryWords(
            possible=False, summary=f"A server can't be recovered from this run: {told(flaws)}.", volumes=[], notes=[]
        )
    reverted = {copy.path for copy in consistent_copies(point)} if point.revert != "off" else set()
    volumes = [row for snapshot in record.snapshots for row in _volume(snapshot, record, reverted, zone)]
    return RecoveryWords(
        possible=True,
        summary=_summary(record, reverted),
        volumes=volumes,
        notes=[
            *_archived(record),
            *_work(record, reverted),
            "Whether the snapshots are still there is asked when the recovery starts.",
        ],
    )


def _summary(record: Record, reverted: set[str]) -> str:
    size = sum(snapshot.size_gib for snapshot in record.snapshots)
    new = f"A new server with {count(len(record.snapshots), 'volume')} of {size:,} GiB, beside the old one"
    if not reverted:
        return f"{new}."
    how = "the backup has built them" if record.built else "they are built in AWS before anything is launched"
    return f"{new}. {listed(sorted(reverted))} are as of their shadow copies: {how}."


def _volume(snapshot: SnapshotRecord, record: Record, reverted: set[str], zone: ZoneInfo) -> list[tuple[str, str]]:
    drives = snapshot.volume.drives if snapshot.volume else []
    created = {copy.path: copy.created_at for copy in record.evidence.copies} if record.evidence else {}
    rows = []
    for drive in [path for path in drives if path in reverted]:
        at = created.get(drive)
        rows.append((drive, f"as of its shadow copy{f' of {moment(at, zone).utc}' if at else ''}"))
    others = [drive for drive in drives if drive not in reverted]
    if others or not drives:
        name = ", ".join(others) or snapshot.device
        held = record.consistency.level == "application" and not (record.shadow and record.shadow.copies)
        rows.append((name, (HELD if held else RAW).format(moment(snapshot.started_at, zone).utc)))
    return rows


def _archived(record: Record) -> list[str]:
    if record.archived_at is None:
        return []
    return [
        f"It is archived since {record.archived_at:%Y-%m-%d}: a recovery first has EBS restore it, which takes up to "
        f"{hours_of(len(record.snapshots))} h."
    ]


def _work(record: Record, reverted: set[str]) -> list[str]:
    build: Build | None = record.evidence.build if record.evidence else None
    if not reverted or record.built or build is None:
        return []
    if build.dollars is None:
        return [sentence(f"{build.verdict}: {build.reason}")]
    blocks = f"{build.blocks_read:,} blocks of 512 KiB are read and {build.blocks_written:,} written"
    return [f"Building takes at most so much: {blocks}, ${build.dollars:.2f}."]
