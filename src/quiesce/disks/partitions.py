"""Where a disk's volumes lie: by GPT (or its backup), MBR with extended partitions, or one volume without a table."""

import struct
import uuid
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from quiesce.disks.boot_sector import BOOT_SIGNATURE, SECTOR_BYTES, file_system
from quiesce.disks.raw import Extent, Malformed, StructureError

# EBS volumes have 512-byte sectors; an image of another disk may have 4096.
SECTOR_SIZES = (512, 4096)
MAX_PARTITIONS = 128
MAX_GPT_ENTRIES = 1024
GPT_HEADER_BYTES = 92
GPT_ENTRY_BYTES = 128
EXTENDED = {0x05, 0x0F, 0x85}
PROTECTIVE = 0xEE
MBR_KINDS = {0x42: "dynamic disk", 0xEF: "EFI system"}
GPT_KINDS = {
    "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "basic data",
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
    "e3c9e316-0b5c-4db8-817d-f92df00215ae": "Microsoft reserved",
    "de94bba4-06d1-4d40-a16a-bfd50179d6ac": "recovery",
    "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3": "dynamic disk",
    "af9b60a0-1431-4f62-bc68-3311714a69ad": "dynamic disk",
    "e75caf8f-f680-4cee-afa3-b001e56efc2d": "Storage Spaces",
}


@dataclass(frozen=True)
class Partition:
    """A partition: its start and length in bytes, and the purpose that its table gives it."""

    start: int
    length: int
    kind: str


@dataclass(frozen=True)
class PartitionTable:
    """A disk's partitions; ``fault`` is why there may be others that could not be found."""

    scheme: str
    partitions: tuple[Partition, ...]
    fault: StructureError | None = None


class _Row(NamedTuple):
    kind: int
    first: int
    sectors: int


def read_partitions(disk: Extent) -> PartitionTable:
    """Find the partitions of a disk.

    Raises:
        Malformed: the disk has neither a valid table nor a volume without one.
        NotRead: a sector of the table could not be read.
    """
    sector = disk.read(0, SECTOR_BYTES)
    if file_system(sector):
        return PartitionTable("no partition table", (Partition(0, disk.length, "whole disk"),))
    rows = _rows(sector)
    if any(row.kind == PROTECTIVE for row in rows):
        return _read_gpt(disk)
    if not any(row.kind for row in rows):
        # A table that was zeroed looks the same: it never proves that a shadow copy is absent.
        raise Malformed("the partition table is empty")
    return _read_mbr(disk, rows)


def _rows(sector: bytes) -> list[_Row]:
    if sector[510:] != BOOT_SIGNATURE:
        raise Malformed("neither a partition table nor a file system")
    rows = [_Row(sector[at + 4], *struct.unpack_from("<II", sector, at + 8)) for at in range(446, 510, 16)]
    for row in rows:
        if bool(row.kind) != bool(row.sectors):
            raise Malformed(f"a row of the partition table has type {row.kind:#x} and {row.sectors} sectors")
    return rows


def _read_mbr(disk: Extent, rows: list[_Row]) -> PartitionTable:
    table = _mbr_table(disk, rows, SECTOR_SIZES[0])
    if _leads_to_a_file_system(disk, table):
        return table
    other = _mbr_table(disk, rows, SECTOR_SIZES[1])
    return other if _leads_to_a_file_system(disk, other) else table


def _leads_to_a_file_system(disk: Extent, table: PartitionTable) -> bool:
    starts = [p.start for p in table.partitions if p.start + SECTOR_BYTES <= disk.length]
    return any(file_system(disk.read(start, SECTOR_BYTES)) for start in starts)


def _mbr_table(disk: Extent, rows: list[_Row], sector_bytes: int) -> PartitionTable:
    found: list[Partition] = []
    fault: StructureError | None = None
    for row in rows:
        if row.kind in EXTENDED:
            try:
                found.extend(_logical_partitions(disk, row, sector_bytes))
            except StructureError as error:
                fault = error
        elif row.kind:
            found.append(_partition(row, 0, sector_bytes))
    return PartitionTable("MBR", tuple(found), fault)


