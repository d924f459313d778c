"""A volume of 64 TiB with a million entries in its shadow copy's list, made up while it is read.

python -m tests.unit.disks.huge_volume [ENTRIES TIB] prints how much memory it takes to say whether it is buildable.
"""

import json
import re
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from quiesce.disks.buildable import judge
from quiesce.disks.child import Child
from quiesce.disks.shadow_copies import Stores, read_copies, read_disk
from sandbox.disks import stores
from sandbox.disks.ntfs_structures import NtfsFiles
from sandbox.disks.shadow_structures import SimulatedVolume
from sandbox.disks.sparse_disk import Place, SparseDisk, write_gpt
from sandbox.disks.stores import BLOCK, BLOCKS_PER_BITMAP, ENTRIES_PER_LIST, HEAD, StoreShape, volsnap_block
from tests.unit.disks.shadow_disks import CREATED_AT, SET_ID, an_id

TIB = 1 << 40
CLUSTER = 16 << 10
# Behind the bitmap of NTFS.
CATALOG_AT, STORE_AT = 768 << 20, TIB
NTFS_BLOCKS = 1 << 17


class _Bare(NtfsFiles):
    """NTFS with a bitmap of zeros, which takes no room: nothing is in use."""

    def _bitmap(self, places: object) -> dict[int, int]:
        return {}


@dataclass
class HugeVolume:
    """A volume of 64 TiB: most of it is unprotected and free, and old data is scattered over all of it."""

    entries: int = 1_000_000
    size_bytes: int = 64 * TIB

    def __post_init__(self) -> None:
        self.disk = SparseDisk(self.size_bytes)
        (self.place,) = write_gpt(self.disk, [0])
        self.place = Place(*self.place)
        volume = SimulatedVolume(self.disk, self.place, an_id("volume C"), cluster_bytes=CLUSTER)
        volume.catalog_at, volume.next_store_at = CATALOG_AT, STORE_AT
        volume.shape = StoreShape(self.entries * BLOCK)
        for offset, data in _Bare(self.place.length, CLUSTER, CLUSTER).writes():
            volume.write(offset, data)
        with patch.object(stores, "_write_bitmap"):
            volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
        self.list_at, self.bitmap_at = STORE_AT + BLOCK, STORE_AT + 3 * BLOCK
        self.blocks = -(-self.place.length // BLOCK)
        self.bitmaps = -(-self.blocks // BLOCKS_PER_BITMAP)
        self.lists = -(-self.entries // ENTRIES_PER_LIST)
        self.data_at = self.bitmap_at + self.bitmaps * BLOCK
        # The list's other blocks lie behind the data.
        self.more_at = self.data_at + self.entries * BLOCK

    def read(self, offset: int, length: int) -> bytes:
        at = offset - self.place.start
        if at == self.list_at or self.more_at <= at < self.more_at + self.lists * BLOCK:
            number = 0 if at == self.list_at else (at - self.more_at) // BLOCK + 1
            return self._list(at, number)[:length]
        if self.bitmap_at <= at < self.data_at:
            own = at // BLOCK * BLOCK
            following = own + BLOCK if own + BLOCK < self.data_at else 0
            return volsnap_block(6, own - STORE_AT, own, following, b"\xff" * (BLOCK - HEAD))[at - own :][:length]
        return self.disk.read(offset, length)

    def _list(self, own: int, number: int) -> bytes:
        following = self.more_at + number * BLOCK if number + 1 < self.lists else 0
        return volsnap_block(3, own - STORE_AT, own, following, b"".join(self._entries(number)))

    def _entries(self, number: int) -> Iterator[bytes]:
        for entry in range(number * ENTRIES_PER_LIST, min((number + 1) * ENTRIES_PER_LIST, self.entries)):
            # A large prime: each block once, in no order, and none of NTFS itself.
            block = NTFS_BLOCKS + entry * 2_654_435_761 % (self.blocks - NTFS_BLOCKS)
            data_at = self.data_at + entry * BLOCK
            yield struct.pack("<QQQII", block * BLOCK, data_at - STORE_AT, data_at, 0, 0)


def peak_mib() -> int:
    """Return the most memory that this process has had; getrusage would count its parent's, from before exec."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) >> 10


def measure(volume: HugeVolume) -> dict[str, float]:
    """Judge the volume and go through all that would be built, and return what that took."""
    before_mib = peak_mib()
    started = time.process_time()
    disks = [read_disk("huge", volume.read, volume.size_bytes)]
    (copy,) = read_copies(disks)
    judgement = judge(Stores(disks), copy)
    assert judgement.view is not None, judgement.reason
    assert judgement.work is not None, judgement.reason
    most = max(len(batch) for batch in Child([judgement.view]).batches())
    return {
        "cpu_s": round(time.process_time() - started, 1),
        "before_mib": before_mib,
        "peak_mib": peak_mib(),
        "largest_batch": most,
        **judgement.work._asdict(),
    }


if __name__ == "__main__":
    entries, tib = map(int, sys.argv[1:] or (1_000_000, 64))
    sys.stdout.write(json.dumps(measure(HugeVolume(entries, tib * TIB))) + "\n")
