"""Can a volume be built as of its shadow copy? What must not be built is refused in words."""

import struct
from collections import Counter
from collections.abc import Callable

import pytest

from quiesce.disks import child as child_module
from quiesce.disks import view as view_module
from quiesce.disks.buildable import children, judge, work_of
from quiesce.disks.child import Child
from quiesce.disks.raw import BLOCK_BYTES, NotRead
from quiesce.disks.shadow_copies import Disk, Stores, read_copies, read_disk, unread_disk
from quiesce.disks.view import View, open_view
from sandbox.disks.shadow_structures import HEADER_AT, SimulatedVolume
from sandbox.disks.sparse_disk import Place, SparseDisk, write_mbr_of
from sandbox.disks.stores import BLOCK, FORWARDER, UNUSED, StoreShape
from tests.unit.disks.ntfs_disks import FILE, MIB, NtfsDisk, an_ntfs_disk, blocks_of, judged
from tests.unit.disks.shadow_disks import CREATED_AT, SET_ID, a_volume, an_id, seen, volumes_of
from tests.unit.disks.used_server import built

CLUSTERS = (512, 4096, 16 << 10, 64 << 10, 2 << 20)


def an_unprotected(*spans: tuple[int, int], **changes: object) -> StoreShape:
    return StoreShape(data_bytes=4 * MIB, unprotected=blocks_of(*spans), **changes)


# At rest.


@pytest.mark.parametrize("cluster_bytes", CLUSTERS)
def test_a_volume_in_use_is_buildable_because_windows_replayed_the_log_in_the_shadow_copy(cluster_bytes: int) -> None:
    judgement = judged(an_ntfs_disk(cluster_bytes=cluster_bytes).read())
    assert (judgement.verdict, judgement.reason) == ("buildable", "its lists are whole, and NTFS is at rest in it")


def test_a_shadow_copy_without_replay_is_refused() -> None:
    judgement = judged(an_ntfs_disk(replayed=False).read())
    assert judgement.verdict == "not buildable"
    assert "the log of NTFS is not clean in it" in judgement.reason
    assert judgement.work is None


def test_the_newer_one_of_two_restart_pages_counts_and_one_that_is_torn_does_not() -> None:
    disk = an_ntfs_disk(replayed=False)
    second = disk.files.places()["log"][0] + 4096
    # The older page says that the log is clean.
    disk.volume.write_to_copy(disk.store_id, second + 512, bytes(512))
    assert judged(disk.read()).verdict == "buildable"
    disk.volume.write_to_copy(disk.store_id, second - 4096, bytes(512))
    judgement = judged(disk.read())
    assert (judgement.verdict, judgement.reason) == ("not buildable", "the log of NTFS has no restart page")


def test_a_volume_that_is_marked_as_dirty_is_refused() -> None:
    judgement = judged(an_ntfs_disk(dirty=True).read())
    assert judgement.verdict == "not buildable"
    assert "NTFS is marked as dirty in it" in judgement.reason


def test_a_volume_without_the_records_of_ntfs_is_refused() -> None:
    disk = an_ntfs_disk()
    disk.volume.write_to_copy(disk.store_id, disk.files.mft_at, bytes(BLOCK))
    judgement = judged(disk.read())
    assert (judgement.verdict, judgement.reason) == ("not buildable", "record 0 of NTFS is none")


# Copies of some files only.


@pytest.mark.parametrize("cluster_bytes", CLUSTERS)
def test_a_copy_that_does_not_protect_what_is_in_use_is_refused_and_names_a_cluster(cluster_bytes: int) -> None:
    disk = an_ntfs_disk(cluster_bytes=cluster_bytes, in_use=[FILE], shape=an_unprotected(FILE))
    judgement = judged(disk.read())
    assert judgement.verdict == "not buildable"
    assert f"does not protect cluster {FILE[0] // cluster_bytes}, which is in use" in judgement.reason


@pytest.mark.parametrize("number", [0, 1, 254, 255])
@pytest.mark.parametrize("cluster_bytes", CLUSTERS)
def test_a_copy_that_does_not_protect_one_block_in_use_is_refused(cluster_bytes: int, number: int) -> None:
    block = (FILE[0] + number * BLOCK, BLOCK)
    disk = an_ntfs_disk(cluster_bytes=cluster_bytes, in_use=[FILE], shape=an_unprotected(block))
    assert f"cluster {block[0] // cluster_bytes}," in judged(disk.read()).reason


