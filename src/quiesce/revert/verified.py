"""What Verify says of building a recovery point's volumes; one at a time, so that one that takes long costs no other.

Every figure is an upper bound, out of lists, bitmaps and a few blocks of NTFS.
"""

from collections.abc import Callable, Sequence

from quiesce.disks.buildable import judge
from quiesce.disks.shadow_copies import ShadowCopy, Stores
from quiesce.disks.verdicts import BuildVerdict
from quiesce.points.evidence import Build
from quiesce.revert.look import SIDE_BY_SIDE
from quiesce.revert.price import estimate

# The worst first: a refusal before a doubt.
WORST_FIRST: tuple[BuildVerdict, ...] = ("not buildable", "not known", "buildable")
ALL_BUILDABLE = "every volume can be built as of its shadow copy"


def look_at(stores: Stores, copy: ShadowCopy, check_time: Callable[[], None]) -> Build:
    """Say whether a volume can be built as of its shadow copy.

    Args:
        stores: of all disks of the recovery point.
        copy: found on them, and ``present`` by its evidence.
        check_time: called now and then; raises ``NotRead`` if there is no time left.

    Returns:
        ``not known`` where something could not be read, also for want of time.
    """
    found = judge(stores, copy, check_time)
    if found.work is None:
        return Build(verdict=found.verdict, reason=found.reason)
    bound = estimate(*found.work, side_by_side=SIDE_BY_SIDE)
    return Build(
        verdict=found.verdict,
        reason=found.reason,
        blocks_read=bound.blocks_read,
        blocks_written=bound.blocks_written,
        dollars=bound.dollars,
    )


def together(builds: Sequence[tuple[str, Build]]) -> Build:
    """Return what holds for all volumes of a recovery point: the worst verdict, and the sums of what they take.

    Args:
        builds: at least one, each with the name of its volume.
    """
    name, worst = min(builds, key=lambda named: WORST_FIRST.index(named[1].verdict))
    if worst.verdict != "buildable":
        return Build(verdict=worst.verdict, reason=f"{name} {worst.verdict}: {worst.reason}")
    return Build(
        verdict="buildable",
        reason=ALL_BUILDABLE,
        blocks_read=sum(build.blocks_read or 0 for _, build in builds),
        blocks_written=sum(build.blocks_written or 0 for _, build in builds),
        dollars=round(sum(build.dollars or 0 for _, build in builds), 6),
    )
