"""What Windows' volsnap driver writes on a volume: its header, its catalog, and the headers of its stores.

Microsoft has not published the format; this follows libyal's description of it and the images in our tests.
Offsets are bytes from the volume's start, numbers little-endian.
"""

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum

from quiesce.disks.raw import Extent, Malformed, NotSupported

VOLSNAP = uuid.UUID("3808876b-c176-4e48-b7ae-04046e6cc752").bytes_le
VERSIONS = (1, 2)
HEADER_OFFSET = 0x1E00
HEADER_BYTES = 512
BLOCK_BYTES = 0x4000
BODY_OFFSET = 0x80
ENTRY_BYTES = 0x80
# 4 on every volume seen; 9 are enough for 512 shadow copies, the most that Windows keeps on a volume.
MAX_CATALOG_BLOCKS = 32
ENTRY_EMPTY, ENTRY_FREE, ENTRY_COPY, ENTRY_STORAGE = range(4)
STORE_FIXED_BYTES = 64
MARKED_DELETED = 0x100
# VSS_VOLUME_SNAPSHOT_ATTRIBUTES of vss.h.
PERSISTENT, NO_WRITERS = 0x1, 0x10


class RecordType(IntEnum):
    """The type of one of volsnap's blocks, which the block states itself."""

    VOLUME_HEADER = 1
    CATALOG = 2
    BLOCK_LIST = 3
    STORE_HEADER = 4
    RANGE_LIST = 5
    BITMAP = 6


@dataclass(frozen=True)
class VolumeHeader:
    """A volume as volsnap knows it.

    Attributes:
        catalog_offset: 0 if no shadow copy and no shadow storage is left on the volume.
        volume_id: volsnap's own id, by which volumes are joined; not the partition's GUID.
        storage_volume_id: the id of the volume that holds this one's shadow storage; often its own.
    """

    catalog_offset: int
    volume_id: uuid.UUID
    storage_volume_id: uuid.UUID


