import struct
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest

from quiesce.disks.raw import BLOCK_BYTES, NotRead
from quiesce.disks.search import Evidence, ExpectedCopy, examine, worst
from quiesce.disks.shadow_copies import Disk, read_disk, unread_disk
from sandbox.disks.shadow_structures import CATALOG_AT, CLIENT_ACCESSIBLE, HEADER_AT, SimulatedVolume
from sandbox.disks.sparse_disk import SparseDisk, write_gpt, write_mbr
from tests.unit.disks.shadow_disks import (
    CREATED_AT,
    GIB,
    SET_ID,
    AServer,
    a_server,
    a_volume,
    an_expected_copy,
    an_id,
    seen,
    volumes_of,
)

WITHOUT_WRITERS = (0x19, 0x00020019, CLIENT_ACCESSIBLE[2])
NOT_PERSISTENT = (0x0, 0x00420000, CLIENT_ACCESSIBLE[2])
DYNAMIC_DATA = UUID("af9b60a0-1431-4f62-bc68-3311714a69ad")


def examined(*disks: Disk, expected: ExpectedCopy | None = None) -> Evidence:
    (evidence,) = examine(disks, [expected or an_expected_copy("C")])
    return evidence


def a_copied_volume(**changes: object) -> SimulatedVolume:
    volume = a_volume()
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT, **changes)
    return volume


def test_both_copies_of_a_set_are_present_where_their_storage_lies_on_one_volume() -> None:
    server = a_server()
    c, d = examine(server.read(), server.expected)
    assert (c.verdict, d.verdict) == ("present", "present")
    assert d.found is not None
    assert d.found.original.disk == "snap-d"
    assert d.found.storage is not None
    assert d.found.storage.disk == "snap-c"
    assert d.found.entry.created_at == CREATED_AT
    assert d.found.store is not None
    assert (d.found.store.copy_id, d.found.store.set_id) == (an_id("D"), SET_ID)


def test_an_older_copys_store_is_read_only_while_one_is_missing() -> None:
    volume = a_volume()
    old_store_block = (volume.place.start + volume.next_store_at) // BLOCK_BYTES
    volume.add_shadow_copy(an_id("old"), an_id("old set"), CREATED_AT - timedelta(days=1))
    volume.next_store_at = GIB
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    disk = seen("snap-c", volume.disk)
    assert examined(disk).verdict == "present"
    assert old_store_block not in disk.blocks_read
    assert examined(disk, expected=an_expected_copy("X", set_id=an_id("Y"))).verdict == "absent"
    assert old_store_block in disk.blocks_read


def test_a_copy_is_found_however_wrong_the_clock_was_that_told_its_time() -> None:
    wrong = an_expected_copy("C", created_at=CREATED_AT - timedelta(days=400))
    assert examined(seen("snap-c", a_copied_volume().disk), expected=wrong).verdict == "present"


def test_a_copy_without_writers_is_present_and_says_so() -> None:
    evidence = examined(seen("snap-c", a_copied_volume(made_as=WITHOUT_WRITERS).disk))
    assert evidence.verdict == "present"
    assert "no writers were involved" in evidence.reason


# Missing, or not usable: absent.


def test_a_copy_that_no_volume_lists_is_absent() -> None:
    evidence = examined(seen("snap-c", a_copied_volume().disk), expected=an_expected_copy("X", set_id=an_id("Y")))
    assert (evidence.verdict, evidence.reason) == ("absent", "no volume of the recovery point lists it")


def test_a_copy_is_absent_from_volumes_that_never_had_any() -> None:
    assert examined(seen("snap-c", a_volume().disk)).verdict == "absent"


def test_a_copy_is_absent_from_a_volume_that_has_none_left() -> None:
    volume = a_copied_volume()
    volume.disk.write(volume.place.start + HEADER_AT + 48, bytes(8))
    assert examined(seen("snap-c", volume.disk)).verdict == "absent"