@pytest.mark.parametrize("cluster_bytes", CLUSTERS)
def test_a_copy_that_does_not_protect_the_first_block_alone_is_refused(cluster_bytes: int) -> None:
    disk = an_ntfs_disk(cluster_bytes=cluster_bytes, shape=an_unprotected((0, BLOCK)))
    assert "cluster 0," in judged(disk.read()).reason


@pytest.mark.parametrize("cluster_bytes", CLUSTERS)
def test_what_is_free_needs_no_protection(cluster_bytes: int) -> None:
    behind = (FILE[0] + FILE[1], 2 * MIB)
    disk = an_ntfs_disk(cluster_bytes=cluster_bytes, in_use=[FILE], shape=an_unprotected(behind))
    assert judged(disk.read()).verdict == "buildable"


@pytest.mark.parametrize("where", ["root", "vss"])
@pytest.mark.parametrize("parts", [1, 2], ids=["one part", "two parts in two records"])
@pytest.mark.parametrize(
    "name", ["PageFile.sys", "hiberfil.sys", "swapfile.sys", "{1}{3808876b-c176-4e48-b7ae-04046E6CC752}"]
)
def test_files_that_windows_never_copies_need_no_protection(name: str, parts: int, where: str) -> None:
    spans = [FILE] if parts == 1 else [(FILE[0] + MIB, MIB), (FILE[0], MIB)]
    disk = an_ntfs_disk(shape=an_unprotected(*spans), **{where: {"$Other": [(56 * MIB, MIB)], name: spans}})
    known = (where == "vss") == name.startswith("{")
    assert judged(disk.read()).verdict == ("buildable" if known else "not buildable")


@pytest.mark.parametrize(("end", "verdict"), [(2200 * MIB, "buildable"), (2100 * MIB, "not buildable")])
def test_a_page_file_may_go_on_where_the_next_block_of_the_bitmap_begins(end: int, verdict: str) -> None:
    unprotected = (2150 * MIB, MIB)
    # A block of the bitmap is for 2,032 MiB.
    root = {"pagefile.sys": [(2000 * MIB, end - 2000 * MIB)]}
    disk = an_ntfs_disk(size_bytes=3 << 30, shape=an_unprotected(unprotected), root=root, in_use=[unprotected])
    assert judged(disk.read()).verdict == verdict


def test_a_file_of_one_of_these_names_that_is_gone_explains_nothing() -> None:
    disk = an_ntfs_disk(shape=an_unprotected(FILE), root={"pagefile.sys": [FILE]})
    # Its record is another file's by now.
    disk.volume.write_to_copy(disk.store_id, disk.files.mft_at + 32 * 1024, b"".join(_another_files_record(disk)))
    assert judged(disk.read()).verdict == "not buildable"


def _another_files_record(disk: NtfsDisk) -> list[bytes]:
    at = disk.volume.place.start + disk.files.mft_at + 32 * 1024
    record = disk.disk.read(at, 1024)
    return [record[:16] + struct.pack("<H", 8) + record[18:]]


def test_what_one_of_two_bitmaps_protects_is_protected() -> None:
    for previous, verdict in ((frozenset(), "buildable"), (blocks_of(FILE), "not buildable")):
        disk = an_ntfs_disk(in_use=[FILE], shape=an_unprotected(FILE, previous=previous))
        assert judged(disk.read()).verdict == verdict


def test_what_windows_wrote_in_the_shadow_copy_itself_needs_no_protection() -> None:
    disk = an_ntfs_disk(shape=an_unprotected(FILE))
    written = (FILE[0] + 5 * BLOCK + 4096, 8192)
    disk.write_to_copy(in_use=[written])
    assert "does not protect cluster" in judged(disk.read()).reason
    disk.volume.write_to_copy(disk.store_id, written[0], b"n" * written[1])
    assert judged(disk.read()).verdict == "buildable"
    # Of a cluster that it did not write, nothing is known.
    disk.write_to_copy(in_use=[(written[0], written[1] + 4096)])
    assert f"does not protect cluster {(written[0] + written[1]) // 4096}" in judged(disk.read()).reason


