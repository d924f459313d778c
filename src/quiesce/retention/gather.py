"""Recovery points as retention judges them: what the table and EC2 say of each, put together. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from quiesce.points.listed import ListedPoint
from quiesce.prices import ARCHIVE_DAYS
from quiesce.retention.decision import Point


@dataclass(frozen=True)
class Existing:
    """A snapshot that EC2 has.

    ``run_id``, ``built_for``, ``built_from`` and ``stack`` are its tags, ``hold`` is what a person wrote, if any;
    ``removing`` says whether it carries the mark of a recovery point that is being removed, ``archived`` whether the
    archive has it, also while it is restored for a time; ``full_bytes`` is 0 if EC2 does not say it.
    """

    run_id: str
    built_for: str
    state: str
    hold: str | None
    removing: bool
    size_gib: int
    started_at: datetime
    volume_id: str = ""
    archived: bool = False
    full_bytes: int = 0
    stack: str = ""
    built_from: str = ""

    def belongs_to(self, run_id: str) -> bool:
        """Say whether the snapshot is of this run: the raw one, or one that the run's own build made."""
        return run_id in (self.run_id, self.built_for)


@dataclass(frozen=True)
class Known:
    """A recovery point as the list has it, and what its run's own item says now.

    Attributes:
        archiving: whether its move into the archive has begun, ``archived_at`` when it had ended, in UTC.
        weighed_at: when the archive was last found to cost more, in UTC.
    """

    listed: ListedPoint
    status: str
    leased_until: datetime | None = None
    leased_by: str = ""
    removing: bool = False
    locked: bool = False
    archiving: bool = False
    archived_at: datetime | None = None
    weighed_at: datetime | None = None

    @property
    def billed_until(self) -> datetime | None:
        """Until when EBS bills the archive whatever becomes of it, in UTC; None if it is not archived."""
        return self.archived_at and self.archived_at + timedelta(days=ARCHIVE_DAYS)


def point_of(
    known: Known, snapshots: Mapping[str, Existing], now: datetime, uses: Mapping[str, str] | None = None
) -> Point | None:
    """Return a recovery point as retention judges it, None if nothing of it exists and nothing is to be finished.

    Args:
        known: what the table says.
        snapshots: all of the server's that EC2 has, by id.
        now: in UTC.
        uses: by snapshot, what else keeps it; None before that was looked at.
    """
    listed = known.listed
    mine = [snapshots[snapshot_id] for snapshot_id in listed.all_snapshots if snapshot_id in snapshots]
    if not mine and not known.removing:
        return None
    return Point(
        run_id=listed.run_id,
        at=listed.at,
        ended_at=listed.ended_at,
        status=listed.status if _is_readable(known, snapshots) else None,
        application=listed.level == "application",
        kept_for=tuple(_kept_for(known, mine, now, uses or {})),
        removing=known.removing,
        archived=any(snapshot.archived for snapshot in mine),
    )


def _is_readable(known: Known, snapshots: Mapping[str, Existing]) -> bool:
    """Say whether record, list and EC2 agree: what is not as its record says is no generation, and stays."""
    listed = known.listed
    if known.status != listed.status:
        return False
    if known.removing:
        return True
    mine = [snapshots.get(snapshot_id) for snapshot_id in listed.all_snapshots]
    strangers = any(one is not None and not one.belongs_to(listed.run_id) for one in mine)
    whole = all(one is not None and one.state == "completed" for one in mine)
    return not strangers and (whole or listed.status == "Failed")


def _kept_for(known: Known, mine: Sequence[Existing], now: datetime, uses: Mapping[str, str]) -> list[str]:
    holds = sorted({f"held: {one.hold}" if one.hold else "held" for one in mine if one.hold is not None})
    leased = known.leased_until is not None and known.leased_until > now
    until = known.billed_until
    billed = [f"archived, and billed until {until:%Y-%m-%d} in any case"] if until and until > now else []
    lease = [f"in use by {known.leased_by} until {known.leased_until:%Y-%m-%d %H:%M} UTC"] if leased else []
    return [*holds, *lease, *billed, *sorted({uses[i] for i in known.listed.all_snapshots if i in uses})]
