"""The evidence that Verify reads out of the snapshots, as the record has it."""

from datetime import datetime

from quiesce.disks.verdicts import BuildVerdict, Verdict
from quiesce.executions import Crossing


class Build(Crossing):
    """Whether a volume can be built as of its shadow copy, why not, and what building it takes at most.

    Blocks are of 512 KiB, and ``dollars`` what the calls cost; None if it is not ``buildable``.
    """

    verdict: BuildVerdict
    reason: str
    blocks_read: int | None = None
    blocks_written: int | None = None
    dollars: float | None = None


class VerifiedCopy(Crossing):
    """One shadow copy as Verify found it in the snapshots; a field is None or empty if Verify did not find it.

    ``volume_id`` is the EBS volume that it is a copy of, ``storage_volume_id`` the one that holds its storage.
    ``created_at`` is by the server's clock, and ``before_snapshot_s`` the seconds from then until the snapshot.
    ``build`` is None if Verify did not look whether its volume can be built.
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
    build: Build | None = None


class ReadSnapshot(Crossing):
    """How many blocks of 512 KiB Verify read of a snapshot, and the ``problem`` that kept it from reading more."""

    snapshot_id: str
    volume_id: str
    blocks: int
    problem: str


class Verified(Crossing):
    """The evidence for a recovery point: the worst verdict of its shadow copies, None if there are none to look for.

    ``build`` is the worst of its volumes, with the sums of what all take; None if Verify did not look.
    """

    verdict: Verdict | None
    reason: str
    build: Build | None = None
    copies: list[VerifiedCopy] = []
    snapshots: list[ReadSnapshot] = []
    calls: dict[str, int] = {}


NOTHING_TO_VERIFY = Verified(verdict=None, reason="the snapshots need not hold any shadow copy")