def test_a_bit_behind_the_end_of_the_volume_says_nothing() -> None:
    after = an_ntfs_disk().volume.place.length // BLOCK
    # The bitmap of NTFS has what lies there in use; the last cluster of the last block is behind the end, too.
    unprotected = frozenset({after - 1, after, after + 1, after + 40})
    disk = an_ntfs_disk(shape=StoreShape(data_bytes=4 * MIB, unprotected=unprotected))
    assert judged(disk.read()).verdict == "buildable"


# What the lists say.


def test_a_forwarder_in_the_copy_or_in_a_newer_one_is_refused_and_one_in_an_older_one_is_not() -> None:
    for marked, verdict in (("C", "not buildable"), ("newer", "not buildable"), ("older", "buildable")):
        disk = an_ntfs_disk()
        ids = {"older": disk.store_id}
        for name in ("C", "newer"):
            ids[name] = disk.volume.add_shadow_copy(an_id(f"the {name}"), SET_ID, CREATED_AT)
        log_at = disk.files.places()["log"][0]
        disk.volume.write_to_copy(ids["C"], log_at, disk.files.log(clean=True))
        disk.volume.stores[ids[marked]].forward(FILE[0] // BLOCK, FILE[0] // BLOCK + 1)
        judgement = judged(disk.read(), an_id("the C"))
        assert judgement.verdict == verdict, marked
        assert verdict == "buildable" or "the store's list has a forwarder" in judgement.reason


def test_an_entry_that_is_marked_as_unused_says_nothing() -> None:
    disk = an_ntfs_disk()
    expected = judged(disk.read()).work
    for flags in (UNUSED, UNUSED | FORWARDER, UNUSED | 2):
        disk.volume.stores[disk.store_id].list_entry(FILE[0], 1, 1 << 60, flags, 0xFFFFFFFF)
    assert judged(disk.read()).work == expected


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ((FILE[0] + 512, 1, FILE[0], 0, 0), "leads from 0x3000200"),
        ((FILE[0], 1, FILE[0] + 512, 0, 0), "leads from 0x3000000"),
        ((1 << 40, 1, FILE[0], 0, 0), "leads from 0x10000000000"),
        ((FILE[0], 1, 1 << 40, 0, 0), "old data at 0x10000000000 is beyond the volume's end"),
    ],
)
def test_an_entry_that_leads_nowhere_is_refused(entry: tuple[int, int, int, int, int], reason: str) -> None:
    disk = an_ntfs_disk()
    disk.volume.stores[disk.store_id].list_entry(*entry)
    judgement = judged(disk.read())
    assert judgement.verdict == "not buildable"
    assert reason in judgement.reason


def test_a_list_without_end_is_refused() -> None:
    disk = an_ntfs_disk()
    list_at = disk.volume.stores[disk.store_id].list_at
    disk.disk.write(disk.volume.place.start + list_at + 40, struct.pack("<Q", list_at))
    judgement = judged(disk.read())
    assert judgement.verdict != "buildable"
    assert "more than" in judgement.reason


@pytest.mark.parametrize("following", [0, 0x156C000])
def test_a_bitmap_that_is_too_short_or_too_long_is_refused(following: int) -> None:
    size_bytes = 3 << 30 if not following else 66 * MIB
    disk = an_ntfs_disk(size_bytes=size_bytes)
    bitmap_at = disk.volume.place.start + 0x1560000 + 3 * BLOCK
    disk.disk.write(bitmap_at + 40, struct.pack("<Q", following))
    judgement = judged(disk.read())
    assert judgement.verdict == "not buildable"
    assert "bitmap" in judgement.reason.lower()


def test_a_copy_whose_store_does_not_begin_as_it_should_is_refused() -> None:
    disk = an_ntfs_disk()
    disk.disk.write(disk.volume.place.start + disk.volume.stores[disk.store_id].start + 2 * BLOCK, b"gone")
    judgement = judged(disk.read())
    assert judgement.verdict == "not buildable"
    assert "where a RANGE_LIST should be" in judgement.reason


def test_a_copy_that_is_marked_as_deleted_is_refused() -> None:
    disk = an_ntfs_disk()
    disk.volume.mark_deleted(disk.store_id)
    assert judged(disk.read()).reason == "the shadow copy is marked as deleted"


