import struct
import zlib
from collections.abc import Callable
from uuid import UUID

import pytest

from quiesce.disks.partitions import PartitionTable, read_partitions
from quiesce.disks.raw import Extent, Malformed, NotRead, RawDisk
from sandbox.disks.sparse_disk import (
    ALIGNMENT,
    EXTENDED_ROW,
    NTFS_ROW,
    Place,
    SparseDisk,
    write_extended,
    write_gpt,
    write_mbr,
)
from tests.unit.disks.shadow_disks import GIB, a_volume, volumes_of

DYNAMIC_DATA = UUID("af9b60a0-1431-4f62-bc68-3311714a69ad")
LAST_BACKUP_SECTORS = 33


def table_of(disk: SparseDisk) -> PartitionTable:
    return read_partitions(Extent(RawDisk(disk.read, disk.size_bytes), 0, disk.size_bytes))


def found(disk: SparseDisk) -> list[Place]:
    return [Place(partition.start, partition.length) for partition in table_of(disk).partitions]


def a_disk(sector_bytes: int = 512) -> SparseDisk:
    return SparseDisk(20 * GIB, sector_bytes)


def formatted(disk: SparseDisk, places: list[Place]) -> list[Place]:
    volumes_of(disk, places)
    return places


@pytest.mark.parametrize("sector_bytes", [512, 4096])
@pytest.mark.parametrize("write", [write_gpt, write_mbr])
def test_partitions_are_found_where_they_were_written(write: Callable[..., list[Place]], sector_bytes: int) -> None:
    disk = a_disk(sector_bytes)
    places = formatted(disk, write(disk, [4 * GIB, 8 * GIB, 0]))
    assert found(disk) == places


@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_logical_partitions_are_found_behind_the_primary_one(sector_bytes: int) -> None:
    disk = a_disk(sector_bytes)
    places = formatted(disk, write_extended(disk, 4 * GIB, [GIB, 2 * GIB, 3 * GIB]))
    assert found(disk) == places
    assert table_of(disk).fault is None


def test_a_volume_without_a_table_is_the_whole_disk() -> None:
    disk = a_disk()
    formatted(disk, [Place(0, disk.size_bytes)])
    assert found(disk) == [Place(0, disk.size_bytes)]


def test_a_gpt_partition_of_a_dynamic_disk_says_so() -> None:
    disk = a_disk()
    write_gpt(disk, [0], [DYNAMIC_DATA])
    assert [partition.kind for partition in table_of(disk).partitions] == ["dynamic disk"]


def test_an_mbr_partition_of_a_dynamic_disk_says_so() -> None:
    disk = a_disk()
    write_mbr(disk, [0], [0x42])
    assert [partition.kind for partition in table_of(disk).partitions] == ["dynamic disk"]


@pytest.mark.parametrize("damaged", [512, 1024, 1024 + 40])
def test_the_backup_of_a_gpt_serves_when_its_header_or_entries_are_damaged(damaged: int) -> None:
    volume = a_volume()
    volume.disk.write(damaged, b"\xff" * 8)
    table = table_of(volume.disk)
    assert "backup" in table.scheme
    assert [Place(partition.start, partition.length) for partition in table.partitions] == [volume.place]


def test_a_gpt_whose_backup_is_damaged_too_is_not_believed() -> None:
    volume = a_volume()
    for at in (1024, volume.disk.size_bytes - LAST_BACKUP_SECTORS * 512):
        volume.disk.write(at, b"\xff")
    with pytest.raises(Malformed, match=r"checksum.*checksum"):
        table_of(volume.disk)


def test_a_gpt_entry_that_ends_before_it_begins_is_not_believed() -> None:
    disk = a_disk()
    write_gpt(disk, [0])
    entries = bytearray(disk.read(1024, 128 * 128))
    struct.pack_into("<QQ", entries, 32, 5000, 4999)
    for entries_at in (1024, disk.size_bytes - LAST_BACKUP_SECTORS * 512):
        disk.write(entries_at, bytes(entries))
    change_gpt_headers(disk, 88, zlib.crc32(bytes(entries)))
    with pytest.raises(Malformed, match="from sector 5000 to 4999"):
        table_of(disk)


def change_gpt_headers(disk: SparseDisk, at: int, value: int) -> None:
    """Put a number into both headers, and correct their checksums."""
    for start in (512, disk.size_bytes - 512):
        header = bytearray(disk.read(start, 512))
        struct.pack_into("<I", header, at, value)
        struct.pack_into("<I", header, 16, 0)
        struct.pack_into("<I", header, 16, zlib.crc32(bytes(header[:92])))
        disk.write(start, bytes(header))


