from quiesce.disks.search import examine
from quiesce.disks.shadow_copies import read_disk
from sandbox.disks.shadow_structures import CATALOG_AT
from sandbox.disks.sparse_disk import SparseDisk, write_mbr
from tests.unit.disks import view_fuzz
from tests.unit.disks.shadow_disks import CREATED_AT, GIB, SET_ID, an_expected_copy, an_id, volumes_of
from tests.unit.disks.shadow_fuzz import check, flipped, fuzz, patched

# `make fuzz` tries these inputs first, and many more.
INPUTS = 400


def test_damaged_disks_raise_nothing_are_read_within_bounds_and_a_fault_never_makes_a_copy_absent() -> None:
    tally = fuzz(INPUTS)
    assert sum(tally.verdicts.values()) == 2 * INPUTS
    assert {"bit: present", "fails: not verifiable", "bytes: damaged"} <= set(tally.verdicts)


def test_no_flipped_bit_in_partition_table_or_catalog_makes_a_copy_absent_unless_it_says_deleted() -> None:
    disk = SparseDisk(2 * GIB)
    (volume,) = volumes_of(disk, write_mbr(disk, [0]))
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    row = range(446, 462)
    entries = [volume.place.start + CATALOG_AT + at for at in (*range(0x80, 0xB8), *range(0x100, 0x140))]
    verdicts = set()
    for at in (*row, *entries):
        for bit in range(8):
            read = patched(disk.read, {at: flipped(bit)})
            (evidence,) = examine([read_disk("0", read, disk.size_bytes)], [an_expected_copy("C")])
            check(evidence, "bit")
            verdicts.add(evidence.verdict)
    assert {"present", "damaged", "not verifiable"} <= verdicts


def test_views_of_damaged_disks_raise_nothing_change_nothing_outside_and_a_fault_is_never_not_buildable() -> None:
    tally = view_fuzz.fuzz(INPUTS)
    assert sum(tally.verdicts.values()) >= INPUTS
    assert {"bit: buildable", "bytes: not buildable", "fails: not known"} <= set(tally.verdicts)