def test_a_copy_of_a_volume_that_was_made_larger_since_then_is_refused() -> None:
    disk = an_ntfs_disk()
    at = disk.volume.place.start + disk.volume.catalog_at + 0x80 + 8
    disk.disk.write(at, struct.pack("<Q", disk.volume.place.length - BLOCK))
    judgement = judged(disk.read())
    assert judgement.verdict == "not buildable"
    assert f"{disk.volume.place.length - BLOCK} bytes when the shadow copy was made" in judgement.reason


def test_two_copies_with_the_same_place_in_their_order_are_refused() -> None:
    disk = an_ntfs_disk()
    disk.volume.add_shadow_copy(an_id("newer"), SET_ID, CREATED_AT)
    at = disk.volume.place.start + disk.volume.catalog_at + 3 * 0x80 + 32
    assert disk.disk.read(at, 8) == struct.pack("<Q", 2)
    disk.disk.write(at, struct.pack("<Q", 1))
    assert "the same place in their order" in judged(disk.read()).reason


def test_a_copy_of_a_refs_volume_is_refused() -> None:
    c, d = an_ntfs_disk().volume, SparseDisk(66 * MIB)
    place = Place(MIB, 64 * MIB)
    write_mbr_of(d, [place])
    volume = SimulatedVolume(d, place, an_id("volume D"), "ReFS")
    volume.add_shadow_copy(an_id("D"), SET_ID, CREATED_AT, storage=c)
    judgement = judged([seen("snap-c", c.disk), seen("snap-d", d)], an_id("D"))
    assert (judgement.verdict, judgement.reason) == ("not buildable", "ReFS: only NTFS can be looked into")


# What is missing, or can't be read.


def test_a_newer_store_that_is_on_none_of_the_disks_is_refused_unless_a_disk_was_not_read() -> None:
    disk, other = an_ntfs_disk(), an_ntfs_disk()
    disk.volume.add_shadow_copy(an_id("newer"), SET_ID, CREATED_AT, storage=other.volume)
    judgement = judged(disk.read())
    assert judgement.verdict == "not buildable"
    assert "or of a newer one, is on none of these disks" in judgement.reason
    judgement = judged([*disk.read(), unread_disk("snap-d", NotRead("archived"))])
    assert judgement.verdict == "not known"
    assert "may be in what could not be read: archived" in judgement.reason


def reading(disk: NtfsDisk, fails: Callable[[int, int], bool]) -> list[Disk]:
    """Read a disk for its shadow copies, and then fail at some places."""
    armed = []

    def read(offset: int, length: int) -> bytes:
        if armed and fails(offset - disk.volume.place.start, length):
            raise OSError("no time left")
        return disk.disk.read(offset, length)

    found = [read_disk("snap-c", read, disk.disk.size_bytes)]
    armed.append(True)
    return found


@pytest.mark.parametrize("what", ["list", "bitmap", "mft", "log", "ntfs bitmap"])
def test_what_could_not_be_read_is_not_known(what: str) -> None:
    disk = an_ntfs_disk(shape=an_unprotected((60 * MIB, BLOCK)))
    store, places = disk.volume.stores[disk.store_id], disk.files.places()
    where = {
        "list": store.list_at,
        "bitmap": store.start + 3 * BLOCK,
        "mft": places["mft"][0],
        "log": places["log"][0],
        "ntfs bitmap": places["bitmap"][0],
    }[what]
    disks = reading(disk, lambda at, length: at <= where < at + length and length != 0x80)
    stores = Stores(disks)
    (copy,) = read_copies(disks)
    judgement = judge(stores, copy)
    assert judgement.verdict == "not known"
    assert "no time left" in judgement.reason


def test_a_volume_on_a_part_of_its_disk_is_not_known() -> None:
    disk = an_ntfs_disk()
    disks = [read_disk("snap-c", disk.disk.read, disk.volume.place.start + disk.volume.place.length - BLOCK)]
    judgement = judged(disks)
    assert judgement.verdict == "not known"
    assert "goes on behind the end of its disk" in judgement.reason


def test_without_unprotected_blocks_the_bitmap_of_ntfs_is_not_read() -> None:
    disk = an_ntfs_disk()
    start, length = disk.files.places()["bitmap"]
    disks = reading(disk, lambda at, wanted: at < start + length and start < at + wanted)
    assert judged(disks).verdict == "buildable"


