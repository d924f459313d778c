"""``make fuzz``: thousands of damaged disks, seeded. No input may raise an error or be read without end.
No failing read and no single flipped bit may turn a shadow copy that is there into an absent one.

    python -m tests.unit.disks.shadow_fuzz [INPUTS]
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from quiesce.disks.listing import describe
from quiesce.disks.raw import MAX_READ_BYTES
from quiesce.disks.search import Evidence, ExpectedCopy, examine
from quiesce.disks.shadow_copies import Disk, read_copies, read_disk
from sandbox.disks.sparse_disk import PAGE_BYTES, SparseDisk, write_extended, write_gpt, write_mbr
from tests.unit.disks.shadow_disks import CREATED_AT, GIB, Read, a_server, an_expected_copy, an_id, volumes_of

INPUTS = 50_000
SEED = 20260504
# MAX_READ_BYTES does not bound reads of 0 bytes; so many reads of one disk are a loop.
MAX_READS = 20_000
MARKED_DELETED = "it is marked as deleted: Windows would not show it"


@dataclass
class RecoveryPoint:
    """Whole disks, the shadow copies expected on them, and the places that the search reads: offsets and lengths."""

    disks: list[SparseDisk]
    expected: list[ExpectedCopy]
    touched: list[list[tuple[int, int]]] = field(init=False)

    def __post_init__(self) -> None:
        meters = [Meter(disk.read) for disk in self.disks]
        _examined(self, meters, [disk.size_bytes for disk in self.disks])
        self.touched = [meter.places for meter in meters]


@dataclass
class Damage:
    """A damaged recovery point, disk by disk: how it is read, and its size."""

    kind: str
    reads: list[Read]
    sizes: list[int]


def recovery_points() -> list[RecoveryPoint]:
    server = a_server()
    found = [RecoveryPoint([server.c.disk, server.d.disk], server.expected)]
    for write, sector_bytes in ((write_mbr, 512), (write_gpt, 4096), (_write_extended, 512)):
        disk = SparseDisk(6 * GIB, sector_bytes)
        first, second = volumes_of(disk, write(disk, [2 * GIB, 3 * GIB]))
        first.add_shadow_copy(an_id("C"), an_expected_copy("C").set_id, CREATED_AT)
        second.add_shadow_copy(an_id("D"), an_expected_copy("D").set_id, CREATED_AT, storage=first)
        expected = [an_expected_copy("C", disk="0"), an_expected_copy("D", disk="0", created_at=None)]
        found.append(RecoveryPoint([disk], expected))
    return found


def _write_extended(disk: SparseDisk, lengths: Sequence[int]) -> list:
    return write_extended(disk, lengths[0], lengths[1:])


def damaged(point: RecoveryPoint, chance: random.Random) -> Damage:
    """Damage one disk of a recovery point: most often some of its bytes, else its reads or its size."""
    kind = chance.choice(("bit", "bit", "bytes", "bytes", "zeros", "short", "fails", "ends"))
    reads: list[Read] = [disk.read for disk in point.disks]
    sizes = [disk.size_bytes for disk in point.disks]
    at = chance.randrange(len(reads))
    match kind:
        case "bit":
            reads[at] = patched(reads[at], {_spot(point, at, chance): flipped(chance.randrange(8))})
        case "bytes":
            reads[at] = patched(
                reads[at], {_spot(point, at, chance): _byte(chance) for _ in range(chance.choice((1, 2, 8, 64)))}
            )
        case "zeros":
            start, length = _spot(point, at, chance), chance.choice((8, 16, 128, 512, PAGE_BYTES))
            reads[at] = patched(reads[at], {start + n: lambda _: 0 for n in range(length)})
        case "short":
            reads[at] = shortened(reads[at], chance)
        case "fails":
            reads[at] = failing(reads[at], chance)
        case "ends":
            sizes[at] = chance.choice((0, 1, 511, 512, 4096, 1 << 20, chance.randrange(sizes[at])))
            reads[at] = cut(reads[at], sizes[at])
    return Damage(kind, reads, sizes)


def _spot(point: RecoveryPoint, disk: int, chance: random.Random) -> int:
    """Choose a byte that the search reads, most often where a structure begins."""
    start, length = chance.choice(point.touched[disk])
    return start + chance.randrange(min(length, chance.choice((64, 0x180, length))))


def flipped(bit: int) -> Callable[[int], int]:
    return lambda byte: byte ^ 1 << bit


def _byte(chance: random.Random) -> Callable[[int], int]:
    value = chance.choice((0, 0xFF, chance.randrange(256)))
    return lambda _: value


def patched(read: Read, patches: dict[int, Callable[[int], int]]) -> Read:
    def patched_read(offset: int, length: int) -> bytes:
        data = bytearray(read(offset, length))
        for at, change in patches.items():
            if offset <= at < offset + len(data):
                data[at - offset] = change(data[at - offset])
        return bytes(data)

    return patched_read


def shortened(read: Read, chance: random.Random) -> Read:
    return lambda offset, length: read(offset, length)[: None if chance.random() < 0.7 else chance.randrange(length)]


def cut(read: Read, size_bytes: int) -> Read:
    return lambda offset, length: read(offset, max(0, min(length, size_bytes - offset)))


def failing(read: Read, chance: random.Random) -> Read:
    def failing_read(offset: int, length: int) -> bytes:
        if chance.random() < 0.3:
            raise OSError("the block could not be read")
        return read(offset, length)

    return failing_read


@dataclass
class Meter:
    """Counts the reads of one disk, and fails where they have no end."""

    read: Read
    bytes_read: int = 0
    places: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        self.places.append((offset, length))
        assert self.bytes_read <= MAX_READ_BYTES
        assert len(self.places) <= MAX_READS
        return self.read(offset, length)


@dataclass
class Tally:
    """The verdicts and costs of the inputs so far."""

    verdicts: Counter[str] = field(default_factory=Counter)
    most_bytes: int = 0
    slowest_s: float = 0.0


def try_one(point: RecoveryPoint, chance: random.Random, tally: Tally) -> None:
    """Damage a recovery point, examine it, and check what must hold."""
    damage = damaged(point, chance)
    meters = [Meter(read) for read in damage.reads]
    started = time.perf_counter()
    evidence, disks = _examined(point, meters, damage.sizes)
    describe(disks, read_copies(disks))
    tally.slowest_s = max(tally.slowest_s, time.perf_counter() - started)
    tally.most_bytes = max([tally.most_bytes, *(meter.bytes_read for meter in meters)])
    for one in evidence:
        tally.verdicts[f"{damage.kind}: {one.verdict}"] += 1
        check(one, damage.kind)


def _examined(point: RecoveryPoint, meters: Sequence[Meter], sizes: Sequence[int]) -> tuple[list[Evidence], list[Disk]]:
    names = [one.disk or "" for one in point.expected][: len(meters)]
    disks = [read_disk(*parts) for parts in zip(names, meters, sizes, strict=True)]
    return examine(disks, point.expected), disks


def check(one: Evidence, kind: str) -> None:
    """A failing read causes doubt at most; one flipped bit never makes a shadow copy absent, unless by its mark."""
    if kind in ("short", "fails", "ends"):
        assert one.verdict in ("present", "not verifiable"), (kind, one)
    if kind == "bit":
        assert one.verdict != "absent" or one.reason == MARKED_DELETED, (kind, one)


def fuzz(inputs: int, seed: int = SEED) -> Tally:
    """Examine ``inputs`` damaged recovery points; input n is the same on every run."""
    points, tally = recovery_points(), Tally()
    for number in range(inputs):
        chance = random.Random(f"{seed} {number}")
        try:
            try_one(chance.choice(points), chance, tally)
        except BaseException as error:
            error.add_note(f"input {number} of seed {seed}")
            raise
    return tally


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else INPUTS
    result = fuzz(count)
    sys.stdout.write(
        f"{count} damaged recovery points, none raised; at most {result.most_bytes >> 10} KiB of a disk were read, "
        f"the slowest took {result.slowest_s * 1000:.0f} ms\n"
    )
    sys.stdout.writelines(f"  {verdict}: {times}\n" for verdict, times in sorted(result.verdicts.items()))
