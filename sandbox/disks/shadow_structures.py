"""Genuine VSS structures on simulated disks: what volsnap leaves on the volumes of a server that made shadow copies.

Written from published descriptions of the format and from images that Windows wrote.
It shares no code with the product's parser, so that each reveals the other's mistakes.
"""

import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, UUID, uuid5

from sandbox.disks.sparse_disk import Place, SparseDisk
from sandbox.disks.stores import BLOCK, HEAD, VOLSNAP, Store, StoreShape, volsnap_block, write_store

HEADER_AT = 0x1E00
CATALOG_AT = 0x830000
CATALOG_BLOCKS = 4
ENTRIES_PER_BLOCK = BLOCK // HEAD - 1
FIRST_STORE_AT = 0x1560000
TYPE_HEADER, TYPE_CATALOG = 1, 2
# Windows 8 and later set LIVE_FLAGS on a live shadow copy; 0x100 marks a deleted one.
LIVE_FLAGS, DELETED_FLAG = 0x440, 0x100
FREE_ENTRY = struct.pack("<Q", 1).ljust(HEAD, b"\0")
# Persistent with writers: context, attributes, and the id in such a store.
PERSISTENT_WITH_WRITERS = (0x9, 0x00420009, UUID("ae9a9337-0048-4ed6-9874-71500654b7b3"))
CLIENT_ACCESSIBLE = (0x1D, 0x0002001D, UUID("e5de7d45-49f2-40a4-817c-7dc82b72587f"))
# The id in a store whose shadow copy is marked as deleted.
DELETED = UUID("f12142b4-9a4b-49af-a851-700c42fdc2be")
OEM_NAMES = {"NTFS": b"NTFS    ", "ReFS": b"ReFS\0\0\0\0", "BitLocker": b"-FVE-FS-"}
CLUSTER_BYTES = 4096
# Where $MFT begins, at least: behind $Boot and volsnap's header.
MFT_AT = 0x4000
# As a single byte of the boot sector tells them.
MOST_SECTORS_PER_CLUSTER = 128


