"""What a revert built, as the machine that started it keeps it."""

from datetime import datetime

from quiesce.disks.verdicts import BuildVerdict
from quiesce.executions import Crossing
from quiesce.revert.plan import PlannedView


class LookedAt(Crossing):
    """One shadow copy, whether its volume can be built as of it, and why not.

    Attributes:
        path: what Windows called the volume.
        snapshot_id: the raw snapshot that the volume is in; empty if the shadow copy was not found.
        as_of: when it was made, by the server's clock; None if it was not found.
        blocks_read: at most, if it is ``buildable``.
        blocks_written: the same.
    """

    shadow_id: str
    path: str
    volume_id: str
    snapshot_id: str
    as_of: datetime | None
    verdict: BuildVerdict
    reason: str
    blocks_read: int = 0
    blocks_written: int = 0

    @property
    def words(self) -> str:
        """Why it can't be built, for a person."""
        return f"{self.path or self.shadow_id} is {self.verdict} as of its shadow copy {self.shadow_id}: {self.reason}"


class BuiltChild(Crossing):
    """A child that was read back and is what was planned; ``snapshot_id`` is the raw one that it was built from."""

    child_id: str
    snapshot_id: str
    volume_id: str
    device: str
    size_gib: int
    views: list[PlannedView]
    blocks_written: int


class Built(Crossing):
    """What the revert machine built: every field is explained in docs/reference/reference.md.

    Attributes:
        copies: all shadow copies of the recovery point, with why a volume was not built.
        dollars: of the calls that were made.
        finished_at: when the children had been read back and tagged, in UTC.
    """

    built_for: str
    children: list[BuiltChild]
    copies: list[LookedAt]
    calls: dict[str, int] = {}
    dollars: float = 0.0
    finished_at: datetime | None = None


class Reverted(Crossing):
    """What the revert machine answered to the machine that started it."""

    built: Built
