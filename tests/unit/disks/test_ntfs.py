"""What NTFS says on a disk, and what is refused of it."""

import struct
from collections.abc import Callable

import pytest

from quiesce.disks import ntfs as ntfs_module
from quiesce.disks.ntfs import ROOT, Ntfs
from quiesce.disks.ntfs_records import Run, fixed_up
from quiesce.disks.ntfs_state import NtfsState, read_state
from quiesce.disks.raw import Extent, Malformed, NotRead, RawDisk
from sandbox.disks.ntfs_structures import FIRST_FILE, FIRST_PART, RECORD, SEQUENCE
from tests.unit.disks.ntfs_disks import FILE, MIB, NtfsDisk, an_ntfs_disk

PARTS = [(FILE[0] + 2 * MIB, 2 * MIB), (FILE[0], 2 * MIB)]


def opened(disk: NtfsDisk) -> Ntfs:
    return Ntfs(Extent(RawDisk(disk.disk.read, disk.disk.size_bytes), *disk.volume.place))


def patched(disk: NtfsDisk, at: int, data: bytes) -> NtfsDisk:
    disk.disk.write(disk.volume.place.start + at, data)
    return disk


def in_record(disk: NtfsDisk, number: int, at: int) -> int:
    """Return where a byte of a record lies; its first attribute begins at 56."""
    return disk.files.mft_at + number * RECORD + at


@pytest.mark.parametrize("cluster_bytes", [512, 4096, 2 << 20])
def test_files_state_and_folders_are_found(cluster_bytes: int) -> None:
    disk = an_ntfs_disk(cluster_bytes=cluster_bytes, root={"one.txt": [FILE], "two.txt": PARTS}, dirty=True)
    ntfs = opened(disk)
    # The last sector repeats the first one, and belongs to no cluster.
    assert (ntfs.cluster_bytes, ntfs.clusters) == (cluster_bytes, (disk.volume.place.length - 512) // cluster_bytes)
    assert read_state(ntfs) == NtfsState(log_clean=False, dirty=True)
    listed = {file.name: file for file in ntfs.listed(ROOT)}
    assert set(listed) == {"one.txt", "two.txt", "System Volume Information"}
    runs = {name: ntfs.runs(listed[name].record, SEQUENCE) for name in ("one.txt", "two.txt")}
    assert runs["one.txt"] == [Run(FILE[0] // cluster_bytes, FILE[1] // cluster_bytes)]
    assert runs["two.txt"] == [Run(start // cluster_bytes, length // cluster_bytes) for start, length in PARTS]


def test_a_file_of_another_sequence_or_none_has_no_data() -> None:
    ntfs = opened(an_ntfs_disk(root={"one.txt": [FILE]}))
    assert ntfs.runs(FIRST_FILE, SEQUENCE + 1) == []
    assert ntfs.runs(FIRST_FILE + 1) == []
    assert list(ntfs.listed(FIRST_FILE)) == []


def test_a_hole_in_a_file_is_zeros() -> None:
    ntfs = opened(an_ntfs_disk())
    assert ntfs.read_runs([Run(None, 1), Run(0, 1)], 4090, 14) == bytes(6) + ntfs.read_runs([Run(0, 1)], 0, 8)


def read_all(disk: NtfsDisk) -> None:
    ntfs = opened(disk)
    read_state(ntfs)
    list(ntfs.listed(ROOT))


Where = Callable[[NtfsDisk], int]
BROKEN: dict[str, tuple[Where, bytes, str]] = {
    "clusters without a size": (lambda _: 13, b"\0", "clusters of 0"),
    "clusters of 3 sectors": (lambda _: 13, b"\3", "clusters of 1536"),
    "records without a size": (lambda _: 64, b"\0", "records of 1 bytes"),
    "no data of $MFT": (lambda d: in_record(d, 0, 56), b"\x10", "first record of NTFS has no data"),
    "a record without its name": (lambda d: in_record(d, 2, 0), b"BAAD", "record 2 of NTFS is none"),
    "a torn record": (lambda d: in_record(d, 2, 510), b"xy", "written only in part"),
    "too many fix-ups": (lambda d: in_record(d, 2, 6), b"\x09", "has 9 fix-ups"),
    "an attribute behind the end": (lambda d: in_record(d, 2, 60), b"\xf8\x03", "not within the record"),
    "an attribute without a length": (lambda d: in_record(d, 2, 60), b"\0\0", "not within the record"),
    "a header that is too short": (lambda d: in_record(d, 2, 60), b"\x20\0", "a header of 32 bytes"),
    "a value behind the end": (lambda d: in_record(d, 3, 72), b"\xff", "255 bytes at"),
    "no flags of the volume": (lambda d: in_record(d, 3, 56), b"\x60", "no flags of its volume"),
    "a run with long numbers": (lambda d: in_record(d, 2, 120), b"\x99", "a run of clusters"),
    "a run without clusters": (lambda d: in_record(d, 2, 121), bytes(8), "has 0 clusters"),
    "a run before the volume": (lambda d: in_record(d, 2, 129), b"\xff" * 8, "from cluster -1"),
    "a log that is too short": (lambda d: in_record(d, 2, 121), b"\1", "ends before its byte 8192"),
    "nodes of another size": (lambda d: in_record(d, ROOT, 96), b"\1\2", "nodes of"),
    "a node whose entries are none": (lambda d: d.files.places()["root"][0] + 74, b"\1", "entry of a folder's index"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_contradicts_the_format_is_refused(what: str) -> None:
    where, data, words = BROKEN[what]
    disk = an_ntfs_disk()
    patched(disk, where(disk), data)
    with pytest.raises(Malformed, match=words):
        read_all(disk)


def test_the_last_bytes_of_each_sector_come_from_the_records_array() -> None:
    written = bytearray(b"FILE" + struct.pack("<HH", 48, 3) + bytes(40) + b"\5\0" + b"ab" + b"cd").ljust(1024, b"x")
    written[510:512] = written[1022:1024] = b"\5\0"
    record = fixed_up(bytes(written))
    assert (record[510:512], record[1022:1024]) == (b"ab", b"cd")
    assert record[:510] + record[512:1022] == written[:510] + written[512:1022]


def test_parts_of_a_file_that_do_not_follow_each_other_are_refused() -> None:
    disk = an_ntfs_disk(root={"two.txt": PARTS})
    # The first cluster of the second part.
    patched(disk, in_record(disk, FIRST_PART, 56 + 16), struct.pack("<Q", 7))
    with pytest.raises(Malformed, match="do not follow each other"):
        opened(disk).runs(FIRST_FILE)


def test_a_list_of_attributes_whose_entries_have_no_length_is_refused() -> None:
    disk = an_ntfs_disk(root={"two.txt": PARTS})
    patched(disk, in_record(disk, FIRST_FILE, 56 + 24 + 4), b"\0")
    with pytest.raises(Malformed, match="list of attributes"):
        opened(disk).runs(FIRST_FILE)


def test_a_folder_that_is_too_large_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ntfs_module.Ntfs.value, "__defaults__", (4095,))
    with pytest.raises(NotRead, match="has 4096 bytes, more than 4095"):
        list(opened(an_ntfs_disk()).listed(ROOT))
