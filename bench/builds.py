"""Measure what it takes to build a volume as of its shadow copy: calls of the EBS direct APIs, and processor time.

docs/operate/performance.md shows the results.

PYTHONPATH=src python -m bench.builds
"""

import base64
import gc
import hashlib
import random
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import wraps
from io import BytesIO
from threading import Lock
from types import SimpleNamespace
from typing import Any

from quiesce.clock import Clock
from quiesce.disks.buildable import judge
from quiesce.disks.buildable import looked as found_blocks
from quiesce.disks.child import Child, sources
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.disks.shadow_copies import Stores, read_copies, read_disk
from quiesce.executions import Execution
from quiesce.revert.look import SIDE_BY_SIDE, split
from quiesce.revert.price import estimate
from quiesce.revert.request import RawSnapshot, RevertRequest, WantedCopy
from quiesce.revert.state import RevertInput, RevertState
from quiesce.steps.revert.children import Children
from quiesce.steps.revert.look import look_into
from quiesce.steps.revert.parts import Parts
from sandbox.disks.ntfs_volume import NtfsVolume, mounted
from sandbox.disks.sparse_disk import SparseDisk
from sandbox.disks.stores import BLOCK, VOLSNAP
from sandbox.snapshot_disks import new_volume
from tests.unit.disks.huge_volume import HugeVolume
from tests.unit.disks.shadow_disks import CREATED_AT, SET_ID, an_id

CHILD = "snap-0c0ffee"
GIB, MIB = 1 << 30, 1 << 20
LIST = 3
# Far from the structures of NTFS and volsnap.
FILES_AT = 4 * GIB


@dataclass
class Case:
    """A recovery point with one shadow copy that is to be built."""

    name: str
    volumes: list[NtfsVolume]

    @property
    def copied(self) -> NtfsVolume:
        """The volume that is built; another one may hold the storage."""
        return self.volumes[0]


