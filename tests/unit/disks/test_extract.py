"""``python -m quiesce.disks IMAGE --view SHADOW-COPY-ID --to FILE``."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from quiesce.disks.__main__ import main
from quiesce.disks.child import Child
from quiesce.disks.raw import BLOCK_BYTES, NotRead
from quiesce.disks.view import View
from sandbox.disks.sparse_disk import SparseDisk
from tests.unit.disks.ntfs_disks import FILE, MIB, NtfsDisk, an_ntfs_disk, judged
from tests.unit.disks.shadow_disks import CREATED_AT, an_id
from tests.unit.disks.used_server import built


def a_changed_disk() -> tuple[NtfsDisk, SparseDisk]:
    """A disk that was written after its shadow copy, and the disk as it was."""
    disk = an_ntfs_disk()
    disk.volume.write(FILE[0], b"old")
    disk.store_id = disk.volume.add_shadow_copy(an_id("C2"), an_id("set"), CREATED_AT)
    disk.volume.write_to_copy(disk.store_id, disk.files.places()["log"][0], disk.files.log(clean=True))
    held = disk.disk.copy()
    disk.volume.write(FILE[0], b"new")
    return disk, held


def asked(disk: NtfsDisk, folder: Path, name: str = "C2") -> list[str]:
    image = folder / "disk.raw"
    disk.disk.save(image)
    return [str(image), "--view", str(an_id(name)), "--to", str(folder / "view.raw")]


def test_the_file_is_the_volume_as_of_the_shadow_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk, held = a_changed_disk()
    assert main(asked(disk, tmp_path)) == 0
    told = json.loads(capsys.readouterr().out)
    data = (tmp_path / "view.raw").read_bytes()
    assert len(data) == told["volume_bytes"] == disk.volume.place.length
    assert data[FILE[0] : FILE[0] + FILE[1]] == held.read(disk.volume.place.start + FILE[0], FILE[1])
    assert hashlib.sha256(data).hexdigest() == told["sha256"]
    assert (tmp_path / "view.raw").stat().st_blocks * 512 < 16 * MIB


def test_it_says_which_blocks_of_the_disk_a_child_would_put_and_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk, _ = a_changed_disk()
    main(asked(disk, tmp_path))
    told = json.loads(capsys.readouterr().out)
    view = judged(disk.read(), an_id("C2")).view
    assert view is not None
    _, put = built(disk.disk, Child([view]))
    assert told["blocks_to_put"] == put
    assert len(put) <= told["at_most"]["written"]
    image = str(tmp_path / "disk.raw")
    assert told["disk"] == image
    assert set(put) <= set(told["blocks_to_read"][image])
    assert (disk.volume.place.start + FILE[0]) // BLOCK_BYTES in put
    assert (told["buildable"], told["volume_at"]) == ("buildable", disk.volume.place.start)


def test_the_place_that_it_names_is_where_a_child_forgets_the_catalog(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk, _ = a_changed_disk()
    main(asked(disk, tmp_path))
    at = json.loads(capsys.readouterr().out)["catalog_offset_at"]
    data = (tmp_path / "view.raw").read_bytes()
    assert int.from_bytes(data[at : at + 8], "little") == disk.volume.catalog_at


def test_a_volume_that_must_not_be_built_is_written_all_the_same_and_the_command_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(asked(an_ntfs_disk(replayed=False), tmp_path, "C")) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["buildable"], told["at_most"]) == ("not buildable", None)
    assert "log of NTFS is not clean" in told["reason"]
    assert (tmp_path / "view.raw").exists()


def test_a_copy_that_can_not_be_read_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk, _ = a_changed_disk()
    disk.volume.mark_deleted(disk.store_id)
    assert main(asked(disk, tmp_path)) == 1
    assert "can't be read as of this shadow copy: the shadow copy is marked as deleted" in capsys.readouterr().err
    assert not (tmp_path / "view.raw").exists()


def test_an_unknown_id_names_those_that_are_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk, _ = a_changed_disk()
    assert main(asked(disk, tmp_path, "another")) == 1
    told = capsys.readouterr()
    assert f"there are: {an_id('C')}, {an_id('C2')}" in told.err
    assert not told.out


def test_a_part_of_a_disk_leaves_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk, _ = a_changed_disk()
    arguments = asked(disk, tmp_path)
    with Path(arguments[0]).open("r+b") as image:
        image.truncate(disk.volume.place.start + disk.volume.place.length - MIB)
    assert main(arguments) == 1
    assert "goes on behind the end of its disk" in capsys.readouterr().err
    assert not (tmp_path / "view.raw").exists()


def test_a_block_that_fails_on_the_way_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disk, _ = a_changed_disk()
    fetch = View.fetch

    def failing(view: View, offset: int, length: int) -> bytes:
        if offset > 50 * MIB:
            assert (tmp_path / "view.raw").exists()
            raise NotRead("a bad sector")
        return fetch(view, offset, length)

    monkeypatch.setattr(View, "fetch", failing)
    assert main(asked(disk, tmp_path)) == 1
    assert "could not be read: a bad sector" in capsys.readouterr().err
    assert not (tmp_path / "view.raw").exists()


@pytest.mark.parametrize("there", ["view.raw", "disk.raw"])
def test_a_file_that_is_there_is_left_alone(there: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disk, _ = a_changed_disk()
    arguments = asked(disk, tmp_path)
    arguments[-1] = str(tmp_path / there)
    (tmp_path / "view.raw").write_bytes(b"mine")
    before = (tmp_path / there).read_bytes()
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "File exists" in capsys.readouterr().err
    assert (tmp_path / there).read_bytes() == before


@pytest.mark.parametrize("part", [["--view", str(an_id("C"))], ["--to", "view.raw"]])
def test_one_of_the_two_options_alone_is_refused(part: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["disk.raw", *part])
    assert ended.value.code == 2
    assert "--view and --to belong together" in capsys.readouterr().err


def test_the_view_needs_nothing_but_python(tmp_path: Path) -> None:
    disk, _ = a_changed_disk()
    # -S: no site packages.
    command = [sys.executable, "-S", "-m", "quiesce.disks", *asked(disk, tmp_path)]
    environment = {"PYTHONPATH": str(Path(__file__).parents[3] / "src")}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)["buildable"] == "buildable"
