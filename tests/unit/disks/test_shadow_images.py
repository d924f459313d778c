"""The parser on disks that Windows wrote. They contain Windows' boot code, so the project does not ship them.

QUIESCE_VSS_IMAGES names a folder with them: archives NAME.tar.xz, and expected.json, where each store has its id, the
shadow copy's id, its set's id, its time of creation, and its attributes.
"""

import json
import os
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from quiesce.disks import ntfs_state
from quiesce.disks import view as view_module
from quiesce.disks.__main__ import main
from quiesce.disks.buildable import Buildable, judge
from quiesce.disks.listing import is_complete
from quiesce.disks.ntfs import Ntfs
from quiesce.disks.search import ExpectedCopy, examine
from quiesce.disks.shadow_copies import Disk, ShadowCopy, Stores, read_copies, read_disk

NAMED = os.environ.get("QUIESCE_VSS_IMAGES")
FOLDER = Path(NAMED or "/nowhere")
GROUPS = json.loads((FOLDER / "expected.json").read_text())["groups"] if NAMED else []
EXPECTED_VIEWS: dict[str, Any] = json.loads((Path(__file__).parent / "expected-views.json").read_text())
VIEWS = [(name, known) for name, stores in EXPECTED_VIEWS.items() for known in stores]
# Its volume was in use when its shadow copies were made.
WITH_OVERLAYS = "plaso-vsstest.raw"
WITH_COPIES = "plaso-vsstest.raw", "dfir_ntfs-vss_3_volstor.raw"

pytestmark = pytest.mark.skipif(not NAMED, reason="QUIESCE_VSS_IMAGES names no folder with images that Windows wrote")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images, unpacked as sparse files."""
    folder = tmp_path_factory.mktemp("images")
    for archive in FOLDER.glob("*.tar.xz"):
        with tarfile.open(archive) as packed:
            packed.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.4 is the first that has it
            packed.extractall(folder)
    return folder


def opened(path: Path) -> Disk:
    def read(offset: int, length: int) -> bytes:
        with path.open("rb") as image:
            image.seek(offset)
            return image.read(length)

    return read_disk(path.name, read, path.stat().st_size)


def judged(path: Path, copy_id: str) -> Buildable:
    disk = opened(path)
    (copy,) = [copy for copy in read_copies([disk]) if copy.store and str(copy.store.copy_id) == copy_id]
    return judge(Stores([disk]), copy)


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


# Volumes as of their shadow copies. Two readers that are not ours gave the hashes: libvshadow, where storage is on the
# volume itself, and dfir_ntfs for all.


@pytest.mark.parametrize(("name", "known"), VIEWS, ids=[f"{name}-{known['order']}" for name, known in VIEWS])
def test_a_volume_of_windows_as_of_a_shadow_copy_is_what_other_readers_make_of_it(
    name: str, known: dict[str, Any], images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "view.raw"
    assert main([str(images / name), "--view", known["shadow_copy_id"], "--to", str(file)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["volume_at"], told["volume_bytes"]) == (known["volume_offset"], known["view_bytes"])
    assert told["sha256"] == known["view_sha256"]
    assert told["blocks_to_put"] == known["ebs_blocks_to_put"]
    assert len(told["blocks_to_put"]) <= told["at_most"]["written"]
    assert file.stat().st_size == known["view_bytes"]
    assert file.stat().st_blocks * 512 < 64 << 20


@pytest.mark.parametrize(("name", "known"), VIEWS, ids=[f"{name}-{known['order']}" for name, known in VIEWS])
def test_as_many_blocks_of_a_volume_of_windows_differ_as_other_readers_say(
    name: str, known: dict[str, Any], images: Path
) -> None:
    view = judged(images / name, known["shadow_copy_id"]).view
    assert view is not None
    blocks = [(number * 0x4000, min(0x4000, view.length - number * 0x4000)) for number, _ in view.old_blocks()]
    differ = [at for at, length in blocks if view.fetch(at, length) != view.volume.extent.fetch(at, length)]
    assert len(differ) == known["blocks_16k_that_differ"]


@pytest.mark.parametrize(("name", "known"), VIEWS, ids=[f"{name}-{known['order']}" for name, known in VIEWS])
def test_no_shadow_copy_of_windows_is_taken_for_one_of_some_files_only(
    name: str, known: dict[str, Any], images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judgement = judged(images / name, known["shadow_copy_id"])
    assert judgement.verdict == "buildable"
    assert judgement.view is not None
    # Without the files that Windows never copies, it would be: VSS's own files lie in unprotected blocks.
    monkeypatch.setattr(ntfs_state, "_exempt", lambda _: [])
    assert ntfs_state.find_unprotected(judgement.view, Ntfs(judgement.view)) is not None


@pytest.mark.parametrize("order", [0, 1])
def test_without_its_overlays_the_log_of_a_shadow_copy_of_windows_is_not_clean(
    order: int, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = dict(enumerate(known for name, known in VIEWS if name == WITH_OVERLAYS))[order]
    everything = view_module.read_block_list
    monkeypatch.setattr(
        view_module, "read_block_list", lambda *of: (old for old in everything(*of) if not old.is_overlay)
    )
    judgement = judged(images / WITH_OVERLAYS, known["shadow_copy_id"])
    assert judgement.verdict == "not buildable"
    assert "log of NTFS is not clean" in judgement.reason