@dataclass(frozen=True)
class CopyEntry:
    """A shadow copy, in the catalog of the volume that it is a copy of; ``store_id`` leads to its storage."""

    store_id: uuid.UUID
    order: int
    flags: int
    filetime: int
    volume_bytes: int

    @property
    def created_at(self) -> datetime | None:
        """When it was created, in UTC; None if the entry has no valid date."""
        try:
            return datetime(1601, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.filetime // 10)
        except OverflowError:
            return None

    @property
    def marked_deleted(self) -> bool:
        """Whether Windows would no longer show it."""
        return bool(self.flags & MARKED_DELETED)


@dataclass(frozen=True)
class StorageEntry:
    """Shadow storage (a diff area), in the catalog of the volume that holds it.

    Attributes:
        previous_bitmap_offset: 0 if the store has one bitmap.
    """

    store_id: uuid.UUID
    header_offset: int
    block_list_offset: int
    range_list_offset: int
    bitmap_offset: int
    previous_bitmap_offset: int


@dataclass(frozen=True)
class Catalog:
    """What a volume's catalog lists: shadow copies of this volume, and shadow storage on this volume."""

    copies: tuple[CopyEntry, ...] = ()
    storages: tuple[StorageEntry, ...] = ()


@dataclass(frozen=True)
class StoreHeader:
    """The start of a shadow copy's storage: the ids that DiskShadow prints, and how it was made."""

    copy_id: uuid.UUID
    set_id: uuid.UUID
    context: int
    attributes: int
    machine: str

    @property
    def persistent(self) -> bool:
        """Whether it outlives its requestor and a restart."""
        return bool(self.attributes & PERSISTENT)

    @property
    def writers_involved(self) -> bool:
        """Whether the applications' writers took part."""
        return not self.attributes & NO_WRITERS


def read_header(volume: Extent, file_system: str) -> VolumeHeader | None:
    """Read volsnap's header; None if there never was a shadow copy or shadow storage on the volume.

    Raises:
        NotSupported: its version is unknown, or there is none on a file system that may keep it elsewhere.
        Malformed: something else is in its place.
        NotRead: it could not be read.
    """
    data = volume.read(HEADER_OFFSET, HEADER_BYTES)
    if not data.startswith(VOLSNAP):
        if file_system != "NTFS":
            raise NotSupported(f"{file_system}: no header of volsnap where NTFS has it")
        if any(data):
            raise Malformed(f"something else is in the place of volsnap's header, {HEADER_OFFSET:#x}")
        return None
    _check(data, HEADER_OFFSET, RecordType.VOLUME_HEADER)
    (catalog_offset,) = struct.unpack_from("<Q", data, 48)
    return VolumeHeader(catalog_offset, _guid(data, 64), _guid(data, 80))


def read_catalog(volume: Extent, header: VolumeHeader) -> Catalog:
    """Read all that a volume's catalog lists.

    Raises:
        NotSupported: a version or an entry's type is unknown.
        Malformed: the chain of its blocks or an entry contradicts the format.
        NotRead: a block could not be read.
    """
    entries = [
        _entry(block[at : at + ENTRY_BYTES])
        for block in _catalog_blocks(volume, header.catalog_offset)
        for at in range(BODY_OFFSET, BLOCK_BYTES, ENTRY_BYTES)
    ]
    copies = tuple(entry for entry in entries if isinstance(entry, CopyEntry))
    storages = tuple(entry for entry in entries if isinstance(entry, StorageEntry))
    for same_kind in (copies, storages):
        if len({entry.store_id for entry in same_kind}) < len(same_kind):
            raise Malformed("the catalog lists a store twice")
    return Catalog(copies, storages)


def read_store(volume: Extent, entry: StorageEntry) -> StoreHeader:
    """Read the header of shadow storage on the volume that holds it.

    Raises:
        NotSupported: its version is unknown.
        Malformed: there is no such header, or it contradicts the format.
        NotRead: it could not be read.
    """
    block = read_block(volume, entry.header_offset, RecordType.STORE_HEADER)
    (length,) = struct.unpack_from("<Q", block, 48)
    if not STORE_FIXED_BYTES <= length <= BLOCK_BYTES - BODY_OFFSET:
        raise Malformed(f"the store header at {entry.header_offset:#x} holds {length} bytes")
    information = block[BODY_OFFSET : BODY_OFFSET + length]
    context, _, attributes = struct.unpack_from("<III", information, 48)
    return StoreHeader(_guid(information, 16), _guid(information, 32), context, attributes, _machine(information))


def read_block(volume: Extent, offset: int, record_type: RecordType, length: int = BLOCK_BYTES) -> bytes:
    """Read one of volsnap's blocks, or its beginning.

    Raises:
        NotSupported: its version is unknown.
        Malformed: no block of this type begins there.
        NotRead: it could not be read.
    """
    block = volume.read(offset, length)
    _check(block, offset, record_type)
    return block


def _catalog_blocks(volume: Extent, first: int) -> Iterator[bytes]:
    offset, number = first, 0
    while offset:
        if number == MAX_CATALOG_BLOCKS:
            raise Malformed(f"the catalog has more than {MAX_CATALOG_BLOCKS} blocks")
        block = read_block(volume, offset, RecordType.CATALOG)
        relative, _, following = struct.unpack_from("<QQQ", block, 24)
        # Every block states its own place in the chain, so a loop comes back to one with another place.
        if relative != number * BLOCK_BYTES:
            raise Malformed(f"the catalog's block at {offset:#x} is not its number {number}")
        yield block
        offset, number = following, number + 1


def _entry(data: bytes) -> CopyEntry | StorageEntry | None:
    kind, first, _, _, *rest = struct.unpack_from("<I4x9Q", data)
    if kind == ENTRY_EMPTY and any(data):
        raise Malformed("an entry of the catalog is marked as empty but is not")
    if kind in (ENTRY_EMPTY, ENTRY_FREE):
        return None
    if kind not in (ENTRY_COPY, ENTRY_STORAGE):
        raise NotSupported(f"an entry of the catalog is of the unknown type {kind}")
    if kind == ENTRY_COPY:
        order, flags, filetime, *_ = rest
        return CopyEntry(_guid(data, 16), order, flags, filetime, volume_bytes=first)
    header, ranges, bitmap, _, _, previous = rest
    return StorageEntry(_guid(data, 16), header, first, ranges, bitmap, previous)


def _check(block: bytes, offset: int, record_type: RecordType) -> None:
    version, kind, _, own_offset = struct.unpack_from("<IIQQ", block, 16)
    if not block.startswith(VOLSNAP):
        raise Malformed(f"no block of volsnap at {offset:#x}, where a {record_type.name} should be")
    if version not in VERSIONS:
        raise NotSupported(f"the {record_type.name} at {offset:#x} is of the unknown version {version}")
    if kind != record_type or own_offset != offset:
        raise Malformed(f"the block at {offset:#x} is of type {kind} from {own_offset:#x}, not a {record_type.name}")


def _machine(information: bytes) -> str:
    """Return the originating machine's name, which its length in bytes precedes."""
    start = STORE_FIXED_BYTES + 2
    length = int.from_bytes(information[STORE_FIXED_BYTES:start], "little")
    if length % 2 or start + length > len(information):
        raise Malformed(f"the originating machine's name is {length} bytes long, of {len(information)}")
    return information[start : start + length].decode("utf-16-le", "replace")


def _guid(data: bytes, offset: int) -> uuid.UUID:
    return uuid.UUID(bytes_le=data[offset : offset + 16])
