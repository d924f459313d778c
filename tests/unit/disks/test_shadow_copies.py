import re
import struct
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from quiesce.disks.__main__ import main
from quiesce.disks.listing import describe, is_complete
from quiesce.disks.raw import NotRead
from quiesce.disks.shadow_copies import read_copies, unread_disk
from sandbox.disks.shadow_structures import CATALOG_AT
from sandbox.disks.sparse_disk import SparseDisk, write_gpt
from tests.unit.disks.shadow_disks import CREATED_AT, GIB, SET_ID, a_server, a_volume, an_id, seen, volumes_of

EFI_SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")


def saved(disk: SparseDisk, path: Path) -> str:
    disk.save(path)
    return str(path)


def test_the_listing_says_of_each_copy_what_an_administrator_needs() -> None:
    server = a_server()
    disks = server.read()
    text = describe(disks, read_copies(disks))
    assert f"shadow copy {an_id('D')}, created 2026-05-04 03:02:01 UTC" in text
    assert f"of set {SET_ID}, writers involved, made on 'EC2AMAZ-QUIESCE'" in text
    assert "storage on another volume: snap-c, at 1 MiB" in text
    assert "storage on the same volume" in text
    assert "context 0x9, attributes 0x420009: persistent" in text
    assert is_complete(disks, read_copies(disks))


def test_the_listing_names_a_storage_volume_that_is_on_none_of_the_disks() -> None:
    server = a_server()
    disks = [seen("snap-d", server.d.disk)]
    copies = read_copies(disks)
    assert f"storage on none of these disks: on volume {server.c.volume_id}" in describe(disks, copies)
    assert not is_complete(disks, copies)


def test_the_listing_says_what_was_not_read_and_why() -> None:
    volume = a_volume()
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    volume.disk.write(volume.place.start + CATALOG_AT, b"\0")
    disks = [seen("snap-c", volume.disk), unread_disk("snap-d", NotRead("archived"))]
    text = describe(disks, [])
    assert "NOT READ: no block of volsnap at 0x830000" in text
    assert "NOT READ: archived" in text


def test_a_time_that_is_no_date_is_told_as_none() -> None:
    volume = a_volume()
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    volume.disk.write(volume.place.start + CATALOG_AT + 0x80 + 48, struct.pack("<Q", (1 << 64) - 1))
    disks = [seen("snap-c", volume.disk)]
    assert "created at an invalid date" in describe(disks, read_copies(disks))


def test_a_servers_name_cannot_steer_the_terminal() -> None:
    volume = a_volume()
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT, machine="\x1b[2J\u670d")
    disks = [seen("snap-c", volume.disk)]
    assert r"made on '\x1b[2J\u670d'" in describe(disks, read_copies(disks))


def test_an_efi_partition_is_not_taken_for_a_volume() -> None:
    disk = SparseDisk(20 * GIB)
    _, place = write_gpt(disk, [100 << 20, 0], [EFI_SYSTEM])
    (volume,) = volumes_of(disk, [place])
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    read = seen("snap-c", disk)
    assert [found.extent.start for found in read.volumes] == [place.start]


def test_the_command_shows_images_and_ends_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = a_server()
    paths = [saved(server.c.disk, tmp_path / "c.raw"), saved(server.d.disk, tmp_path / "d.raw")]
    assert main(paths) == 0
    shown = capsys.readouterr().out
    assert re.findall(r"shadow copy (\S+),", shown) == [str(an_id(name)) for name in ("old", "C", "D")]
    assert paths[0] in shown


def test_the_command_ends_with_1_if_something_was_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([saved(a_server().d.disk, tmp_path / "d.raw")]) == 1
    assert "NOT WHOLE" in capsys.readouterr().out


def test_the_command_ends_with_2_if_an_image_cannot_be_opened(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "nowhere.raw")])
    assert ended.value.code == 2
    assert "No such file" in capsys.readouterr().err


def test_the_command_needs_nothing_but_python(tmp_path: Path) -> None:
    image = saved(a_server().c.disk, tmp_path / "c.raw")
    # -S: no site packages.
    command = [sys.executable, "-S", "-m", "quiesce.disks", image]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert str(an_id("C")) in shown.stdout
