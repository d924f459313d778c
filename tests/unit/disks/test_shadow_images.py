"""The parser on disks that Windows wrote. They contain Windows' boot code, so the project does not ship them.

QUIESCE_VSS_IMAGES names a folder with them: archives NAME.tar.xz, and expected.json, where each store has its id, the
shadow copy's id, its set's id, its time of creation, and its attributes.
"""

import json
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from quiesce.disks.__main__ import main
from quiesce.disks.listing import is_complete
from quiesce.disks.search import ExpectedCopy, examine
from quiesce.disks.shadow_copies import Disk, ShadowCopy, read_copies, read_disk

NAMED = os.environ.get("QUIESCE_VSS_IMAGES")
FOLDER = Path(NAMED or "/nowhere")
GROUPS = json.loads((FOLDER / "expected.json").read_text())["groups"] if NAMED else []
WITH_COPIES = "plaso-vsstest.raw", "dfir_ntfs-vss_3_volstor.raw"

pytestmark = pytest.mark.skipif(not NAMED, reason="QUIESCE_VSS_IMAGES names no folder with images that Windows wrote")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images, unpacked as sparse files."""
    folder = tmp_path_factory.mktemp("images")
    for archive in FOLDER.glob("*.tar.xz"):
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
    return folder


def opened(path: Path) -> Disk:
    def read(offset: int, length: int) -> bytes:
        with path.open("rb") as image:
            image.seek(offset)
            return image.read(length)

    return read_disk(path.name, read, path.stat().st_size)


def expected_stores(group: list[str]) -> list[list[str | int]]:
    known = json.loads((FOLDER / "expected.json").read_text())["images"]
    return sorted(store for name in group for store in known[name]["stores"])


def as_expected(copy: ShadowCopy) -> list[str | int]:
    assert copy.store is not None
    seconds, parts = divmod(copy.entry.filetime, 10_000_000)
    created = datetime.fromtimestamp(seconds - 11_644_473_600, UTC)
    time = f"{created:%Y-%m-%dT%H:%M:%S}.{parts:07d}Z"
    return [str(copy.entry.store_id), str(copy.store.copy_id), str(copy.store.set_id), time, copy.store.attributes]


@pytest.mark.parametrize("group", GROUPS, ids="+".join)
def test_every_copy_on_a_disk_of_windows_is_found_and_no_other(group: list[str], images: Path) -> None:
    disks = [opened(images / name) for name in group]
    copies = read_copies(disks)
    assert is_complete(disks, copies)
    assert sorted(as_expected(copy) for copy in copies) == expected_stores(group)


@pytest.mark.parametrize("group", GROUPS, ids="+".join)
def test_every_copy_on_a_disk_of_windows_is_present_and_one_of_another_id_absent(
    group: list[str], images: Path
) -> None:
    stores = expected_stores(group)
    known = [ExpectedCopy(UUID(str(copy_id)), UUID(str(set_id))) for _, copy_id, set_id, _, _ in stores]
    unknown = ExpectedCopy(UUID(int=1), UUID(int=2))
    verdicts = [one.verdict for one in examine([opened(images / name) for name in group], [*known, unknown])]
    assert verdicts == ["present"] * len(stores) + ["absent"]


@pytest.mark.parametrize("name", WITH_COPIES)
def test_a_disk_of_windows_takes_seven_blocks_at_most(name: str, images: Path) -> None:
    disk = opened(images / name)
    assert len(read_copies([disk])) == 2
    assert len(disk.blocks_read) <= 7


def test_the_command_shows_a_disk_of_windows(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(images / WITH_COPIES[1])]) == 0
    shown = capsys.readouterr().out
    assert "NO writers involved, made on 'WIN-BJQQCVN4IUD'" in shown
    assert "storage on another volume" in shown
