"""Disks of any size in memory, with the partition tables that Windows writes; unwritten bytes are zeros."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from uuid import NAMESPACE_OID, UUID, uuid5

PAGE_BYTES = 16 * 1024
EMPTY = bytes(PAGE_BYTES)
# Windows aligns partitions to 1 MiB, and leaves as much free behind the last.
ALIGNMENT = 1 << 20
BASIC_DATA = UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7")
EFI_SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
A_DISK = uuid5(NAMESPACE_OID, "disk")
NTFS_ROW, EXTENDED_ROW, PROTECTIVE_ROW = 0x07, 0x0F, 0xEE
GPT_ENTRIES, GPT_ENTRY_BYTES = 128, 128


class Place(NamedTuple):
    """Where a partition lies on its disk, in bytes."""

    start: int
    length: int


class SparseDisk:
    """A disk of any size; only its written pages are kept."""

    def __init__(self, size_bytes: int, sector_bytes: int = 512) -> None:
        self.size_bytes, self.sector_bytes = size_bytes, sector_bytes
        self._pages: dict[int, bytes] = {}

    def write(self, offset: int, data: bytes) -> None:
        """Write inside the disk; refuse a write beyond its end."""
        if offset < 0 or offset + len(data) > self.size_bytes:
            raise ValueError(f"{len(data)} bytes at {offset:#x} do not fit on a disk of {self.size_bytes:#x}")
        done = 0
        while done < len(data):
            page, inside = divmod(offset + done, PAGE_BYTES)
            part = bytes(data[done : done + PAGE_BYTES - inside])
            if len(part) < PAGE_BYTES:
                old = self._pages.get(page, EMPTY)
                self._pages[page] = old[:inside] + part + old[inside + len(part) :]
            else:
                self._pages[page] = part
            done += len(part)

    def read(self, offset: int, length: int) -> bytes:
        """Read; shorter at the end of the disk, as a file is."""
        end = min(offset + length, self.size_bytes)
        pages = range(offset // PAGE_BYTES, -(-end // PAGE_BYTES))
        data = b"".join(self._pages.get(page, EMPTY) for page in pages)
        inside = offset % PAGE_BYTES
        return data[inside : inside + max(0, end - offset)]

    def pages(self) -> dict[int, bytes]:
        """Return the pages that are not all zeros, by their offsets: what two disks with the same content share."""
        return {page * PAGE_BYTES: data for page, data in self._pages.items() if data != EMPTY}

    def copy(self) -> "SparseDisk":
        """Return a disk of its own with the same content; what both have is in memory once."""
        copied = SparseDisk(self.size_bytes, self.sector_bytes)
        copied._pages = dict(self._pages)
        return copied

    def written_blocks(self, block_bytes: int) -> list[int]:
        """Return the numbers of the blocks with written data, ascending."""
        return sorted({page * PAGE_BYTES // block_bytes for page in self._pages})

    def save(self, path: Path) -> None:
        """Write the disk into a sparse file."""
        with path.open("wb") as file:
            file.truncate(self.size_bytes)
            for page, data in self._pages.items():
                file.seek(page * PAGE_BYTES)
                file.write(data[: self.size_bytes - page * PAGE_BYTES])


def places(disk: SparseDisk, lengths: Sequence[int]) -> list[Place]:
    """Return places for partitions in a row; a length of 0 takes the rest of the disk."""
    found, start = [], ALIGNMENT
    for length in lengths:
        taken = length or disk.size_bytes - ALIGNMENT - start
        found.append(Place(start, taken))
        start = -(-(start + taken) // ALIGNMENT) * ALIGNMENT
    return found


def write_gpt(
    disk: SparseDisk, lengths: Sequence[int], kinds: Sequence[UUID] = (), disk_id: UUID = A_DISK
) -> list[Place]:
    """Partition a disk by GPT, with its backup at the end; partitions without a kind are basic data partitions."""
    laid = places(disk, lengths)
    sector = disk.sector_bytes
    last = disk.size_bytes // sector - 1
    entries_sectors = GPT_ENTRIES * GPT_ENTRY_BYTES // sector
    all_kinds = [*kinds, *[BASIC_DATA] * (len(laid) - len(kinds))]
    used = [_gpt_entry(place, kind, sector) for place, kind in zip(laid, all_kinds, strict=True)]
    entries = b"".join(used).ljust(GPT_ENTRIES * GPT_ENTRY_BYTES, b"\0")
    disk.write(0, _table_sector([_row(PROTECTIVE_ROW, 1, min(last, 0xFFFFFFFF))]))
    for own, at in ((1, 2), (last, last - entries_sectors)):
        disk.write(at * sector, entries)
        disk.write(own * sector, _gpt_header(disk, own, at, entries, disk_id))
    return laid


def read_gpt(disk: SparseDisk) -> tuple[UUID, Place] | None:
    """Return a disk's id, and where its first basic data partition lies; None if it has no table of `write_gpt`."""
    head = disk.read(disk.sector_bytes, disk.sector_bytes)
    if not head.startswith(b"EFI PART"):
        return None
    entries = disk.read(2 * disk.sector_bytes, GPT_ENTRIES * GPT_ENTRY_BYTES)
    kinds = range(0, len(entries), GPT_ENTRY_BYTES)
    at = next(at for at in kinds if entries[at : at + 16] == BASIC_DATA.bytes_le)
    first, last = struct.unpack_from("<QQ", entries, at + 32)
    place = Place(first * disk.sector_bytes, (last + 1 - first) * disk.sector_bytes)
    return UUID(bytes_le=head[56:72]), place