def a_case(name: str, offsets: list[int], *, size_gib: int = 30, elsewhere: bool = False) -> Case:
    """Return a volume on which a program wrote to these places after the shadow copy was made, in their order."""
    volume = new_volume("C", size_gib, of_windows=True)
    storage = new_volume("D", size_gib) if elsewhere else volume
    volume.store_data_bytes = (len(offsets) * 2 + 1024) * BLOCK
    volume.use(*{(FILES_AT + at // MIB * MIB, MIB) for at in offsets})
    # What is there is random, and no block of it is empty.
    chance = random.Random(name)
    for at in offsets:
        volume.volume.write(FILES_AT + at, chance.randbytes(64) * 8)
    storage.make_room(volume, an_id(name))
    volume.add_shadow_copy(an_id(name), SET_ID, CREATED_AT, storage=storage)
    for at in offsets:
        volume.volume.write(FILES_AT + at, chance.randbytes(512))
    return Case(name, [volume, storage] if elsewhere else [volume])


def cases() -> Iterator[Case]:
    """Yield each case."""
    in_a_row = [number * BLOCK for number in range(300 * 32)]
    yield a_case("150 MiB in a row", in_a_row)
    scattered = [number * 3 * BLOCK_BYTES for number in range(2000)]
    yield a_case("2,000 places, in their order", scattered)
    random.Random(1).shuffle(scattered)
    yield a_case("2,000 places, in any order", scattered)
    yield a_case("the same, storage on another volume", scattered, elsewhere=True)
    few = [number * 3 * BLOCK_BYTES for number in range(20)]
    yield a_case("20 places", few)


def _apart(call: Callable[..., Any]) -> Callable[..., Any]:
    """Count a call, and keep its processor time apart: it is EBS's."""

    @wraps(call)
    def counted(self: "Ebs", **given: Any) -> Any:
        started = time.thread_time()
        answer = call(self, **given)
        with self.lock:
            self.calls["".join(part.title() for part in call.__name__.split("_"))] += 1
            self.own_s += time.thread_time() - started
        return answer

    return counted


@dataclass
class Ebs:
    """boto3's calls without botocore and the network."""

    disks: dict[str, SparseDisk]
    calls: Counter[str] = field(default_factory=Counter)
    own_s: float = 0.0
    put: dict[str, dict[int, str]] = field(default_factory=dict)
    lock: Any = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.written = {name: disk.written_blocks(BLOCK_BYTES) for name, disk in self.disks.items()}

    @_apart
    def list_snapshot_blocks(self, **given: Any) -> Any:
        """Return a page of the blocks of a raw snapshot that were ever written."""
        written, most = self.written[given["SnapshotId"]], given["MaxResults"]
        start = int(given.get("NextToken", given.get("StartingBlockIndex", 0)))
        at = bisect_left(written, start)
        return self._page("Blocks", "BlockToken", written[at : at + most + 1], most)

    @_apart
    def list_changed_blocks(self, **given: Any) -> Any:
        """Return a page of the blocks that were put."""
        start, most = int(given.get("NextToken", given.get("StartingBlockIndex", 0))), given["MaxResults"]
        changed = [index for index in sorted(self.put[given["SecondSnapshotId"]]) if index >= start]
        return self._page("ChangedBlocks", "SecondBlockToken", changed[: most + 1], most)

    @_apart
    def get_snapshot_block(self, **given: Any) -> Any:
        """Return a block with its checksum."""
        data = self.disks[given["SnapshotId"]].read(given["BlockIndex"] * BLOCK_BYTES, BLOCK_BYTES)
        return {"BlockData": BytesIO(data), "Checksum": _checksum(data), "ChecksumAlgorithm": "SHA256"}

    @_apart
    def put_snapshot_block(self, **given: Any) -> Any:
        """Keep a block."""
        self.disks[given["SnapshotId"]].write(given["BlockIndex"] * BLOCK_BYTES, given["BlockData"])
        self.put[given["SnapshotId"]][given["BlockIndex"]] = given["Checksum"]
        return {}

    @_apart
    def start_snapshot(self, **given: Any) -> Any:
        """Begin a child with the blocks of its parent."""
        child_id = given["ParentSnapshotId"].replace("snap-0000000", CHILD)
        self.disks[child_id], self.put[child_id] = self.disks[given["ParentSnapshotId"]].copy(), {}
        return {"SnapshotId": child_id}

    @_apart
    def complete_snapshot(self, **given: Any) -> Any:
        """Check that all blocks were counted."""
        assert given["ChangedBlocksCount"] == len(self.put[given["SnapshotId"]])
        return {"Status": "completed"}

    def _page(self, blocks: str, token: str, indexes: list[int], most: int) -> dict[str, Any]:
        following = {"NextToken": str(indexes[most])} if indexes[most:] else {}
        listed = [{"BlockIndex": index, token: str(index)} for index in indexes[:most]]
        size = self.disks[next(iter(self.disks))].size_bytes >> 30
        return {blocks: listed, "VolumeSize": size, "BlockSize": BLOCK_BYTES, **following}


class Ec2:
    """EC2 as far as a build asks it."""

    meta = SimpleNamespace(region_name="eu-central-1")

    def __init__(self, ids: list[str]) -> None:
        known = {"State": "completed", "Encrypted": True, "StartTime": datetime(2026, 1, 1, tzinfo=UTC), "Tags": []}
        self.known = [{**known, "SnapshotId": each, "VolumeId": each, "VolumeSize": 30} for each in ids]

    def get_paginator(self, _name: str) -> Any:
        """Return the pages of DescribeSnapshots, the only ones that are asked for."""
        return self

    def paginate(self, **given: Any) -> Any:
        """Return the snapshots that have one of the ids, and none where tags are asked for."""
        wanted = given["Filters"][0]
        ids = wanted["Values"] if wanted["Name"] == "snapshot-id" else []
        found = [each for each in self.known if each["SnapshotId"] in ids]
        return [{"Snapshots": found}]


class InMemory(dict[str, str]):
    """The bucket."""

    def read_json(self, key: str) -> str | None:
        """Return a text, None if there is none."""
        return self.get(key)

    def keep_json(self, key: str, text: str) -> bool:
        """Keep a text if there is none, and return whether there was none."""
        return self.setdefault(key, text) is text


@dataclass
class Measured:
    """What a build took; processor time in that of hashing each changed block as it was and as it became.

    Attributes:
        build: from Start until Complete.
        whole: with Look, and with what is read back.
    """

    changed: int
    calls: int
    needed: int
    build: float
    whole: float


def build(case: Case) -> Measured:
    """Build a volume as the revert machine does, and compare it with what Windows held."""
    disks = {f"snap-{number:017x}": volume.volume.disk for number, volume in enumerate(case.volumes)}
    ebs, ec2 = Ebs(disks), Ec2([*disks])
    needed, sizes = _needed(case), [disk.size_bytes >> 30 for disk in disks.values()]
    request = RevertRequest(
        built_for="bench",
        instance_id="i-0123456789abcdef0",
        set_id=str(SET_ID),
        snapshots=[
            RawSnapshot(snapshot_id=name, volume_id=name.replace("snap", "vol"), device="/dev/sda1", size_gib=size)
            for name, size in zip(disks, sizes, strict=True)
        ],
        copies=[WantedCopy(shadow_id=str(an_id(case.name)), path="C:")],
    )
    # What the bench itself has made is not the product's to collect.
    gc.collect(), gc.freeze()
    build_s, whole_s = _build(ec2, ebs, request)
    child_id, *_ = ebs.put
    held, made = case.copied.volume.held[next(iter(case.copied.copies))], ebs.disks[child_id]
    assert mounted(made).files == case.copied.files
    files_at = case.copied.volume.place.start + FILES_AT
    for at in (index * BLOCK_BYTES for index in ebs.put[child_id] if index * BLOCK_BYTES >= files_at):
        assert made.read(at, BLOCK_BYTES) == held.read(at, BLOCK_BYTES)
    changed = sum(map(len, ebs.put.values()))
    needed += 3 * changed + _lists(ebs) + 2 * len(ebs.put)
    hash_s = _hash_s(ebs)
    return Measured(changed, sum(ebs.calls.values()), needed, build_s / hash_s, whole_s / hash_s)


def _build(ec2: Any, ebs: Ebs, request: RevertRequest) -> tuple[float, float]:
    def spent_s() -> float:
        return time.process_time() - ebs.own_s

    client: Any = ebs
    began_s = spent_s()
    looked = look_into(ec2, client, request, lambda: 900_000)
    assert not looked.refusals, looked.refusals
    looked_s = spent_s()
    clock = Clock(sleep=lambda _: None)
    bucket: Any = InMemory()
    state = RevertState(
        step="look",
        execution=Execution(id="arn", name="bench", started_at=datetime.now(UTC)),
        input=RevertInput(request=request, looked=looked),
    )

    def children() -> Children:
        return Children(ec2, ec2, client, bucket, "quiesce", clock, state)

    def parts() -> Parts:
        return Parts(ec2, client, bucket, state, lambda: 900_000, 1)

    state = state.model_copy(update={"start": children().start()})
    raw, made = ec2.known, Ec2(state.needed_start.child_ids).known
    ec2.known = [*raw, *({**child, "State": "pending"} for child in made)]
    for part in state.needed_start.parts:
        assert parts().build(part).done
    state = state.model_copy(update={"complete": children().complete()})
    built_s = spent_s()
    ec2.known = [*raw, *made]
    for part in state.needed_start.parts:
        assert parts().check(part).done
    return built_s - looked_s, spent_s() - began_s


def _needed(case: Case) -> int:
    """Return how many blocks of 512 KiB have what a build reads before any block of the volume."""
    found: set[tuple[int, int]] = set()
    for number, volume in enumerate(case.volumes):
        start = volume.volume.place.start
        ntfs = volume.ntfs.places()
        offsets = [0, start, *(start + ntfs[name][0] for name in ("mft", "log", "root"))]
        bitmap_at, bitmap_bytes = ntfs["bitmap"]
        offsets += range(start + bitmap_at, start + bitmap_at + bitmap_bytes, BLOCK)
        for page, data in volume.volume.disk.pages().items():
            if data.startswith(VOLSNAP):
                offsets.append(page)
                offsets += _old_data(volume, data)
        found |= {(number, at // BLOCK_BYTES) for at in offsets}
    return len(found)


def _old_data(volume: NtfsVolume, block: bytes) -> Iterator[int]:
    if block[20] == LIST:
        for at in range(128, BLOCK - 31, 32):
            data_at = int.from_bytes(block[at + 16 : at + 24], "little")
            if any(block[at : at + 32]):
                yield volume.volume.place.start + data_at


def _lists(ebs: Ebs) -> int:
    """Return how many pages of 1,000 tokens there are of all snapshots and of the changes."""
    return sum(-(-len(blocks) // 1000) for blocks in (*ebs.written.values(), *ebs.put.values()))


def plan_scattered() -> str:
    """Plan, without data, 3 GiB of changes in any order all over 2 TiB, and return a row."""
    huge = HugeVolume(3 * GIB // BLOCK, 2 << 40)
    disks = [read_disk("huge", huge.read, huge.size_bytes)]
    [copy] = read_copies(disks)
    found = judge(Stores(disks), copy)
    assert found.view, found.reason
    child, looked = Child([found.view]), len(found_blocks([found.view]))
    parts = split(child, huge.size_bytes)
    changed = sum(part.blocks for part in parts)
    old = sum(len(sources(batch)) for part in parts for batch in child.batches(part.first, part.after))
    once = len(sources(child.candidates()))
    # Every block of such a disk was written once: pages of 1,000 tokens, of the changes, too.
    lists = huge.size_bytes // BLOCK_BYTES // 1000 + once // 1000 * len(parts) + changed // 1000
    needed, calls = looked + once + 3 * changed + lists, looked * 2 + old + 3 * changed + lists
    told = estimate(looked + old + changed, changed, side_by_side=min(SIDE_BY_SIDE, len(parts))).words
    figures = f"{changed:,} | {needed:,} | {calls:,} | {calls / needed:.2f} | | |"
    return f"| 3 GiB in any order on 2 TiB, planned only | {figures}\n\n{len(parts)} parts; {told}.\n"


def _checksum(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _hash_s(ebs: Ebs) -> float:
    """Return how long it takes to hash each changed block as it was and as it became."""
    took_s = 0.0
    for child_id, put in ebs.put.items():
        for index in put:
            for disk in (ebs.disks[child_id.replace(CHILD, "snap-0000000")], ebs.disks[child_id]):
                data = disk.read(index * BLOCK_BYTES, BLOCK_BYTES)
                started = time.thread_time()
                hashlib.sha256(data).digest()
                took_s += time.thread_time() - started
    return took_s


if __name__ == "__main__":
    sys.stdout.write("| Written since then | Blocks changed | Calls needed | Calls | Ratio | CPU: build | whole |\n")
    sys.stdout.write("|---|---|---|---|---|---|---|\n")
    for each in cases():
        took = build(each)
        sent = f"{took.needed:,} | {took.calls:,} | {took.calls / took.needed:.2f}"
        sys.stdout.write(f"| {each.name} | {took.changed:,} | {sent} | {took.build:.1f} | {took.whole:.1f} |\n")
    sys.stdout.write(plan_scattered())
