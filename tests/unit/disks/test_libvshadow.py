"""A reader of shadow copies that is not ours, on disks that the sandbox's volsnap wrote: both give the same bytes.

QUIESCE_LIBVSHADOW names a Python with libvshadow (``pip install libvshadow-python``); .ci/run makes one. It is under
the LGPL and no part of the project. Only storage on the volume itself: of another one's it reads the wrong store.

    QUIESCE_LIBVSHADOW=... PYTHONPATH=src python -m tests.unit.disks.test_libvshadow records its hashes anew
"""

import hashlib
import json
import os
import random
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sandbox.disks.stores import BLOCK, StoreShape
from tests.unit.disks.used_server import UsedServer

PYTHON = os.environ.get("QUIESCE_LIBVSHADOW")
SCRIPT = Path(__file__).parent / "libvshadow_views.py"
RECORDED = Path(__file__).parent / "libvshadow-views.json"
SEEDS = range(3)


def a_random_server(seed: int) -> UsedServer:
    chance = random.Random(seed)
    # It reads the blocks that the newest store does not protect as zeros: so none are unprotected.
    shape = StoreShape(0x180000, chance.choice((2, 3, 508)), flags=chance.choice((0, 0x88)))
    server = UsedServer(chance.randrange(1, 3000), 3, (0, chance.randrange(33)), d_on_c=False, shape=shape)
    for _ in range(6):
        server.copy(chance.randrange(2))
        for _ in range(8):
            place, at = chance.randrange(4), chance.randrange(1 << 20)
            server.write(chance.randrange(2), place, at, chance.randbytes(chance.randrange(1, 20_000)))
        for _ in range(3):
            place, at = chance.randrange(1, 4), chance.randrange(1 << 20)
            server.write_to_copy(chance.randrange(8), place, at, chance.randbytes(BLOCK))
    return server


def ours(server: UsedServer) -> dict[str, str]:
    views = {str(store_id): view for store_id, view in server.views()}
    return {store_id: hashlib.sha256(view.fetch(0, view.length)).hexdigest() for store_id, view in views.items()}


def theirs(server: UsedServer, folder: Path) -> dict[str, str]:
    server.disk.save(folder / "disk.raw")
    hashes: dict[str, str] = {}
    for volume in server.volumes:
        if volume.stores:
            command = [str(PYTHON), str(SCRIPT), str(folder / "disk.raw"), *map(str, volume.place)]
            hashes |= json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return hashes


@pytest.mark.parametrize("seed", SEEDS)
def test_each_shadow_copy_has_the_bytes_that_libvshadow_once_gave(seed: int) -> None:
    recorded = json.loads(RECORDED.read_text())[str(seed)]
    assert len(recorded) == 6
    assert ours(a_random_server(seed)) == recorded


@pytest.mark.skipif(not PYTHON, reason="QUIESCE_LIBVSHADOW names no Python with libvshadow")
@pytest.mark.parametrize("seed", SEEDS)
def test_libvshadow_gives_what_was_recorded_of_it(seed: int, tmp_path: Path) -> None:
    assert theirs(a_random_server(seed), tmp_path) == json.loads(RECORDED.read_text())[str(seed)]


if __name__ == "__main__":
    with TemporaryDirectory() as made:
        hashes = {seed: theirs(a_random_server(seed), Path(made)) for seed in SEEDS}
    RECORDED.write_text(json.dumps(hashes, indent=1) + "\n")
