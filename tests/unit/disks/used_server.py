"""Servers in use, with what their volumes held at the instant of each shadow copy: the sandbox's volsnap against ours.

A server has one disk with two partitions that begin and end anywhere. Programs write, Windows makes shadow copies and
writes in them, and marks some as deleted. Nothing writes where volsnap has its own structures.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from quiesce.disks.child import Child
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.disks.shadow_copies import Disk, Stores, read_copies, read_disk
from quiesce.disks.view import View, open_view
from sandbox.disks.shadow_structures import HEADER_AT, SimulatedVolume
from sandbox.disks.sparse_disk import Place, SparseDisk, write_mbr_of
from sandbox.disks.stores import BLOCK, SECTOR, StoreShape
from tests.unit.disks.shadow_disks import CREATED_AT, SET_ID, an_id, volumes_of

CATALOG_AT, FIRST_STORE_AT = 0x280000, 0x2A0000
# Where programs write: the block of volsnap's header, some others, and the end of the volume.
BOOT, MIDDLE, FAR, TAIL_BYTES = range(0x200, HEADER_AT), range(0x4000, 0x48000), range(0x200000, 0x210000), 0x9000
STORE_BYTES = 0x1C0000
MOST_STORES = 8
VOLUME_BYTES = FIRST_STORE_AT + MOST_STORES * STORE_BYTES + TAIL_BYTES


@dataclass
class UsedServer:
    """A disk with two volumes, C and D, and what they held at the instant of each shadow copy, by its store.

    Attributes:
        held: the disk, as it was when the shadow copy was made, with what Windows then wrote in the shadow copy.
    """

    start: int = 63
    gap: int = 3
    tails: tuple[int, int] = (0, 5)
    d_on_c: bool = True
    shape: StoreShape = field(default_factory=lambda: StoreShape(data_bytes=0x180000))
    held: dict[UUID, SparseDisk] = field(default_factory=dict)
    copied: dict[UUID, int] = field(default_factory=dict)
    deleted: set[UUID] = field(default_factory=set)

    def __post_init__(self) -> None:
        lengths = [VOLUME_BYTES + tail * SECTOR for tail in self.tails]
        first = Place(self.start * SECTOR, lengths[0])
        second = Place(first.start + first.length + self.gap * SECTOR, lengths[1])
        self.disk = SparseDisk(second.start + second.length + 7 * SECTOR)
        write_mbr_of(self.disk, [first, second])
        self.volumes = volumes_of(self.disk, [first, second])
        # What lies between and behind the volumes is nobody's business.
        self.disk.write(first.start + first.length, b"\xee" * (self.gap * SECTOR))
        self.disk.write(second.start + second.length, b"\xee" * (7 * SECTOR))
        for number, volume in enumerate(self.volumes):
            volume.catalog_at, volume.next_store_at, volume.shape = CATALOG_AT, FIRST_STORE_AT, self.shape
            chance = random.Random(number)
            for where in (MIDDLE, FAR, self.tail(volume)):
                volume.write(where.start, chance.randbytes(len(where)))

    @staticmethod
    def tail(volume: SimulatedVolume) -> range:
        # The last sector repeats the first one, and libvshadow wants to see it.
        return range(volume.place.length - TAIL_BYTES, volume.place.length - SECTOR)

    def places(self, volume: SimulatedVolume) -> list[range]:
        return [BOOT, MIDDLE, FAR, self.tail(volume)]

    def copy(self, number: int) -> None:
        """Windows makes a shadow copy of a volume."""
        if len(self.held) == MOST_STORES:
            return
        volume, name = self.volumes[number], f"copy {len(self.held)}"
        at = CREATED_AT + timedelta(minutes=len(self.held))
        storage = self.volumes[0] if self.d_on_c else None
        store_id = volume.add_shadow_copy(an_id(name), SET_ID, at, storage=storage)
        self.held[store_id], self.copied[store_id] = self.disk.copy(), number

    def write(self, number: int, place: int, at: int, data: bytes) -> None:
        """A program writes, in one of the places, as much as fits there."""
        volume = self.volumes[number]
        where = self.places(volume)[place]
        offset = where[at % len(where)]
        volume.write(offset, data[: where.stop - offset])

    def write_to_copy(self, which: int, place: int, at: int, data: bytes) -> None:
        """Windows writes whole sectors in a shadow copy."""
        if not self.held:
            return
        store_id = list(self.held)[which % len(self.held)]
        volume = self.volumes[self.copied[store_id]]
        where = self.places(volume)[place]
        offset = where[at % len(where)] // SECTOR * SECTOR
        data = data[: min(len(data), where.stop - offset) // SECTOR * SECTOR]
        volume.write_to_copy(store_id, offset, data)
        self.held[store_id].write(volume.place.start + offset, data)

    def mark_deleted(self, which: int) -> None:
        if self.held:
            store_id = list(self.held)[which % len(self.held)]
            self.volumes[self.copied[store_id]].mark_deleted(store_id)
            self.deleted.add(store_id)

    def expected(self, store_id: UUID) -> SparseDisk:
        """Return the disk as it should become: the volume as it was, and volsnap's structures on it as they are."""
        volume = self.volumes[self.copied[store_id]]
        disk, held = self.disk.copy(), self.held[store_id]
        for where in self.places(volume):
            start = volume.place.start + where.start
            disk.write(start, held.read(start, len(where)))
        disk.write(volume.place.start + HEADER_AT + 48, bytes(8))
        return disk

    def read(self) -> list[Disk]:
        return [read_disk("disk", self.disk.read, self.disk.size_bytes)]

    def views(self) -> Iterator[tuple[UUID, View]]:
        """Yield the view of each shadow copy that can be built."""
        disks = self.read()
        stores = Stores(disks)
        for copy in read_copies(disks):
            if copy.entry.store_id not in self.deleted:
                yield copy.entry.store_id, open_view(stores, copy)


def built(disk: SparseDisk, child: Child) -> tuple[SparseDisk, list[int]]:
    """Return what a child of a disk holds, and the blocks that were put for it."""
    made, put = disk.copy(), []
    for batch in child.batches():
        for block in child.read(batch):
            if block.differs:
                made.write(block.index * BLOCK_BYTES, block.child)
                put.append(block.index)
    return made, put


def wrong_copies(server: UsedServer, made: Callable[[View], SparseDisk]) -> list[UUID]:
    """Return the shadow copies that a child differs from, or that could not be compared with one."""
    views = dict(server.views())
    assert set(views) == set(server.held) - server.deleted
    return [store_id for store_id, view in views.items() if made(view).pages() != server.expected(store_id).pages()]


def a_used_server() -> UsedServer:
    """A server on which every rule of reading a shadow copy counts."""
    server = UsedServer(shape=StoreShape(data_bytes=0x180000, entries_per_list=3, flags=0x88))
    chance = random.Random(20)
    for number in (0, 1, 0, 1, 0, 1):
        server.copy(number)
        for volume in (0, 1):
            for place in (0, 1, 1, 2, 3, 3):
                server.write(volume, place, chance.randrange(1 << 20), chance.randbytes(chance.randrange(1, 30_000)))
        for _ in range(4):
            place, at = chance.choice((1, 2, 3)), chance.randrange(1 << 20)
            server.write_to_copy(chance.randrange(8), place, at, chance.randbytes(BLOCK))
    server.mark_deleted(2)
    server.mark_deleted(3)
    return server