# What it takes.


def test_the_bound_of_the_work_is_known_before_any_old_data_is_read_and_holds() -> None:
    disk = an_ntfs_disk(shape=an_unprotected((60 * MIB, BLOCK)))
    for number in range(40):
        disk.volume.write(FILE[0] + number * 5 * BLOCK + 100, b"new")
    store = disk.volume.stores[disk.store_id]
    first_data = store.start + 5 * BLOCK
    # The log's own data is read: NTFS is looked into.
    disks = reading(disk, lambda at, _: first_data <= at < store.end)
    judgement = judged(disks)
    assert judgement.verdict == "buildable"
    read: Counter[int] = Counter()

    def counted(offset: int, length: int) -> bytes:
        read.update(range(offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES + 1))
        return disk.disk.read(offset, length)

    (again,) = [read_disk("snap-c", counted, disk.disk.size_bytes)]
    (copy,) = read_copies([again])
    stores = Stores([again])
    read.clear()
    judgement = judge(stores, copy)
    looked = len(read)
    read.clear()
    assert judgement.view is not None
    _, put = built(disk.disk, Child([judgement.view]))
    assert judgement.work == (looked + len(read), len(put))


def test_old_data_is_read_in_its_own_order_so_that_each_block_is_needed_once() -> None:
    disk = an_ntfs_disk()
    for number in reversed(range(40)):
        disk.volume.write(FILE[0] + number * 5 * BLOCK, b"new")
    places: list[int] = []

    def read(offset: int, length: int) -> bytes:
        places.append(offset)
        return disk.disk.read(offset, length)

    disks = [read_disk("snap-c", read, disk.disk.size_bytes)]
    view = judged(disks).view
    assert view is not None
    child = Child([view])
    (batch,) = child.batches()
    places.clear()
    list(child.read(batch))
    old = [offset // BLOCK_BYTES for offset in places[: -len(batch)]]
    assert old == sorted(set(old))
    assert len(old) > 1


# Several volumes of one disk, and volumes without a shadow copy.


def test_a_child_of_two_volumes_has_both_views_in_blocks_that_they_share() -> None:
    disk = SparseDisk(140 * MIB)
    first = Place(63 * 512, 64 * MIB + 512)
    second = Place(first.start + first.length + 512, 64 * MIB)
    write_mbr_of(disk, [first, second])
    c, d = volumes_of(disk, [first, second])
    end, start = c.place.length - 3 * 512, 0x2000
    c.write(end, b"old C"), d.write(start, b"old D")
    c.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    d.add_shadow_copy(an_id("D"), SET_ID, CREATED_AT, storage=c)
    held = disk.copy()
    c.write(end, b"new C"), d.write(start, b"new D")
    assert (c.place.start + end) // BLOCK_BYTES == (d.place.start + start) // BLOCK_BYTES
    disks = [seen("disk", disk)]
    stores = Stores(disks)
    child = Child([open_view(stores, copy) for copy in read_copies(disks)])
    numbers = [candidate.index for candidate in child.candidates()]
    assert numbers == sorted(set(numbers))
    made, _ = built(disk, child)
    for volume, at in ((c, end), (d, start)):
        assert made.read(volume.place.start + at, 512) == held.read(volume.place.start + at, 512)
        assert made.read(volume.place.start + HEADER_AT + 48, 8) == bytes(8)


@pytest.mark.parametrize("before", [0x1000, 0x1E00, 0x2000, 0x4000])
def test_a_volume_may_begin_just_before_a_block_of_the_disk_ends(before: int) -> None:
    disk = SparseDisk(70 * MIB)
    place = Place(BLOCK_BYTES - before, 64 * MIB)
    write_mbr_of(disk, [place])
    (volume,) = volumes_of(disk, [place])
    volume.write(0x200, b"old")
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    expected = disk.copy()
    volume.write(0x200, b"new"), volume.write(60 * MIB, b"new")
    disks = [seen("disk", disk)]
    (copy,) = read_copies(disks)
    child = Child([open_view(Stores(disks), copy)])
    indexes = [candidate.index for candidate in child.candidates()]
    assert indexes == sorted(set(indexes))
    made, _ = built(disk, child)
    for at, length in ((0x200, 3), (60 * MIB, 3)):
        assert made.read(place.start + at, length) == expected.read(place.start + at, length)
    assert made.read(place.start + HEADER_AT + 48, 8) == bytes(8)


def test_where_the_view_has_no_header_of_volsnap_nothing_is_neutralised() -> None:
    volume = a_volume("C", 64 * MIB)
    store_id = volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    # As it was before VSS was ever used here.
    before = volume.disk.read(volume.place.start, HEADER_AT) + b"b" * (BLOCK - HEADER_AT)
    volume.stores[store_id].copy(0, before)
    disks = [seen("disk", volume.disk)]
    (copy,) = read_copies(disks)
    made, _ = built(volume.disk, Child([open_view(Stores(disks), copy)]))
    assert made.read(volume.place.start, BLOCK) == before


def a_child_of_40_changes() -> Child:
    disk = an_ntfs_disk()
    for number in range(40):
        disk.volume.write(FILE[0] + number * 5 * BLOCK, b"new")
    view = judged(disk.read()).view
    assert view is not None
    return Child([view])


def test_the_work_can_be_split_anywhere() -> None:
    child = a_child_of_40_changes()
    whole = list(child.candidates())
    for cut in (0, 1, whole[1].index, whole[-1].index, whole[-1].index + 1):
        assert [*child.candidates(0, cut), *child.candidates(cut)] == whole


def test_a_batch_has_as_much_old_data_as_memory_is_for_or_a_single_block(monkeypatch: pytest.MonkeyPatch) -> None:
    child = a_child_of_40_changes()
    for most in (1, 7, 1000):
        monkeypatch.setattr(child_module, "MAX_PIECES", most)
        batches = list(child.batches())
        assert [candidate for batch in batches for candidate in batch] == list(child.candidates())
        for batch in batches:
            assert len(batch) == 1 or sum(len(part.pieces) for each in batch for part in each.parts) <= most
    assert len(batches) == 1


def test_lists_that_are_too_long_for_memory_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = an_ntfs_disk()
    disk.volume.write(FILE[0], b"new")
    monkeypatch.setattr(view_module, "MAX_ENTRIES", 1)
    judgement = judged(disk.read())
    assert (judgement.verdict, judgement.work) == ("not known", None)
    assert "have more than 1 entries" in judgement.reason


@pytest.mark.chapter("6.3.5 order")
def test_a_volume_without_a_shadow_copy_that_holds_storage_forgets_its_catalog_and_keeps_all_else() -> None:
    c, d = a_volume("C", 64 * MIB), a_volume("D", 64 * MIB)
    d.add_shadow_copy(an_id("D"), SET_ID, CREATED_AT, storage=c)
    disks = [seen("snap-c", c.disk), seen("snap-d", d.disk)]
    (copy,) = read_copies(disks)
    alone, child = children(disks, [open_view(Stores(disks), copy)])
    assert (alone.views[0].origin, child.views[0].origin) == (disks[0].volumes[0], disks[1].volumes[0])
    made, put = built(c.disk, alone)
    expected = c.disk.copy()
    expected.write(c.place.start + HEADER_AT + 48, bytes(8))
    assert made.pages() == expected.pages()
    assert put == [(c.place.start + HEADER_AT) // BLOCK_BYTES]
    assert work_of(alone) == (1, 1)


def test_a_disk_without_a_catalog_needs_no_child() -> None:
    c, d, never = (a_volume(name, 64 * MIB) for name in ("C", "D", "E"))
    c.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    d.delete_shadow_copy(d.add_shadow_copy(an_id("D"), SET_ID, CREATED_AT))
    # As on a volume whose last shadow copy is gone.
    d.disk.write(d.place.start + HEADER_AT + 48, bytes(8))
    disks = [seen(name, volume.disk) for name, volume in (("c", c), ("d", d), ("e", never))]
    (copy,) = read_copies(disks)
    (only,) = children(disks, [open_view(Stores(disks), copy)])
    assert only.views[0].origin.disk == "c"


def test_volumes_of_different_disks_are_not_one_child() -> None:
    disks = [seen(name, a_volume(name, 64 * MIB).disk) for name in ("C", "D")]
    with pytest.raises(ValueError, match="must lie on one disk"):
        Child([View(disk.volumes[0]) for disk in disks])