@pytest.mark.parametrize("at", [0, 24], ids=["signature", "own sector"])
def test_what_is_no_gpt_header_or_one_of_another_place_is_not_believed(at: int) -> None:
    disk = a_disk()
    write_gpt(disk, [0])
    change_gpt_headers(disk, at, 7)
    with pytest.raises(Malformed, match="no GPT header"):
        table_of(disk)


def test_a_gpt_header_with_a_wrong_checksum_is_not_believed() -> None:
    disk = a_disk()
    write_gpt(disk, [0])
    for start in (512, disk.size_bytes - 512):
        disk.write(start + 56, b"\x77")
    with pytest.raises(Malformed, match=r"header .* has a wrong checksum"):
        table_of(disk)


@pytest.mark.parametrize("count", [0, 1_000_000])
def test_a_gpt_that_lies_about_its_number_of_entries_is_not_read_without_end(count: int) -> None:
    disk = a_disk()
    write_gpt(disk, [0])
    change_gpt_headers(disk, 80, count)
    with pytest.raises(Malformed, match=f"{count} entries"):
        table_of(disk)


def test_zeros_are_no_disk_without_partitions() -> None:
    with pytest.raises(Malformed, match="neither a partition table nor a file system"):
        table_of(a_disk())


def test_an_empty_table_is_no_proof_that_there_are_no_partitions() -> None:
    disk = a_disk()
    disk.write(510, b"\x55\xaa")
    with pytest.raises(Malformed, match="empty"):
        table_of(disk)


@pytest.mark.parametrize(("kind", "sectors"), [(NTFS_ROW, 0), (0, 4096)])
def test_a_row_that_is_half_there_is_a_fault(kind: int, sectors: int) -> None:
    disk = a_disk()
    write_mbr(disk, [4 * GIB])
    disk.write(446 + 16, struct.pack("<B3sB3sII", 0, b"", kind, b"", 2048, sectors))
    with pytest.raises(Malformed, match="row of the partition table"):
        table_of(disk)


def extended_disk() -> tuple[SparseDisk, Place, Place]:
    """A disk with one primary and two logical partitions; where its first link is, and its second."""
    disk = a_disk()
    _, first, second = formatted(disk, write_extended(disk, 4 * GIB, [GIB, 2 * GIB]))
    return disk, Place(first.start - ALIGNMENT, 0), Place(second.start - ALIGNMENT, 0)


def a_link(kind: int, relative_sectors: int) -> bytes:
    return struct.pack("<B3sB3sII", 0, b"", kind, b"", relative_sectors, 2048)


def test_a_chain_that_comes_back_to_itself_ends_in_a_fault_and_keeps_what_it_found() -> None:
    disk, _, second = extended_disk()
    disk.write(second.start + 462, a_link(EXTENDED_ROW, 0))
    table = table_of(disk)
    assert "no end" in str(table.fault)
    assert len(table.partitions) == 3


@pytest.mark.parametrize("relative_sectors", [0x7FFFFFFF, 4 * 1024 * 1024 * 2])
def test_a_chain_that_leaves_the_extended_partition_is_a_fault(relative_sectors: int) -> None:
    disk, first, _ = extended_disk()
    disk.write(first.start + 462, a_link(EXTENDED_ROW, relative_sectors))
    assert "leaves it" in str(table_of(disk).fault)


def test_a_chain_that_goes_on_with_a_partition_is_a_fault() -> None:
    disk, first, _ = extended_disk()
    disk.write(first.start + 462, a_link(NTFS_ROW, 2048))
    assert "goes on with type 0x7" in str(table_of(disk).fault)


def test_a_chain_whose_link_was_wiped_is_a_fault() -> None:
    disk, _, second = extended_disk()
    disk.write(second.start, bytes(512))
    assert isinstance(table_of(disk).fault, Malformed)


def test_a_partition_that_turned_into_an_extended_one_does_not_vanish() -> None:
    disk = a_disk()
    formatted(disk, write_mbr(disk, [4 * GIB, 8 * GIB]))
    disk.write(446 + 16 + 4, bytes([0x05]))
    table = table_of(disk)
    assert len(table.partitions) == 1
    assert "a file system is where" in str(table.fault)


def test_a_chain_with_an_unreadable_link_is_a_fault() -> None:
    disk, _, second = extended_disk()

    def read(offset: int, length: int) -> bytes:
        if offset == second.start:
            raise OSError("gone")
        return disk.read(offset, length)

    table = read_partitions(Extent(RawDisk(read, disk.size_bytes), 0, disk.size_bytes))
    assert isinstance(table.fault, NotRead)
    assert len(table.partitions) == 2
