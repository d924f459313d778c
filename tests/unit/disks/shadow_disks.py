"""Servers with shadow copies on their disks. The sandbox writes them, and shares no code with the parser."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_OID, UUID, uuid5

from quiesce.disks.search import ExpectedCopy
from quiesce.disks.shadow_copies import Disk, read_disk
from sandbox.disks.shadow_structures import SimulatedVolume
from sandbox.disks.sparse_disk import Place, SparseDisk, write_gpt

GIB = 1 << 30
CREATED_AT = datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=UTC)
SET_ID = uuid5(NAMESPACE_OID, "set")

Read = Callable[[int, int], bytes]


def an_id(name: str) -> UUID:
    return uuid5(NAMESPACE_OID, name)


def a_volume(name: str = "C", size_bytes: int = 30 * GIB, file_system: str = "NTFS") -> SimulatedVolume:
    """A volume on a GPT disk of its own."""
    disk = SparseDisk(size_bytes)
    (place,) = write_gpt(disk, [0])
    return SimulatedVolume(disk, place, an_id(f"volume {name}"), file_system)


def volumes_of(disk: SparseDisk, places: list[Place]) -> list[SimulatedVolume]:
    return [SimulatedVolume(disk, place, an_id(f"volume {place.start}")) for place in places]


@dataclass
class AServer:
    """Two disks: C: keeps its own shadow storage and that of D:. One shadow set of both, and an older one of C:."""

    c: SimulatedVolume
    d: SimulatedVolume
    store_c: UUID
    store_d: UUID

    @property
    def expected(self) -> list[ExpectedCopy]:
        return [an_expected_copy("C", disk="snap-c"), an_expected_copy("D", disk="snap-d")]

    def read(self) -> list[Disk]:
        return [seen("snap-c", self.c.disk), seen("snap-d", self.d.disk)]


def a_server() -> AServer:
    c, d = a_volume("C"), a_volume("D", 2048 * GIB)
    c.add_shadow_copy(an_id("old"), an_id("old set"), CREATED_AT - timedelta(days=1))
    store_c = c.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    store_d = d.add_shadow_copy(an_id("D"), SET_ID, CREATED_AT, storage=c)
    return AServer(c, d, store_c, store_d)


def an_expected_copy(
    name: str, *, set_id: UUID = SET_ID, disk: str | None = None, created_at: datetime | None = CREATED_AT
) -> ExpectedCopy:
    return ExpectedCopy(an_id(name), set_id, disk, created_at)


def seen(name: str, disk: SparseDisk) -> Disk:
    return read_disk(name, disk.read, disk.size_bytes)