def test_a_copy_that_was_deleted_just_before_the_snapshot_is_absent_though_its_store_is_still_there() -> None:
    volume = a_volume()
    store = volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    volume.delete_shadow_copy(store)
    assert examined(seen("snap-c", volume.disk)).verdict == "absent"


def test_a_copy_that_is_marked_as_deleted_is_absent() -> None:
    volume = a_volume()
    volume.mark_deleted(volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT))
    evidence = examined(seen("snap-c", volume.disk))
    assert evidence.verdict == "absent"
    assert "marked as deleted" in evidence.reason


def test_a_copy_whose_storage_volume_is_not_in_the_recovery_point_is_absent() -> None:
    server = a_server()
    evidence = examined(seen("snap-d", server.d.disk), expected=an_expected_copy("D"))
    assert evidence.verdict == "absent"
    assert f"keeps its storage on volume {server.c.volume_id}, which is not in the recovery point" in evidence.reason


def test_a_copy_whose_original_volume_is_not_in_the_recovery_point_is_absent() -> None:
    expected = [an_expected_copy("C"), an_expected_copy("D")]
    c, d = examine([seen("snap-c", a_server().c.disk)], expected)
    assert (c.verdict, d.verdict) == ("present", "absent")
    assert "its storage is here, but no volume of the recovery point lists it" in d.reason


def test_a_copy_of_a_disk_that_is_not_in_the_recovery_point_is_absent() -> None:
    evidence = examined(seen("snap-c", a_volume().disk), expected=an_expected_copy("D", disk="snap-d"))
    assert evidence.verdict == "absent"
    assert "snap-d, with the volume that it is a copy of, is not in the recovery point" in evidence.reason


def test_an_unreadable_disk_leaves_no_doubt_about_a_copy_of_another_disk() -> None:
    other = unread_disk("snap-d", NotRead("no access"))
    evidence = examined(seen("snap-c", a_volume().disk), other, expected=an_expected_copy("C", disk="snap-c"))
    assert evidence.verdict == "absent"


def test_a_broken_copy_on_another_disk_says_nothing_of_a_missing_one() -> None:
    broken = a_copied_volume()
    broken.disk.write(store_at(broken), b"\0")
    disks = [seen("snap-c", broken.disk), seen("snap-d", a_volume("D").disk)]
    assert examined(*disks, expected=an_expected_copy("D", disk="snap-d", set_id=an_id("Y"))).verdict == "absent"
    assert examined(*disks, expected=an_expected_copy("D", set_id=an_id("Y"))).verdict == "damaged"


# There, but contradictory: damaged.


def test_a_copy_of_another_set_is_damaged() -> None:
    expected = an_expected_copy("C", set_id=an_id("another set"))
    evidence = examined(seen("snap-c", a_copied_volume().disk), expected=expected)
    assert evidence.verdict == "damaged"
    assert f"it is of the set {SET_ID}" in evidence.reason


def test_a_copy_that_is_not_persistent_is_damaged() -> None:
    evidence = examined(seen("snap-c", a_copied_volume(made_as=NOT_PERSISTENT).disk))
    assert evidence.verdict == "damaged"
    assert "not persistent" in evidence.reason


def test_a_copy_of_another_disk_than_recorded_is_damaged() -> None:
    disks = [seen("snap-c", a_copied_volume().disk), seen("snap-d", a_volume("D").disk)]
    evidence = examined(*disks, expected=an_expected_copy("C", disk="snap-d"))
    assert evidence.verdict == "damaged"
    assert "a copy of a volume on snap-c, not on snap-d" in evidence.reason


def test_a_copy_that_two_stores_claim_is_damaged() -> None:
    disks = [seen(name, a_copied_volume().disk) for name in ("snap-c", "its-clone")]
    evidence = examined(*disks)
    assert evidence.verdict == "damaged"
    assert "more than one store has this shadow copy's id" in evidence.reason


