"""What Verify leaves: the evidence that was read out of the snapshots, as the record tells it."""

from datetime import datetime

from quiesce.disks.search import Verdict
from quiesce.executions import Crossing


class VerifiedCopy(Crossing):
    """One shadow copy as it stands in the snapshots; None and empty for what was not found.

    ``volume_id`` is the EBS volume that it is a copy of, ``storage_volume_id`` the one that holds its storage.
    ``created_at`` is by the server's clock, and ``before_snapshot_s`` how long before the snapshot that was.
    """

    shadow_id: str
    path: str
    verdict: Verdict
    reason: str
    volume_id: str = ""
    storage_volume_id: str = ""
    created_at: datetime | None = None
    before_snapshot_s: float | None = None
    writers_involved: bool | None = None


class ReadSnapshot(Crossing):
    """What was read of a snapshot, in blocks of 512 KiB, and the ``problem`` that kept some of it from being read."""

    snapshot_id: str
    volume_id: str
    blocks: int
    problem: str


class Verified(Crossing):
    """The evidence for a recovery point: the worst verdict of its shadow copies, None if there are none to look for."""

    verdict: Verdict | None
    reason: str
    copies: list[VerifiedCopy] = []
    snapshots: list[ReadSnapshot] = []
    calls: dict[str, int] = {}


NOTHING_TO_VERIFY = Verified(verdict=None, reason="the snapshots need not hold any shadow copy")
