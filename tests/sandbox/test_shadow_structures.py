"""A program that is not ours reads the sandbox's structures: vshadowinfo of Debian's libvshadow-utils.

Only volumes without another volume's shadow storage: of those with one, vshadowinfo shows the wrong store.
"""

import ast
import re
import shutil
import struct
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from quiesce.disks.shadow_copies import read_copies
from sandbox.disks.shadow_structures import CLIENT_ACCESSIBLE, SimulatedVolume
from sandbox.disks.sparse_disk import PAGE_BYTES, Place, SparseDisk, write_extended, write_gpt, write_mbr
from sandbox.disks.stores import BLOCK, HEAD
from tests.unit.disks.shadow_disks import CREATED_AT, GIB, a_server, a_volume, an_id, seen, volumes_of

SANDBOX = Path(__file__).parents[2] / "sandbox"
WRITERS = ["sparse_disk", "shadow_structures", "stores", "ntfs_structures", "ntfs_reader", "ntfs_volume"]

needs_vshadowinfo = pytest.mark.skipif(
    shutil.which("vshadowinfo") is None, reason="vshadowinfo is not here (Debian and Ubuntu: libvshadow-utils)"
)


def stores_of(volume: SimulatedVolume, path: Path) -> list[dict[str, str]]:
    """Return what vshadowinfo shows of each store."""
    volume.disk.save(path)
    command = ["vshadowinfo", "-o", str(volume.place.start), str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    stores = re.split(r"\nStore: \d+\n", text)[1:]
    return [dict(re.findall(r"^\s*(.+?)\s*: (.*)$", store, re.MULTILINE)) for store in stores]


def ids(stores: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(store["Shadow copy ID"], store["Shadow copy set ID"]) for store in stores]


def parsed(volume: SimulatedVolume) -> list[tuple[str, str]]:
    """Return what our own parser finds on the volume's disk."""
    stores = [copy.store for copy in read_copies([seen("disk", volume.disk)])]
    return [(str(store.copy_id), str(store.set_id)) for store in stores if store]


def with_two_copies(volume: SimulatedVolume) -> list[tuple[str, str]]:
    # vshadowinfo refuses two copies with the same time, which no server makes.
    for hours, name in enumerate(("first", "second")):
        volume.add_shadow_copy(an_id(name), an_id(f"set of {name}"), CREATED_AT + timedelta(hours=hours))
    return [(str(an_id(name)), str(an_id(f"set of {name}"))) for name in ("first", "second")]


@needs_vshadowinfo
@pytest.mark.parametrize("sector_bytes", [512, 4096])
@pytest.mark.parametrize("scheme", ["gpt", "mbr", "extended", "none"])
def test_vshadowinfo_finds_the_copies_that_were_written(scheme: str, sector_bytes: int, tmp_path: Path) -> None:
    disk = SparseDisk(6 * GIB, sector_bytes)
    places = {
        "gpt": lambda: write_gpt(disk, [2 * GIB, 0]),
        "mbr": lambda: write_mbr(disk, [2 * GIB, 0]),
        "extended": lambda: write_extended(disk, GIB, [GIB, 2 * GIB]),
        "none": lambda: [Place(0, disk.size_bytes)],
    }[scheme]()
    volume = volumes_of(disk, places)[-1]
    assert with_two_copies(volume) == ids(stores_of(volume, tmp_path / "disk.raw")) == parsed(volume)


@needs_vshadowinfo
def test_vshadowinfo_reads_every_field_that_was_written(tmp_path: Path) -> None:
    volume = a_volume()
    store_id = volume.add_shadow_copy(an_id("C"), an_id("set"), CREATED_AT, made_as=CLIENT_ACCESSIBLE)
    (store,) = stores_of(volume, tmp_path / "disk.raw")
    assert store["Identifier"] == str(store_id)
    assert store["Creation time"] == "May 04, 2026 03:02:01.123456000 UTC"
    assert store["Attribute flags"] == "0x0002001d"
    assert f"({volume.place.length} bytes)" in store["Volume size"]


@needs_vshadowinfo
def test_vshadowinfo_says_that_storage_lies_elsewhere(tmp_path: Path) -> None:
    (store,) = stores_of(a_server().d, tmp_path / "disk.raw")
    assert "Shadow copy ID" not in store
    assert store["Creation time"].startswith("May 04, 2026 03:02:01")


@needs_vshadowinfo
def test_vshadowinfo_finds_more_copies_than_four_blocks_of_the_catalog_hold(tmp_path: Path) -> None:
    volume = a_volume(size_bytes=2 * GIB)
    names = [str(number) for number in range(300)]
    for number, name in enumerate(names):
        volume.add_shadow_copy(an_id(name), an_id("set"), CREATED_AT + timedelta(hours=number))
    written = [(str(an_id(name)), str(an_id("set"))) for name in names]
    assert written == ids(stores_of(volume, tmp_path / "disk.raw")) == parsed(volume)


@needs_vshadowinfo
def test_vshadowinfo_finds_storage_beyond_four_tib(tmp_path: Path) -> None:
    volume = a_volume(size_bytes=5 << 40)
    volume.next_store_at = 4 << 40
    assert with_two_copies(volume) == ids(stores_of(volume, tmp_path / "disk.raw")) == parsed(volume)


@needs_vshadowinfo
def test_vshadowinfo_no_longer_finds_a_deleted_copy(tmp_path: Path) -> None:
    volume = a_volume()
    first = volume.add_shadow_copy(an_id("first"), an_id("set"), CREATED_AT)
    volume.add_shadow_copy(an_id("second"), an_id("set"), CREATED_AT + timedelta(hours=1))
    volume.delete_shadow_copy(first)
    left = [(str(an_id("second")), str(an_id("set")))]
    assert left == ids(stores_of(volume, tmp_path / "disk.raw")) == parsed(volume)


def test_a_volume_too_small_for_a_store_is_refused() -> None:
    volume = a_volume(size_bytes=22 << 20)
    with pytest.raises(ValueError, match="has no room"):
        volume.add_shadow_copy(an_id("C"), an_id("set"), CREATED_AT)


def test_a_store_keeps_each_block_once_and_only_the_newest_one_does() -> None:
    volume = a_volume(size_bytes=GIB)
    first = volume.add_shadow_copy(an_id("first"), an_id("set"), CREATED_AT)
    volume.write(GIB // 2, b"1")
    second = volume.add_shadow_copy(an_id("second"), an_id("set"), CREATED_AT + timedelta(hours=1))
    for _ in range(2):
        volume.write(GIB // 2 + PAGE_BYTES - 1, b"22")
    blocks = GIB // 2 // PAGE_BYTES
    assert volume.stores[first].copied == {blocks}
    assert volume.stores[second].copied == {blocks, blocks + 1}


def test_a_stores_list_begins_with_the_forwarders_that_its_shape_has() -> None:
    volume = a_volume(size_bytes=GIB)
    volume.shape = volume.shape._replace(forwarders=((8, 9), (10, 11)), entries_per_list=2)
    store = volume.stores[volume.add_shadow_copy(an_id("C"), an_id("set"), CREATED_AT)]
    first, data_at = store.list_at, store.free_at
    volume.write(GIB // 2, b"1")
    entries = [struct.unpack("<QQQII", volume.read(first + HEAD + number * 32, 32)) for number in range(3)]
    # Original and other block, no data, flag 0x1; the copied block's entry stands in the next block of the list.
    assert entries == [(8 * BLOCK, 9 * BLOCK, 0, 1, 0), (10 * BLOCK, 11 * BLOCK, 0, 1, 0), (0, 0, 0, 0, 0)]
    [regular] = [struct.unpack("<QQQII", volume.read(store.list_at + HEAD, 32))]
    assert (store.list_at != first, regular[0], regular[2]) == (True, GIB // 2, data_at)


def test_a_store_without_room_for_old_data_is_refused() -> None:
    volume = a_volume(size_bytes=GIB)
    volume.add_shadow_copy(an_id("C"), an_id("set"), CREATED_AT)
    with pytest.raises(ValueError, match="the store is full"):
        volume.write(GIB // 2, bytes(5 * PAGE_BYTES))


def test_a_sparse_disk_gives_back_what_was_written_and_zeros_elsewhere() -> None:
    disk = SparseDisk(10 * PAGE_BYTES + 5)
    disk.write(PAGE_BYTES - 2, b"1234")
    assert disk.read(PAGE_BYTES - 4, 8) == b"\0\x001234\0\0"
    assert disk.read(10 * PAGE_BYTES, 100) == bytes(5)
    assert disk.read(11 * PAGE_BYTES, 1) == b""
    with pytest.raises(ValueError, match="do not fit"):
        disk.write(10 * PAGE_BYTES + 4, b"12")


def test_a_sparse_disk_names_the_blocks_that_were_written() -> None:
    disk = SparseDisk(1 << 40)
    for offset in (0, (1 << 39) - 1, 512 << 10):
        disk.write(offset, b"1")
    assert disk.written_blocks(512 << 10) == [0, 1, (1 << 20) - 1]


def test_a_sparse_disk_saves_itself_as_it_reads(tmp_path: Path) -> None:
    disk = SparseDisk(2 * PAGE_BYTES + 5)
    disk.write(2 * PAGE_BYTES - 1, b"123456")
    disk.save(tmp_path / "disk.raw")
    assert (tmp_path / "disk.raw").read_bytes() == disk.read(0, disk.size_bytes)


@pytest.mark.parametrize("module", WRITERS)
def test_the_writer_shares_nothing_with_the_parser(module: str) -> None:
    tree = ast.parse((SANDBOX / "disks" / f"{module}.py").read_text())
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert not {name for name in names if name.startswith(("quiesce", "src"))}