def _gpt_entry(place: Place, kind: UUID, sector: int) -> bytes:
    unique = uuid5(NAMESPACE_OID, f"partition at {place.start}")
    first, last = place.start // sector, (place.start + place.length) // sector - 1
    name = "Basic data partition".encode("utf-16-le")
    return (kind.bytes_le + unique.bytes_le + struct.pack("<QQQ", first, last, 0) + name).ljust(GPT_ENTRY_BYTES, b"\0")


def _gpt_header(disk: SparseDisk, own: int, entries_at: int, entries: bytes, disk_id: UUID) -> bytes:
    last, entries_sectors = disk.size_bytes // disk.sector_bytes - 1, len(entries) // disk.sector_bytes
    first_usable, last_usable, other = 2 + entries_sectors, last - entries_sectors - 1, 1 if own == last else last

    def packed(checksum: int) -> bytes:
        head = struct.pack("<8sIIIIQQQQ", b"EFI PART", 0x10000, 92, checksum, 0, own, other, first_usable, last_usable)
        table = struct.pack("<QIII", entries_at, GPT_ENTRIES, GPT_ENTRY_BYTES, zlib.crc32(entries))
        return head + disk_id.bytes_le + table

    return packed(zlib.crc32(packed(0)))


def write_mbr(disk: SparseDisk, lengths: Sequence[int], kinds: Sequence[int] = ()) -> list[Place]:
    """Partition a disk by MBR, with at most four partitions."""
    laid = places(disk, lengths)
    write_mbr_of(disk, laid, kinds)
    return laid


def write_mbr_of(disk: SparseDisk, laid: Sequence[Place], kinds: Sequence[int] = ()) -> None:
    """Partition a disk by MBR into these places, wherever their sectors are: older systems began at sector 63."""
    all_kinds = [*kinds, *[NTFS_ROW] * (len(laid) - len(kinds))]
    rows = [_row_of(disk, place, kind) for place, kind in zip(laid, all_kinds, strict=True)]
    disk.write(0, _table_sector(rows))


def write_extended(disk: SparseDisk, primary: int, logical: Sequence[int]) -> list[Place]:
    """Partition a disk by MBR into one primary partition and an extended one with logical partitions, by their lengths.

    The MiB before each logical partition holds its link of the chain.
    """
    first, *slots = places(disk, [primary, *(length + ALIGNMENT for length in logical)])
    extended = Place(slots[0].start, slots[-1].start + slots[-1].length - slots[0].start)
    inside = [Place(slot.start + ALIGNMENT, slot.length - ALIGNMENT) for slot in slots]
    disk.write(0, _table_sector([_row_of(disk, first, NTFS_ROW), _row_of(disk, extended, EXTENDED_ROW)]))
    for number, (slot, place) in enumerate(zip(slots, inside, strict=True)):
        rows = [_row_of(disk, Place(place.start - slot.start, place.length), NTFS_ROW)]
        if number + 1 < len(slots):
            following = slots[number + 1]
            rows.append(_row_of(disk, Place(following.start - extended.start, following.length), EXTENDED_ROW))
        disk.write(slot.start, _table_sector(rows))
    return [first, *inside]


def _row_of(disk: SparseDisk, place: Place, kind: int) -> bytes:
    return _row(kind, place.start // disk.sector_bytes, place.length // disk.sector_bytes)


def _row(kind: int, first: int, count: int) -> bytes:
    return struct.pack("<B3sB3sII", 0, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", first, count)


def _table_sector(rows: Sequence[bytes]) -> bytes:
    return bytes(446) + b"".join(rows).ljust(64, b"\0") + b"\x55\xaa"