@dataclass
class SimulatedVolume:
    """A volume of a simulated server: its boot sector, and what volsnap keeps on it.

    Attributes:
        volume_id: volsnap's own id of the volume.
        next_store_at: where the next store on this volume begins.
        cluster_bytes: of NTFS.
        catalog_at: where volsnap's catalog begins.
        shape: of the stores of its next shadow copies.
        stores: of this volume's shadow copies, wherever they lie, the oldest first.
        held: the disk at the instant of each, with what was then written in the shadow copy itself.
    """

    disk: SparseDisk
    place: Place
    volume_id: UUID
    file_system: str = "NTFS"
    next_store_at: int = FIRST_STORE_AT
    cluster_bytes: int = CLUSTER_BYTES
    catalog_at: int = CATALOG_AT
    shape: StoreShape = field(default_factory=StoreShape)
    stores: dict[UUID, Store] = field(default_factory=dict)
    held: dict[UUID, SparseDisk] = field(default_factory=dict)
    _storage: "SimulatedVolume | None" = None
    _holders: dict[UUID, "SimulatedVolume"] = field(default_factory=dict)
    _entries: dict[tuple[int, UUID], bytes] = field(default_factory=dict)
    _orders: int = 0

    def __post_init__(self) -> None:
        """Format the volume."""
        sector = self._boot_sector()
        self._write(0, sector)
        if self.file_system == "NTFS":
            self._write(self.place.length - self.disk.sector_bytes, sector)

    def add_shadow_copy(
        self,
        copy_id: UUID,
        set_id: UUID,
        created_at: datetime,
        *,
        storage: "SimulatedVolume | None" = None,
        made_as: tuple[int, int, UUID] = PERSISTENT_WITH_WRITERS,
        machine: str = "EC2AMAZ-QUIESCE",
    ) -> UUID:
        """Make a shadow copy of this volume, and return its store's id.

        Args:
            copy_id: the id of the shadow copy, as DiskShadow would print it.
            set_id: the id of its set.
            created_at: with its time zone.
            storage: the volume that holds its shadow storage; this one by default.
            made_as: context, attributes, and the id that Windows writes into such a store.
            machine: the server's name.
        """
        store_id = store_of(copy_id)
        self.held[store_id] = self.disk.copy()
        holder = self._storage = self._holders[store_id] = storage or self
        self._orders += 1
        times = (self._orders, LIVE_FLAGS, _filetime(created_at))
        entry = struct.pack("<QQ16sQQQ", 2, self.place.length, store_id.bytes_le, *times)
        self._entries[2, store_id] = entry.ljust(HEAD, b"\0")
        information = _information(copy_id, set_id, made_as, machine)
        self.stores[store_id] = holder._add_store(store_id, self.place.length, information, self.shape)
        self._write_catalog()
        return store_id

    def mark_deleted(self, store_id: UUID) -> None:
        """Mark a shadow copy as deleted; its entry and store stay."""
        entry = bytearray(self._entries[2, store_id])
        (flags,) = struct.unpack_from("<Q", entry, 40)
        struct.pack_into("<Q", entry, 40, flags | DELETED_FLAG)
        self._entries[2, store_id] = bytes(entry)
        self._write_catalog()
        holder = self._holders[store_id]
        (store_at,) = struct.unpack_from("<Q", holder._entries[3, store_id], 32)
        holder._write(store_at + HEAD, DELETED.bytes_le)

    def delete_shadow_copy(self, store_id: UUID) -> None:
        """Delete a shadow copy as Windows does: free both entries, and leave the store's bytes."""
        for volume, kind in ((self, 2), (self._holders.pop(store_id), 3)):
            volume._entries[kind, store_id] = FREE_ENTRY
            volume._write_catalog()
        del self.stores[store_id], self.held[store_id]

    def write(self, offset: int, data: bytes) -> None:
        """Write as a program on the server does: the newest store keeps what each block held at its instant."""
        for block in range(offset // BLOCK, -(-(offset + len(data)) // BLOCK)):
            newest = next(reversed(self.stores.values()), None)
            if newest and newest.protects(block):
                newest.copy(block, self.read(block * BLOCK, BLOCK))
        self._write(offset, data)

    def write_to_copy(self, store_id: UUID, offset: int, data: bytes) -> None:
        """Write whole sectors in a shadow copy itself, as the replay of a log and the writers' auto-recovery do."""
        store = self.stores[store_id]
        for block in range(offset // BLOCK, -(-(offset + len(data)) // BLOCK)):
            start, end = max(offset, block * BLOCK), min(offset + len(data), (block + 1) * BLOCK)
            store.overlay(block, start - block * BLOCK, data[start - offset : end - offset])
        self.held[store_id].write(self.place.start + offset, data)

    def read(self, offset: int, length: int) -> bytes:
        """Read; shorter at the end of the volume."""
        return self.disk.read(self.place.start + offset, min(length, self.place.length - offset))

    def _add_store(self, store_id: UUID, copied_bytes: int, information: bytes, shape: StoreShape) -> Store:
        store, entry = write_store(self._write, self.next_store_at, copied_bytes, information, shape)
        self._entries[3, store_id] = entry(store_id)
        self.next_store_at = store.end
        self._write_catalog()
        return store

    def _write_catalog(self) -> None:
        entries = list(self._entries.values())
        blocks = max(CATALOG_BLOCKS, -(-len(entries) // ENTRIES_PER_BLOCK))
        for number in range(blocks):
            at = self.catalog_at + number * BLOCK
            body = b"".join(entries[number * ENTRIES_PER_BLOCK : (number + 1) * ENTRIES_PER_BLOCK])
            following = at + BLOCK if number + 1 < blocks else 0
            self._write(at, volsnap_block(TYPE_CATALOG, number * BLOCK, at, following, body))
        holder = self._storage or self
        head = VOLSNAP + struct.pack("<IIQQQQQ", 1, TYPE_HEADER, HEADER_AT, HEADER_AT, 0, self.catalog_at, 0)
        elsewhere = struct.pack("<I", holder is not self)
        ids = self.volume_id.bytes_le + holder.volume_id.bytes_le
        self._write(HEADER_AT, (head + ids + elsewhere).ljust(512, b"\0"))

    def _boot_sector(self) -> bytes:
        sector = bytearray(b"\xeb\x52\x90" + OEM_NAMES[self.file_system].ljust(509, b"\0"))
        if self.file_system == "NTFS":
            sector_bytes = self.disk.sector_bytes
            struct.pack_into("<HB", sector, 11, sector_bytes, _sectors_per_cluster(self.cluster_bytes // sector_bytes))
            first = -(-MFT_AT // self.cluster_bytes)
            struct.pack_into("<QQQ", sector, 40, self.place.length // sector_bytes - 1, first, 2)
            sector[64], sector[68] = 0xF6, 1
        sector[510:] = b"\x55\xaa"
        return bytes(sector)

    def _write(self, offset: int, data: bytes) -> None:
        if offset + len(data) > self.place.length:
            raise ValueError(f"the volume of {self.place.length:#x} bytes has no room at {offset:#x}")
        self.disk.write(self.place.start + offset, data)


def store_of(copy_id: UUID) -> UUID:
    """Return the id of a shadow copy's store."""
    return uuid5(NAMESPACE_OID, f"store of {copy_id}")


def _information(copy_id: UUID, set_id: UUID, made_as: tuple[int, int, UUID], machine: str) -> bytes:
    context, attributes, application = made_as
    ids = application.bytes_le + copy_id.bytes_le + set_id.bytes_le
    name = machine.encode("utf-16-le")
    text = struct.pack("<H", len(name)) + name
    return ids + struct.pack("<IIII", context, 1, attributes, 0) + text + text


def _sectors_per_cluster(sectors: int) -> int:
    """Return the number as the boot sector has it: more than 128 as a negative power of two."""
    return sectors if sectors <= MOST_SECTORS_PER_CLUSTER else 257 - sectors.bit_length()


def _filetime(at: datetime) -> int:
    since = at - datetime(1601, 1, 1, tzinfo=UTC)
    return (since.days * 86400 + since.seconds) * 10_000_000 + since.microseconds * 10
