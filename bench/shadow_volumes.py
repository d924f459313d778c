"""Measure the cost of a search for shadow copies through the EBS direct APIs: blocks, calls and processor time.

docs/operate/performance.md shows the results.

PYTHONPATH=src python -m bench.shadow_volumes
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import BytesIO
from types import SimpleNamespace
from typing import Any

from quiesce.aws.snapshot_blocks import MAX_CALLS, Allowance, SnapshotBlocks
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.disks.search import ExpectedCopy, examine
from quiesce.disks.shadow_copies import read_disk
from sandbox.aws.direct_apis import DirectApis
from sandbox.disks.shadow_structures import SimulatedVolume
from sandbox.disks.sparse_disk import SparseDisk, write_extended
from tests.unit.disks.shadow_disks import (
    CREATED_AT,
    GIB,
    SET_ID,
    a_server,
    a_volume,
    an_expected_copy,
    an_id,
    volumes_of,
)

ROUNDS = 50
SNAPSHOT = "snap-0123456789abcdef0"
Case = tuple[str, int, list[SparseDisk], list[ExpectedCopy]]


def cases() -> Iterator[Case]:
    """Yield each case: its name, number of volumes, disks, and the shadow copies expected on them."""
    one = [an_expected_copy("C")]
    yield "one volume of 30 GiB, one shadow copy, storage on itself", 1, [_copied(a_volume()).disk], one
    across = a_volume()
    across.next_store_at = 64 * BLOCK_BYTES - 2 * 0x4000
    yield "the same, its store across two blocks", 1, [_copied(across).disk], one
    many = a_volume()
    for number in range(511):
        many.add_shadow_copy(an_id(f"{number}"), SET_ID, CREATED_AT - timedelta(hours=600 - number))
    yield "the same with 511 older shadow copies", 1, [_copied(many).disk], one
    large = a_volume(size_bytes=5 << 40)
    large.next_store_at = 4 << 40
    yield "one volume of 5 TiB, its store at 4 TiB", 1, [_copied(large).disk], one
    server = a_server()
    disks = [server.c.disk, server.d.disk]
    yield "30 GiB and 2 TiB, the second's storage on the first", 2, disks, [*one, an_expected_copy("D")]
    mbr = SparseDisk(20 * GIB)
    volumes = volumes_of(mbr, write_extended(mbr, 4 * GIB, [GIB, 2 * GIB]))
    expected = [an_expected_copy(f"{number}") for number in range(len(volumes))]
    for volume, copy in zip(volumes, expected, strict=True):
        volume.add_shadow_copy(copy.copy_id, SET_ID, CREATED_AT)
    yield "three volumes of one MBR disk, two of them logical", 3, [mbr], expected


def _copied(volume: SimulatedVolume) -> SimulatedVolume:
    volume.add_shadow_copy(an_id("C"), SET_ID, CREATED_AT)
    return volume


def _measure(work: Callable[[], object]) -> float:
    """Return the processor time of one round, in milliseconds."""
    started = time.process_time()
    for _ in range(ROUNDS):
        work()
    return (time.process_time() - started) * 1000 / ROUNDS


class _Client:
    """boto3's two calls without botocore and the network, to measure reading without sending."""

    def __init__(self, disk: SparseDisk) -> None:
        snapshot = SimpleNamespace(status="completed", storage_tier="standard")
        self._apis = DirectApis(lambda _: snapshot, lambda _: disk, time.time)

    def list_snapshot_blocks(self, **given: Any) -> Any:
        names = {"NextToken": "pageToken", "MaxResults": "maxResults", "StartingBlockIndex": "startingBlockIndex"}
        query = {names[name]: str(value) for name, value in given.items() if name in names}
        return json.loads(self._apis.answer("GET", f"/snapshots/{SNAPSHOT}/blocks", query)[2])

    def get_snapshot_block(self, **given: Any) -> Any:
        path, query = f"/snapshots/{SNAPSHOT}/blocks/{given['BlockIndex']}", {"blockToken": given["BlockToken"]}
        _, headers, data = self._apis.answer("GET", path, query)
        sums = {"Checksum": headers["x-amz-Checksum"], "ChecksumAlgorithm": headers["x-amz-Checksum-Algorithm"]}
        return {**sums, "BlockData": BytesIO(data)}


def _row(case: Case) -> str:
    name, volumes, disks, expected = case

    clients: list[Any] = [_Client(disk) for disk in disks]

    def search() -> tuple[int, int]:
        allowance = Allowance(lambda: 180_000)
        snapshots = [SnapshotBlocks(client, SNAPSHOT, allowance) for client in clients]
        opened = [read_disk(str(number), each.read, each.size_bytes) for number, each in enumerate(snapshots)]
        evidence = examine(opened, expected)
        assert [one.verdict for one in evidence] == ["present"] * len(expected)
        return sum(each.fetched for each in snapshots), MAX_CALLS - allowance.calls

    blocks, calls = search()
    return f"| {name} | {volumes} | {blocks} | {calls} | {_measure(search):.1f} |\n"


if __name__ == "__main__":
    sys.stdout.write("| Recovery point | Volumes | Blocks | Calls | CPU, ms |\n|---|---|---|---|---|\n")
    sys.stdout.writelines(_row(case) for case in cases())