def test_a_copy_that_two_stores_claim_is_damaged_though_one_is_marked_as_deleted() -> None:
    deleted = a_volume()
    deleted.mark_deleted(deleted.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT))
    assert examined(seen("snap-c", deleted.disk), seen("its-clone", a_copied_volume().disk)).verdict == "damaged"


def test_a_copy_whose_storage_two_volumes_hold_is_damaged() -> None:
    server = a_server()
    evidence = examined(*server.read(), seen("clone-of-c", server.c.disk), expected=an_expected_copy("D"))
    assert evidence.verdict == "damaged"
    assert "more than one volume has storage" in evidence.reason


def test_a_shadow_copy_of_the_set_with_an_id_that_nobody_recorded_is_damaged_and_not_absent() -> None:
    evidence = examined(seen("snap-c", a_copied_volume().disk), expected=an_expected_copy("X"))
    assert evidence.verdict == "damaged"
    assert f"an id that the session did not record: {an_id('C')}" in evidence.reason


def store_at(volume: SimulatedVolume) -> int:
    """The offset on its disk of a volume's only store."""
    return volume.place.start + 0x1560000


@pytest.mark.parametrize("block", [0, 1, 2, 3], ids=["header", "block list", "range list", "bitmap"])
@pytest.mark.parametrize("at", [0, 20, 32], ids=["mark", "type", "own offset"])
def test_a_copy_whose_store_does_not_begin_as_it_should_is_damaged(block: int, at: int) -> None:
    volume = a_copied_volume()
    volume.disk.write(store_at(volume) + block * 0x4000 + at, b"\x77")
    assert examined(seen("snap-c", volume.disk)).verdict == "damaged"


def test_a_copy_whose_store_holds_zeros_is_damaged() -> None:
    volume = a_copied_volume()
    volume.disk.write(store_at(volume), bytes(0x4000))
    assert examined(seen("snap-c", volume.disk)).verdict == "damaged"


@pytest.mark.parametrize("length", [0, 63, 0x4000, (1 << 64) - 1])
def test_a_store_that_lies_about_its_length_is_damaged(length: int) -> None:
    volume = a_copied_volume()
    volume.disk.write(store_at(volume) + 48, struct.pack("<Q", length))
    assert examined(seen("snap-c", volume.disk)).verdict == "damaged"


@pytest.mark.parametrize("length", [1, 0x3001, 0xFFFE])
def test_a_store_that_lies_about_its_servers_name_is_damaged(length: int) -> None:
    volume = a_copied_volume()
    volume.disk.write(store_at(volume) + 0x80 + 64, struct.pack("<H", length))
    assert examined(seen("snap-c", volume.disk)).verdict == "damaged"


def entry_at(volume: SimulatedVolume, number: int) -> int:
    return volume.place.start + CATALOG_AT + 0x80 * (1 + number)


def test_a_copy_whose_storage_entry_was_freed_is_damaged() -> None:
    volume = a_copied_volume()
    volume.disk.write(entry_at(volume, 1), struct.pack("<Q", 1).ljust(0x80, b"\0"))
    evidence = examined(seen("snap-c", volume.disk))
    assert evidence.verdict == "damaged"
    assert f"its storage is missing on volume {volume.volume_id}" in evidence.reason


@pytest.mark.parametrize("offset", [0, 4, 1 << 62, 30 * GIB])
def test_an_entry_that_points_outside_of_the_volume_is_damaged(offset: int) -> None:
    volume = a_copied_volume()
    volume.disk.write(entry_at(volume, 1) + 32, struct.pack("<Q", offset))
    assert examined(seen("snap-c", volume.disk)).verdict == "damaged"


