"""Why a recovery point can't be recovered, in its own words and with the next step. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from quiesce.points.point import RecoveryPoint
from quiesce.tags import REMOVING

# So that the message stays readable on a server with many volumes.
NAMED_SNAPSHOTS = 3


@dataclass(frozen=True)
class FoundSnapshot:
    """A snapshot as EC2 describes it.

    ``state`` is EC2's, ``recoverable`` for one in the Recycle Bin; ``tier`` is ``standard`` or ``archive``.
    ``removing`` says whether it carries the mark of a recovery point that is being removed; ``full_bytes`` is its size
    in full, 0 if EC2 does not say it; ``was_archived`` whether the archive has it, also while it is restored.
    """

    state: str
    tier: str
    removing: bool = False
    full_bytes: int = 0
    was_archived: bool = False


class Flaw(NamedTuple):
    """What is wrong with a recovery point or with one of its snapshots; ``remedy`` is empty if nothing mends it."""

    problem: str
    remedy: str


# By EC2's state of a snapshot, and by ``removing``: what is wrong with it, and what mends it. One that is archived is
# restored by the recovery.
WORDS = {
    "deleted": ("was deleted: it does not exist any more", ""),
    "removing": ("is marked as being removed", f"if it must stay, take the tag {REMOVING} off {{id}}"),
    "recoverable": (
        "is in the Recycle Bin",
        "take it out again (aws ec2 restore-snapshot-from-recycle-bin --snapshot-id {id})",
    ),
    "recovering": ("is being taken out of the Recycle Bin", "wait until it is completed"),
    "pending": ("is pending: EBS has not finished it", "wait until it is completed"),
    "error": ("is in error: EBS could not make it", ""),
}


def flaws_of_snapshot(name: str, snapshot_id: str, found: FoundSnapshot | None) -> list[Flaw]:
    """Return why no volume can be made of a snapshot, also once it is restored from the archive; empty if one can.

    Args:
        name: what the message calls it.
        snapshot_id: for the commands in the remedy.
        found: as EC2 describes it, None if EC2 knows none, nor has it in the Recycle Bin.
    """
    if found is None:
        condition = "deleted"
    elif found.removing:
        condition = "removing"
    else:
        condition = found.state
    if condition == "completed":
        return []
    problem, remedy = WORDS.get(condition, (f"is in state '{condition}', from which EC2 makes no volume", ""))
    return [Flaw(f"the snapshot {name} {problem}", remedy.format(id=snapshot_id))]


def flaws_of_run(point: RecoveryPoint) -> list[Flaw]:
    """Return why nothing can be recovered from a run, by its record alone; empty if its snapshots decide."""
    if point.removed_at is not None:
        return [Flaw(f"was removed on {point.removed_at:%Y-%m-%d}: {point.removed_because}", "")]
    if point.status == "Skipped":
        return [Flaw(f"its run was skipped and left no snapshots: {point.reason.rstrip('.')}", "")]
    if point.status == "Failed" or point.snapshots_at is None:
        why = f": {point.reason}" if point.reason else ""
        return [Flaw(f"its run failed{why.rstrip('.')}", "")]
    placed = [snapshot.volume for snapshot in point.snapshots if snapshot.volume]
    if not placed or len({volume.device for volume in placed}) < len(placed):
        return [Flaw("its record does not say for each snapshot at which device its volume was", "")]
    if not any(volume.root for volume in placed):
        return [Flaw("it has no snapshot of the root volume: no server can boot from it", "")]
    return []


def flaws_of_point(point: RecoveryPoint, found: Mapping[str, FoundSnapshot]) -> list[Flaw]:
    """Return why a whole server can't be recovered from a recovery point now; empty if it can.

    Args:
        point: one of the server's.
        found: all snapshots that EC2 has of it, by id.
    """
    if flaws := flaws_of_run(point):
        return flaws
    each = [
        (f"{s.snapshot_id} of {s.volume.device}", s.snapshot_id, found.get(s.snapshot_id))
        for s in point.snapshots
        if s.volume
    ]
    return [flaw for name, snapshot_id, one in each for flaw in flaws_of_snapshot(name, snapshot_id, one)]


def archived_of(point: RecoveryPoint, found: Mapping[str, FoundSnapshot]) -> int:
    """Return how many of a recovery point's snapshots are in the archive."""
    return sum(s.snapshot_id in found and found[s.snapshot_id].tier == "archive" for s in point.snapshots if s.volume)


def told(flaws: list[Flaw]) -> str:
    """Return flaws as one text."""
    more = f", and {len(flaws) - NAMED_SNAPSHOTS} more" if len(flaws) > NAMED_SNAPSHOTS else ""
    return "; ".join(flaw.problem for flaw in flaws[:NAMED_SNAPSHOTS]) + more
