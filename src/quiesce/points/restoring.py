"""What a recovery first has EBS restore from the archive, how long that takes and what it costs. Pure."""

import math
from datetime import timedelta

from quiesce.executions import Crossing
from quiesce.points.tier import RESTORE_HOURS, RESTORES_AT_ONCE
from quiesce.prices import DAYS_OF_A_MONTH, RESTORED_GIB_DOLLARS, STORED_GIB_DOLLARS

# For so many days a snapshot is restored. EBS does not say whether its own time counts; whatever is left of them when
# it is there has to be enough for the rest of a recovery, else they are asked for once more.
RESTORED_DAYS = 4
# Longer than all of a recovery but its restore; a test compares them.
NEEDED = timedelta(hours=26)


class Restoring(Crossing):
    """The archived snapshots that a recovery needs; ``gib`` is of all of them, in full."""

    snapshot_ids: list[str]
    gib: float

    @property
    def hours(self) -> int:
        """How many hours EBS takes at most: it restores some of an account at a time."""
        return hours_of(len(self.snapshot_ids))

    @property
    def words(self) -> str:
        """What a person has to know beforehand."""
        restored = self.gib * RESTORED_GIB_DOLLARS
        stored = self.gib * STORED_GIB_DOLLARS * RESTORED_DAYS / DAYS_OF_A_MONTH
        several = f", {RESTORES_AT_ONCE} of an account at a time" if len(self.snapshot_ids) > RESTORES_AT_ONCE else ""
        number = len(self.snapshot_ids)
        what = "1 snapshot is archived" if number == 1 else f"{number} snapshots are archived"
        return (
            f"{what}: EBS restores {self.gib:,.1f} GiB for {RESTORED_DAYS} days{several}, which takes up to "
            f"{self.hours} h and costs about ${restored + stored:,.2f}; afterwards they go back into the archive by "
            "themselves"
        )


def hours_of(snapshots: int) -> int:
    """Return within how many hours EBS restores so many snapshots."""
    return math.ceil(snapshots / RESTORES_AT_ONCE) * RESTORE_HOURS