# Doubtful: not verifiable, and never absent.


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (HEADER_AT + 16, b"\x03"),
        (CATALOG_AT + 16, b"\x03"),
        (0x1560000 + 16, b"\x09"),
        (0x1560000 + 0x4000 + 16, b"\x00"),
        (CATALOG_AT + 0x80, b"\x04"),
    ],
    ids=["header", "catalog", "store", "block list", "entry of an unknown type"],
)
def test_structures_of_an_unknown_version_are_not_verifiable(at: int, data: bytes) -> None:
    volume = a_copied_volume()
    volume.disk.write(volume.place.start + at, data)
    evidence = examined(seen("snap-c", volume.disk))
    assert evidence.verdict == "not verifiable"
    assert "unknown" in evidence.reason


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (0, bytes(512)),
        (3, b"NTFS?"),
        (11, b"\0\0"),
        (40, b"\xff" * 8),
        (510, b"\0"),
        (HEADER_AT, b"\xff"),
        (HEADER_AT + 20, b"\x02"),
        (HEADER_AT + 32, b"\xff"),
        (HEADER_AT + 48, struct.pack("<Q", 1 << 60)),
        (CATALOG_AT, bytes(0x4000)),
        (CATALOG_AT + 24, b"\x01"),
        (CATALOG_AT + 40, struct.pack("<Q", CATALOG_AT)),
        (CATALOG_AT + 40, struct.pack("<Q", CATALOG_AT + 1)),
        (CATALOG_AT + 0x80, b"\0"),
        (CATALOG_AT + 0x80, b"\x03"),
    ],
)
def test_a_volume_that_contradicts_itself_is_not_verifiable(at: int, data: bytes) -> None:
    volume = a_copied_volume()
    volume.disk.write(volume.place.start + at, data)
    assert examined(seen("snap-c", volume.disk)).verdict == "not verifiable"


def test_a_catalog_without_end_is_not_verifiable() -> None:
    volume = a_copied_volume()
    block = volume.disk.read(volume.place.start + CATALOG_AT + 3 * 0x4000, 0x4000)
    for number in range(3, 100):
        at = CATALOG_AT + number * 0x4000
        links = struct.pack("<QQQ", number * 0x4000, at, at + 0x4000)
        volume.disk.write(volume.place.start + at, block[:24] + links + block[48:])
    evidence = examined(seen("snap-c", volume.disk))
    assert evidence.verdict == "not verifiable"
    assert "more than 32 blocks" in evidence.reason


def fails_at(disk: SparseDisk, place: int) -> Callable[[int, int], bytes]:
    def read(offset: int, length: int) -> bytes:
        if offset <= place < offset + length:
            raise OSError("the block could not be read")
        return disk.read(offset, length)

    return read


@pytest.mark.parametrize(
    "at",
    [-(1 << 20), 0, HEADER_AT, CATALOG_AT, CATALOG_AT + 0xC000, 0x1560000, 0x1564000, 0x156C000],
    ids=["table", "boot sector", "header", "catalog", "its end", "store", "block list", "bitmap"],
)
def test_a_copy_is_not_verifiable_where_a_read_fails(at: int) -> None:
    volume = a_copied_volume()
    read = fails_at(volume.disk, volume.place.start + at)
    evidence = examined(read_disk("snap-c", read, volume.disk.size_bytes))
    assert evidence.verdict == "not verifiable"
    assert "the block could not be read" in evidence.reason


@pytest.mark.parametrize("size_bytes", [0, 511, 512, 1 << 20, (1 << 20) + CATALOG_AT, (1 << 20) + 0x1560000])
def test_a_copy_is_not_verifiable_where_the_disk_ends_early(size_bytes: int) -> None:
    volume = a_volume()
    (volume.place,) = write_mbr(volume.disk, [0])
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    assert examined(read_disk("snap-c", volume.disk.read, size_bytes)).verdict == "not verifiable"


def test_a_missing_copy_is_not_verifiable_while_a_disk_that_may_hold_it_is_not_read() -> None:
    evidence = examined(seen("snap-c", a_volume().disk), unread_disk("snap-d", NotRead("no access to the key")))
    assert evidence.verdict == "not verifiable"
    assert "snap-d: no access to the key" in evidence.reason


