"""NTFS on the volumes of simulated servers: files, shadow copies of them, and what our own reader makes of both."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quiesce.disks.buildable import Buildable, children, judge
from quiesce.disks.child import Child
from quiesce.disks.ntfs import Ntfs
from quiesce.disks.ntfs_state import read_state
from quiesce.disks.shadow_copies import Disk, Stores, read_copies
from sandbox.disks.ntfs_reader import NotMounted
from sandbox.disks.ntfs_volume import PAGE_FILE, NtfsVolume, formatted, mounted
from sandbox.disks.shadow_structures import HEADER_AT
from sandbox.disks.sparse_disk import PAGE_BYTES, Place, SparseDisk, write_mbr_of
from sandbox.disks.stores import BLOCK, SECTOR, StoreShape
from sandbox.snapshot_disks import ServerDisks, new_volume
from sandbox.windows.vss import SYSTEM_PROVIDER, ShadowCopy
from tests.unit.disks.shadow_disks import an_id, seen
from tests.unit.disks.used_server import built

ONE_DISK_BYTES = 64 << 20
MOST_STORES = 8
NOW_S = 1_790_000_000.0
SET = f"{{{an_id('set')}}}"


@dataclass
class SimulatedServer:
    """Windows with C:, D: and E:; the shadow storage of D: lies on C:."""

    disks: ServerDisks = field(default_factory=ServerDisks)
    copies: list[ShadowCopy] = field(default_factory=list)
    names: str = "CDE"

    def __post_init__(self) -> None:
        for name, size_gib in (("C", 3), ("D", 5), ("E", 1)):
            self.disks.volumes[name] = new_volume(name, size_gib, of_windows=name == "C")

    def volume(self, name: str) -> NtfsVolume:
        return self.disks.volumes[name]

    def copy(self, context: str = "persistent", *, with_writers: bool = True) -> None:
        number = len(self.copies)
        made = [
            ShadowCopy(f"{{{an_id(name + str(number))}}}", SET, name, context, with_writers, SYSTEM_PROVIDER)
            for name in self.names
        ]
        self.disks.add_copies(made, lambda volume: "C" if volume == "D" else volume, NOW_S + number)
        self.copies += made

    def read(self) -> list[Disk]:
        return [seen(name, volume.volume.disk) for name, volume in self.disks.volumes.items()]

    def judged(self) -> Iterator[tuple[UUID, Buildable]]:
        disks = self.read()
        for copy in read_copies(disks):
            yield copy.entry.store_id, judge(Stores(disks), copy)

    def built(self, set_number: int) -> dict[str, SparseDisk]:
        """Return each disk as of one of the shadow sets."""
        wanted = {made.store_id for copy in self.copies[set_number * 3 :][:3] if (made := self.made(copy))}
        views = [judgement.view for store_id, judgement in self.judged() if store_id in wanted]
        assert len(views) == 3
        made = children(self.read(), [view for view in views if view])
        return {child.views[0].volume.disk: built(self.disk_of(child), child)[0] for child in made}

    def disk_of(self, child) -> SparseDisk:
        return self.volume(child.views[0].volume.disk).volume.disk

    def made(self, copy: ShadowCopy):
        return self.disks.made.get(copy.shadow_id)


def text_of(number: int, lines: int) -> str:
    return "".join(f"{number},{line}\n" for line in range(lines))


def test_files_are_read_off_the_bytes_of_the_disk_by_who_has_never_seen_it() -> None:
    volume = new_volume("D", 100)
    for number, path in enumerate((r"\Shop\orders.csv", "what.txt", r"\Shop\empty.txt", r"\Other\file.txt")):
        volume.write(path, text_of(number, number * 4000))
    volume.write("what.txt", "short again")
    again = mounted(volume.volume.disk.copy())
    assert again.files == volume.files
    assert again.files[r"\what.txt"] == "short again"
    assert again.ntfs == volume.ntfs
    again.write(r"\Shop\new.txt", "on")
    assert mounted(again.volume.disk.copy()).files == {**volume.files, r"\Shop\new.txt": "on"}


def test_windows_finds_each_disk_by_its_own_id() -> None:
    one, two = new_volume("C", 30, of_windows=True), new_volume("D", 30)
    assert one.disk_id != two.disk_id
    assert mounted(one.volume.disk.copy()).disk_id == one.disk_id


def test_a_disk_without_a_volume_and_one_with_a_torn_record_are_not_mounted() -> None:
    with pytest.raises(NotMounted, match="no partitions"):
        mounted(SparseDisk(1 << 30))
    volume = new_volume("D", 1)
    volume.write("what.txt", "text")
    disk = volume.volume.disk.copy()
    disk.write(volume.volume.place.start + volume.ntfs.mft_at + 32 * 1024 + 510, b"torn")
    with pytest.raises(NotMounted, match="written only in part"):
        mounted(disk).read("what.txt")


def test_a_file_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 1048576"):
        new_volume("D", 1).write("what.txt", "a" * (1 << 20) + "a")


def test_our_reader_finds_a_volume_in_use_and_one_at_rest() -> None:
    volume = new_volume("D", 1)

    def log_is_clean() -> bool:
        [found] = seen("D", volume.volume.disk).volumes
        return read_state(Ntfs(found.extent)).log_clean

    assert not log_is_clean()
    volume.dismount()
    assert log_is_clean()
    volume.mount()
    assert not log_is_clean()


def test_all_volumes_of_a_good_shadow_set_are_buildable() -> None:
    server = SimulatedServer()
    server.volume("D").write(r"\Shop\orders.csv", text_of(1, 5000))
    server.copy()
    for name in "CDE":
        server.volume(name).write(r"\Shop\orders.csv", text_of(2, 9000))
    found = dict(server.judged())
    assert {judgement.verdict for judgement in found.values()} == {"buildable"}, found
    assert len(found) == 3


def test_copies_in_which_windows_replays_no_log_are_not_buildable() -> None:
    server = SimulatedServer()
    server.copy("clientaccessible", with_writers=False)
    reasons = {judgement.reason for _, judgement in server.judged()}
    assert reasons == {"the log of NTFS is not clean in it: nothing replayed it when the shadow copy was made"}


def test_what_the_store_does_not_protect_is_free_or_a_file_that_windows_never_copies() -> None:
    server = SimulatedServer()
    server.copy()
    for name in "CDE":
        volume = server.volume(name)
        unprotected = volume.volume.shape.unprotected
        assert len(unprotected) > volume.ntfs.volume_bytes // PAGE_BYTES * 0.9
        assert 0 not in unprotected
    c = server.volume("C")
    [(page_file, _)] = c.ntfs.root[PAGE_FILE]
    assert page_file // PAGE_BYTES in c.volume.shape.unprotected
    at = c.free_at
    assert at // PAGE_BYTES in c.volume.shape.unprotected
    c.write("new.txt", "new"), server.copy()
    assert at // PAGE_BYTES not in c.volume.shape.unprotected


def test_a_copy_whose_store_leaves_a_file_alone_is_found_out() -> None:
    server = SimulatedServer()
    server.volume("D").write("what.txt", "text")
    d = server.volume("D")
    whole = d._unprotected
    at = d.free_at - (1 << 20)
    d._unprotected = lambda: replace(whole(), ranges=[*whole().ranges, range(at // PAGE_BYTES, at // PAGE_BYTES + 1)])
    server.copy()
    verdicts = {judgement.view.volume.disk: judgement for _, judgement in server.judged() if judgement.view}
    assert {name: judgement.verdict for name, judgement in verdicts.items()} == {
        "C": "buildable",
        "D": "not buildable",
        "E": "buildable",
    }
    assert f"does not protect cluster {at // 4096}," in verdicts["D"].reason


PATHS = ("a.txt", r"\Shop\b.txt")
OPERATIONS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 2), st.sampled_from(("a.txt", r"\Shop\b.txt")), st.integers(0, 9000)),
    st.tuples(st.just("copy")),
    st.tuples(st.just("write_to_copy"), st.integers(0, 8), st.integers(0, 3000)),
)


def used(server: SimulatedServer, operations: list[tuple]) -> None:
    for number, (what, *how) in enumerate([("copy",), *operations]):
        if what == "write":
            server.volume(server.names[how[0] % len(server.names)]).write(how[1], text_of(number, how[2]))
        elif what == "copy" and len(server.copies) < MOST_STORES:
            server.copy()
        elif what == "write_to_copy":
            server.disks.write_to_copy(server.copies[how[0] % len(server.copies)], "a.txt", text_of(number, how[1]))


@settings(max_examples=10, deadline=None)
@given(operations=st.lists(OPERATIONS, min_size=4, max_size=14))
def test_each_volume_as_of_each_shadow_copy_is_what_windows_held_then(operations: list[tuple]) -> None:
    server = SimulatedServer()
    used(server, operations)
    for number in range(len(server.copies) // 3):
        for name, disk in server.built(number).items():
            made = server.made(server.copies[number * 3 + "CDE".index(name)])
            assert_as_held(made.volume, made.store_id, disk)


def assert_as_held(volume: NtfsVolume, store_id: UUID, disk: SparseDisk) -> None:
    """Check the files, and each block that the store protects; the rest was free, or of files that are never copied."""
    held, place = volume.volume.held[store_id], volume.volume.place
    assert mounted(disk.copy(), place).files == mounted(held.copy(), place).files
    header = place.start + HEADER_AT
    assert disk.read(header + 48, 8) == bytes(8)
    made = disk.copy()
    made.write(header, held.read(header, 512))
    left_alone = volume.volume.stores[store_id].shape.unprotected
    differ = {at for at, _ in made.pages().items() ^ held.pages().items()}
    blocks = {number for at in differ for number in blocks_of(at, place)}
    for number in blocks:
        at, length = place.start + number * BLOCK, min(BLOCK, place.length - number * BLOCK)
        assert number in left_alone or made.read(at, length) == held.read(at, length), number


def blocks_of(at: int, place: Place) -> range:
    """Return the volume's blocks that a page of its disk has a part of."""
    first, after = max(at - place.start, 0), min(at + PAGE_BYTES - place.start, place.length)
    return range(first // BLOCK, -(-after // BLOCK))


class OneDisk(SimulatedServer):
    """The same with C: and D: on one disk, at any sector, with clusters of any size, and as long as it may be."""

    def __init__(self, start: int, tails: tuple[int, int], cluster_bytes: int, shape: StoreShape) -> None:
        first = Place(start * SECTOR, ONE_DISK_BYTES + tails[0] * SECTOR)
        second = Place(first.start + first.length + 3 * SECTOR, ONE_DISK_BYTES + tails[1] * SECTOR)
        self.disks, self.copies, self.names = ServerDisks(), [], "CD"
        self.disk = SparseDisk(second.start + second.length + 5 * SECTOR)
        write_mbr_of(self.disk, [first, second])
        self.disk.write(first.start + first.length, b"\xee" * (3 * SECTOR))
        for name, place in zip("CD", (first, second), strict=True):
            self.disks.volumes[name] = formatted(self.disk, place, cluster_bytes)
            self.volume(name).volume.shape = shape

    def read(self) -> list[Disk]:
        return [seen("disk", self.disk)]


ONE_DISKS = st.builds(
    OneDisk,
    start=st.integers(1, 2100),
    tails=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    cluster_bytes=st.sampled_from((512, 1024, 4096, 16 << 10, 64 << 10)),
    shape=st.sampled_from(
        [StoreShape(entries_per_list=each, flags=flags) for each in (2, 5, 508) for flags in (0, 0x88)]
    ),
)


@settings(max_examples=25, deadline=None)
@given(server=ONE_DISKS, operations=st.lists(OPERATIONS, min_size=4, max_size=16))
def test_each_volume_of_any_disk_is_what_windows_held_and_nothing_outside_of_it_changes(
    server: OneDisk, operations: list[tuple]
) -> None:
    used(server, operations)
    judgements = dict(server.judged())
    assert {judgement.verdict for judgement in judgements.values()} == {"buildable"}, judgements
    for copy in server.copies:
        made = server.made(copy)
        view = judgements[made.store_id].view
        assert view is not None
        disk, _ = built(server.disk, Child([view]))
        assert_as_held(made.volume, made.store_id, disk)
        start, length = made.volume.volume.place
        for at in {at for at, _ in disk.pages().items() ^ server.disk.pages().items()}:
            before, after = max(start - at, 0), max(start + length - at, 0)
            now, then = disk.read(at, PAGE_BYTES), server.disk.read(at, PAGE_BYTES)
            assert (now[:before], now[after:]) == (then[:before], then[after:])


def test_a_server_that_starts_from_its_raw_volumes_has_a_log_that_is_open_and_one_from_built_ones_has_not() -> None:
    server = SimulatedServer()
    server.copy()

    def log_is_clean(disk: SparseDisk) -> bool:
        [*_, found] = seen("C", disk).volumes
        return read_state(Ntfs(found.extent)).log_clean

    assert not log_is_clean(server.volume("C").volume.disk)
    assert log_is_clean(server.built(0)["C"])


def test_shadow_copies_that_windows_no_longer_has_are_deleted_with_their_files() -> None:
    server = SimulatedServer()
    before = {name: server.volume(name).ntfs.vss for name in "CDE"}
    server.copy()
    assert len(server.volume("C").ntfs.vss) == 3
    server.disks.delete_copies(set())
    assert {name: server.volume(name).ntfs.vss for name in "CDE"} == before
    assert list(server.judged()) == []


def test_the_clock_of_the_server_is_in_the_catalog() -> None:
    server = SimulatedServer()
    server.copy()
    times = {copy.entry.created_at for copy in read_copies(server.read())}
    assert times == {datetime.fromtimestamp(NOW_S, UTC)}
