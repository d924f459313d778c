"""Volumes with a little of NTFS on them, and a shadow copy in which Windows replayed the log."""

from dataclasses import dataclass, field, replace
from uuid import UUID

from quiesce.disks.buildable import Buildable, judge
from quiesce.disks.shadow_copies import Disk, Stores, read_copies
from sandbox.disks.ntfs_structures import NtfsFiles, Span
from sandbox.disks.shadow_structures import MFT_AT, SimulatedVolume
from sandbox.disks.sparse_disk import SparseDisk, write_gpt
from sandbox.disks.stores import BLOCK, StoreShape
from tests.unit.disks.shadow_disks import CREATED_AT, SET_ID, an_id, seen

MIB = 1 << 20
# Behind all stores, and on clusters of every size.
FILE: Span = (48 * MIB, 4 * MIB)


def blocks_of(*spans: Span) -> frozenset[int]:
    return frozenset(block for start, length in spans for block in range(start // BLOCK, (start + length) // BLOCK))


@dataclass
class NtfsDisk:
    """A disk with one volume in use; ``files`` is what NTFS says when the shadow copy is made."""

    cluster_bytes: int = 4096
    size_bytes: int = 66 * MIB
    shape: StoreShape = field(default_factory=lambda: StoreShape(data_bytes=4 * MIB))
    replayed: bool = True
    files: NtfsFiles | None = None
    changes: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.disk = SparseDisk(self.size_bytes)
        (place,) = write_gpt(self.disk, [0])
        self.volume = SimulatedVolume(self.disk, place, an_id("volume C"), cluster_bytes=self.cluster_bytes)
        self.volume.shape = self.shape
        mft_at = -(-MFT_AT // self.cluster_bytes) * self.cluster_bytes
        self.files = NtfsFiles(place.length, self.cluster_bytes, mft_at, log_clean=False, **self.changes)
        for offset, data in self.files.writes():
            self.volume.write(offset, data)
        self.store_id = self.volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
        if self.replayed:
            self.volume.write_to_copy(self.store_id, self.files.places()["log"][0], self.files.log(clean=True))

    def write_to_copy(self, **changes: object) -> None:
        """Windows changes what NTFS says in the shadow copy itself."""
        assert self.files is not None
        for offset, data in replace(self.files, log_clean=True, **changes).writes():
            self.volume.write_to_copy(self.store_id, offset, data)

    def read(self) -> list[Disk]:
        return [seen("snap-c", self.disk)]


def an_ntfs_disk(**changes: object) -> NtfsDisk:
    """A disk with these changes of NTFS' files; ``cluster_bytes``, ``shape`` and ``replayed`` are of the disk."""
    own = {name: changes.pop(name) for name in ("cluster_bytes", "shape", "replayed", "size_bytes") if name in changes}
    return NtfsDisk(**own, changes=changes)


def judged(disks: list[Disk], copy_id: UUID | None = None) -> Buildable:
    wanted = copy_id or an_id("C")
    (copy,) = [copy for copy in read_copies(disks) if copy.store and copy.store.copy_id == wanted]
    return judge(Stores(disks), copy)