def test_a_copy_whose_storage_may_lie_on_an_unread_disk_is_not_verifiable() -> None:
    server = a_server()
    disks = [unread_disk("snap-c", NotRead("archived")), seen("snap-d", server.d.disk)]
    evidence = examined(*disks, expected=an_expected_copy("D", disk="snap-d"))
    assert evidence.verdict == "not verifiable"
    assert "its storage may be in what could not be read: snap-c: archived" in evidence.reason


def test_a_copy_that_is_found_is_present_whatever_else_was_not_read() -> None:
    evidence = examined(seen("snap-c", a_copied_volume().disk), unread_disk("snap-d", NotRead("archived")))
    assert evidence.verdict == "present"


@pytest.mark.parametrize(("file_system", "reason"), [("BitLocker", "encrypted"), ("ReFS", "ReFS: no header")])
def test_a_volume_that_cannot_be_read_is_not_verifiable_and_says_why(file_system: str, reason: str) -> None:
    evidence = examined(seen("snap-d", a_volume("D", file_system=file_system).disk))
    assert evidence.verdict == "not verifiable"
    assert reason in evidence.reason


def test_a_copy_of_a_refs_volume_is_present_where_its_header_is_found() -> None:
    c, d = a_volume("C"), a_volume("D", file_system="ReFS")
    d.add_shadow_copy(an_id("D"), SET_ID, CREATED_AT, storage=c)
    disks = [seen("snap-c", c.disk), seen("snap-d", d.disk)]
    assert examined(*disks, expected=an_expected_copy("D")).verdict == "present"


def test_a_dynamic_disk_is_not_verifiable() -> None:
    gpt, mbr = SparseDisk(GIB), SparseDisk(GIB)
    write_gpt(gpt, [0], [DYNAMIC_DATA])
    write_mbr(mbr, [0], [0x42])
    for disk in (gpt, mbr):
        evidence = examined(seen("snap-d", disk))
        assert evidence.verdict == "not verifiable"
        assert "dynamic disk" in evidence.reason


# Sizes.


def test_the_newest_of_512_copies_is_found_without_reading_the_others_stores() -> None:
    volume = a_volume()
    for number in range(511):
        volume.add_shadow_copy(an_id(f"{number}"), an_id("other"), CREATED_AT - timedelta(hours=600 - number))
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    disk = seen("snap-c", volume.disk)
    assert examined(disk).verdict == "present"
    assert len(disk.blocks_read) <= 7


def test_a_store_beyond_four_tib_is_found() -> None:
    volume = a_volume(size_bytes=5 << 40)
    volume.next_store_at = 4 << 40
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    assert examined(seen("snap-c", volume.disk)).verdict == "present"


@pytest.mark.parametrize("write", [write_gpt, write_mbr])
def test_copies_on_a_disk_with_sectors_of_4096_bytes_are_found(write: Callable[..., list]) -> None:
    disk = SparseDisk(20 * GIB, sector_bytes=4096)
    first, second = volumes_of(disk, write(disk, [4 * GIB, 8 * GIB]))
    first.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    second.add_shadow_copy(an_id("D"), SET_ID, CREATED_AT, storage=first)
    c, d = examine([seen("snap", disk)], [an_expected_copy("C"), an_expected_copy("D")])
    assert (c.verdict, d.verdict) == ("present", "present")


@pytest.mark.parametrize("data_blocks", [0, 9], ids=["in one block", "across two blocks"])
def test_one_local_copy_takes_seven_blocks_at_most(data_blocks: int) -> None:
    volume = a_volume()
    volume.next_store_at = 64 * BLOCK_BYTES - (2 + data_blocks) * 0x4000
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    disk = seen("snap-c", volume.disk)
    assert examined(disk).verdict == "present"
    assert len(disk.blocks_read) <= 7


# The verdict on a recovery point.


def test_a_recovery_point_is_worth_its_worst_copy() -> None:
    server: AServer = a_server()
    evidence = examine(server.read(), [*server.expected, an_expected_copy("X", set_id=an_id("Y"))])
    found = worst(evidence)
    assert found is not None
    assert (found.copy_id, found.verdict) == (an_id("X"), "absent")
    assert worst([]) is None