def _partition(row: _Row, base: int, sector_bytes: int) -> Partition:
    kind = MBR_KINDS.get(row.kind, f"type {row.kind:#04x}")
    return Partition((base + row.first) * sector_bytes, row.sectors * sector_bytes, kind)


def _logical_partitions(disk: Extent, extended: _Row, sector_bytes: int) -> Iterator[Partition]:
    """Follow the chain inside an extended partition: each link has one partition, and the place of the next link."""
    seen: set[int] = set()
    at = extended.first
    while True:
        if at in seen or len(seen) == MAX_PARTITIONS or not 0 <= at - extended.first < extended.sectors:
            raise Malformed(f"the chain of the extended partition has no end, or leaves it, at sector {at:#x}")
        seen.add(at)
        sector = disk.read(at * sector_bytes, SECTOR_BYTES)
        if file_system(sector):
            raise Malformed(f"a file system is where the extended partition's chain goes on, at sector {at:#x}")
        logical, link = _rows(sector)[:2]
        if logical.kind:
            yield _partition(logical, at, sector_bytes)
        if not link.kind:
            return
        if link.kind not in EXTENDED:
            raise Malformed(f"the extended partition's chain goes on with type {link.kind:#x} at sector {at:#x}")
        at = extended.first + link.first


def _read_gpt(disk: Extent) -> PartitionTable:
    faults: list[str] = []
    for sector_bytes in SECTOR_SIZES:
        for scheme, lba in (("GPT", 1), ("GPT (its backup: the first is damaged)", disk.length // sector_bytes - 1)):
            try:
                return PartitionTable(scheme, tuple(_gpt_partitions(disk, lba, sector_bytes)))
            except Malformed as error:
                faults.append(str(error))
    raise Malformed("; ".join(faults))


def _gpt_partitions(disk: Extent, lba: int, sector_bytes: int) -> Iterator[Partition]:
    count, entry_bytes, entries = _gpt_entries(disk, lba, sector_bytes)
    used = 0
    for at in range(0, count * entry_bytes, entry_bytes):
        kind = uuid.UUID(bytes_le=entries[at : at + 16])
        first, last = struct.unpack_from("<QQ", entries, at + 32)
        if not kind.int:
            continue
        used += 1
        if last < first or used > MAX_PARTITIONS:
            raise Malformed(f"GPT entry {at // entry_bytes} is from sector {first} to {last}, the {used}th in use")
        yield Partition(first * sector_bytes, (last - first + 1) * sector_bytes, GPT_KINDS.get(str(kind), str(kind)))


def _gpt_entries(disk: Extent, lba: int, sector_bytes: int) -> tuple[int, int, bytes]:
    header = disk.read(lba * sector_bytes, SECTOR_BYTES)
    header_bytes, header_crc = struct.unpack_from("<II", header, 12)
    (own_lba,) = struct.unpack_from("<Q", header, 24)
    where = f"at sector {lba} of {sector_bytes} bytes"
    if header[:8] != b"EFI PART" or own_lba != lba or not GPT_HEADER_BYTES <= header_bytes <= SECTOR_BYTES:
        raise Malformed(f"no GPT header {where}")
    if zlib.crc32(header[:16] + bytes(4) + header[20:header_bytes]) != header_crc:
        raise Malformed(f"the GPT header {where} has a wrong checksum")
    entries_lba, count, entry_bytes, entries_crc = struct.unpack_from("<QIII", header, 72)
    if not 0 < count <= MAX_GPT_ENTRIES or entry_bytes not in (GPT_ENTRY_BYTES, 2 * GPT_ENTRY_BYTES):
        raise Malformed(f"the GPT {where} has {count} entries of {entry_bytes} bytes")
    entries = disk.read(entries_lba * sector_bytes, count * entry_bytes)
    if zlib.crc32(entries) != entries_crc:
        raise Malformed(f"the entries of the GPT {where} have a wrong checksum")
    return count, entry_bytes, entries
