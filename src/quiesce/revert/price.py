"""What a build costs and how long it takes, before it begins: bounds and assumptions, each with its source."""

from collections.abc import Mapping

from quiesce.executions import Crossing
from quiesce.prices import GET_DOLLARS, LIST_DOLLARS, PUT_DOLLARS, STORED_GIB_DOLLARS

# The shortest page of a list, so that no list takes more calls than this makes of it.
BLOCKS_OF_A_PAGE = 100
# Assumed, and seen nowhere yet: calls a second of one function, and until EBS has completed a child.
CALLS_PER_SECOND = 100
COMPLETING_S = 120


class Estimate(Crossing):
    """What building children takes at most, by their lists and bitmaps alone.

    Attributes:
        blocks_read: blocks of 512 KiB; those that are read back to check the children are not among them.
        blocks_written: the same.
        copied_gib: of parents that EBS has to copy with a key before.
        dollars: of the EBS direct APIs, reading back included.
        copied_dollars: what EBS charges a month for the copied data, as long as it is kept.
        seconds: without the time that EBS takes to copy parents, which nobody knows before.
    """

    blocks_read: int
    blocks_written: int
    copied_gib: int = 0
    dollars: float
    copied_dollars: float = 0.0
    seconds: int

    @property
    def words(self) -> str:
        """The estimate, for a person."""
        words = (
            f"at most {self.blocks_read:,} blocks of 512 KiB are read and {self.blocks_written:,} written, "
            f"for about ${self.dollars:.2f} and {_time(self.seconds)}"
        )
        if not self.copied_gib:
            return words
        return (
            f"{words}; before that EBS copies {self.copied_gib:,} GiB with the default key, because encryption by "
            f"default is on and the snapshots are not encrypted: this may take hours, and costs about "
            f"${self.copied_dollars:.2f} a month as long as the built snapshots are kept"
        )


def estimate(read: int, written: int, *, side_by_side: int, copied_gib: int = 0) -> Estimate:
    """Return what building takes at most.

    Args:
        read: blocks of 512 KiB to read: of lists and bitmaps, old data, and of the parents.
        written: blocks to write, all of which are read back.
        side_by_side: how many functions share the work, at least 1.
        copied_gib: of parents to copy with a key first.
    """
    lists = (read + 2 * written) // BLOCKS_OF_A_PAGE + 1
    dollars = lists * LIST_DOLLARS + (read + written) * GET_DOLLARS + written * PUT_DOLLARS
    calls = lists + read + 2 * written
    return Estimate(
        blocks_read=read,
        blocks_written=written,
        copied_gib=copied_gib,
        dollars=round(dollars, 6),
        copied_dollars=round(copied_gib * STORED_GIB_DOLLARS, 2),
        seconds=COMPLETING_S + calls // (CALLS_PER_SECOND * side_by_side),
    )


def dollars_of(calls: Mapping[str, int]) -> float:
    """Return what calls that were sent have cost, by their names as the record counts them."""
    prices = {
        "ebs:ListSnapshotBlocks": LIST_DOLLARS,
        "ebs:ListChangedBlocks": LIST_DOLLARS,
        "ebs:GetSnapshotBlock": GET_DOLLARS,
        "ebs:PutSnapshotBlock": PUT_DOLLARS,
    }
    return round(sum(prices.get(call, 0.0) * count for call, count in calls.items()), 6)


def _time(seconds: int) -> str:
    minutes = -(-seconds // 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"  # noqa: PLR2004
