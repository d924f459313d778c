"""The second part of ``make fuzz``: views of thousands of damaged disks, seeded, and the children made of them.

Only our own error is raised, nothing is read without end, and nothing outside of the volume changes. What could not be
read gives the right child or none, and is not known, never not buildable.

    python -m tests.unit.disks.view_fuzz [INPUTS [FIRST]]
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from quiesce.disks.buildable import Buildable, judge
from quiesce.disks.child import Child
from quiesce.disks.raw import BLOCK_BYTES, StructureError
from quiesce.disks.shadow_copies import Stores, read_copies, read_disk
from sandbox.disks.sparse_disk import SparseDisk
from sandbox.disks.stores import BLOCK, StoreShape
from tests.unit.disks.ntfs_disks import FILE, MIB, NtfsDisk, an_ntfs_disk, blocks_of
from tests.unit.disks.shadow_disks import CREATED_AT, SET_ID, Read, a_volume, an_id
from tests.unit.disks.shadow_fuzz import INPUTS, SEED, Damage, damaged

# Two volumes of 64 MiB: more would be a loop.
MAX_READ_BYTES = 256 * MIB
Built = dict[tuple[str, int], bytes]


@dataclass
class Point:
    """A recovery point whose copies can all be built: its disks, what a look at them reads, and the children."""

    disks: list[SparseDisk]
    touched: list[list[tuple[int, int]]] = field(init=False)
    children: dict[object, Built] = field(init=False)

    def __post_init__(self) -> None:
        self.touched = [[] for _ in self.disks]
        meters = [_Meter(disk.read, places) for disk, places in zip(self.disks, self.touched, strict=True)]
        looked = _looked(meters, [disk.size_bytes for disk in self.disks])
        assert {judgement.verdict for judgement in looked.values()} == {"buildable"}
        # Before old data is read: a damaged one is as good as another.
        self.touched = [sorted(set(places)) for places in self.touched]
        self.children = {copy_id: _built(judgement) for copy_id, judgement in looked.items()}


class _Meter:
    def __init__(self, read: Read, places: list[tuple[int, int]]) -> None:
        self.read, self.places, self.bytes_read = read, places, 0

    def __call__(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        assert self.bytes_read <= MAX_READ_BYTES
        self.places.append((offset, length))
        return self.read(offset, length)


def _looked(reads: Sequence[Read], sizes: Sequence[int]) -> dict[object, Buildable]:
    disks = [read_disk(f"disk {number}", *parts) for number, parts in enumerate(zip(reads, sizes, strict=True))]
    stores = Stores(disks)
    return {copy.store and copy.store.copy_id: judge(stores, copy) for copy in read_copies(disks)}


def _built(judgement: Buildable) -> Built:
    view = judgement.view
    if view is None:
        return {}
    child, built = Child([view]), {}
    for batch in child.batches():
        for block in child.read(batch):
            at = block.index * BLOCK_BYTES
            before, behind = max(0, view.start - at), max(0, view.start + view.length - at)
            assert block.child[:before] == block.parent[:before]
            assert block.child[behind:] == block.parent[behind:]
            if block.differs:
                built[view.volume.disk, block.index] = block.child
    return built


@cache
def points() -> tuple[Point, ...]:
    shape = StoreShape(8 * MIB, 5, blocks_of(FILE, (56 * MIB, MIB)), flags=0x88)
    local = an_ntfs_disk(shape=shape, root={"pagefile.sys": [(FILE[0] + MIB, 3 * MIB), (FILE[0], MIB)]})
    local.volume.shape = shape._replace(previous=blocks_of(FILE))
    local.store_id = local.volume.add_shadow_copy(an_id("newer"), SET_ID, CREATED_AT)
    local.volume.write_to_copy(local.store_id, local.files.places()["log"][0], local.files.log(clean=True))
    remote = an_ntfs_disk(cluster_bytes=64 << 10, shape=shape, vss={"a{3808876b-c176-4e48-b7ae-04046e6cc752}": [FILE]})
    storage = a_volume("D", 64 * MIB)
    remote.store_id = remote.volume.add_shadow_copy(an_id("newer"), SET_ID, CREATED_AT, storage=storage)
    remote.volume.write_to_copy(remote.store_id, remote.files.places()["log"][0], remote.files.log(clean=True))
    for disk in (local, remote):
        _use(disk)
    return Point([local.disk]), Point([remote.disk, storage.disk])


def _use(disk: NtfsDisk) -> None:
    for number in range(12):
        disk.volume.write(60 * MIB + number * 3 * BLOCK, b"new")


@dataclass
class Tally:
    """The verdicts of the inputs so far, and the slowest one."""

    verdicts: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0


def try_one(point: Point, chance: random.Random, tally: Tally) -> None:
    """Damage a recovery point, look at all of its copies, read what would be written, and check what must hold."""
    damage: Damage = damaged(point, chance)
    started = time.perf_counter()
    looked = _looked([_Meter(read, []) for read in damage.reads], damage.sizes)
    for copy_id, judgement in looked.items():
        try:
            built = _built(judgement)
        except StructureError:
            tally.verdicts[f"{damage.kind}: {judgement.verdict}, then not read"] += 1
            continue
        tally.verdicts[f"{damage.kind}: {judgement.verdict}"] += 1
        if damage.kind in ("short", "fails", "ends"):
            assert judgement.verdict != "not buildable", judgement.reason
            assert judgement.verdict == "not known" or built == point.children[copy_id]
    tally.slowest_s = max(tally.slowest_s, time.perf_counter() - started)


def fuzz(inputs: int, seed: int = SEED, first: int = 0) -> Tally:
    """Try ``inputs`` damaged recovery points, from number ``first`` on; input n is the same on every run."""
    tally = Tally()
    for number in range(first, first + inputs):
        chance = random.Random(f"view {seed} {number}")
        try:
            try_one(chance.choice(points()), chance, tally)
        except BaseException as error:
            error.add_note(f"input {number} of seed {seed}")
            raise
    return tally


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else INPUTS
    result = fuzz(count, first=int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    sys.stdout.write(
        f"{count} views of damaged disks, none raised; the slowest took {result.slowest_s * 1000:.0f} ms\n"
    )
    sys.stdout.writelines(f"  {verdict}: {times}\n" for verdict, times in sorted(result.verdicts.items()))
