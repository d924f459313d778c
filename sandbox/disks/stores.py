"""The stores of shadow copies: their lists, bitmaps and old data, as Windows' volsnap driver writes them."""

import struct
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple
from uuid import UUID

VOLSNAP = UUID("3808876b-c176-4e48-b7ae-04046e6cc752").bytes_le
BLOCK = 0x4000
HEAD = 0x80
SECTOR = 512
TYPE_LIST, TYPE_STORE, TYPE_RANGES, TYPE_BITMAP = 3, 4, 5, 6
FORWARDER, OVERLAY, UNUSED = 1, 2, 4
# A bit of the bitmap is one block of the volume.
BLOCKS_PER_BITMAP = (BLOCK - HEAD) * 8
ENTRIES_PER_LIST = (BLOCK - HEAD) // 32
# The room in a new store for old data, before the store has to grow.
STORE_DATA_BYTES = 0x10000
FILE_REFERENCE = 0x100000000002A

Write = Callable[[int, bytes], None]


@dataclass(frozen=True)
class BlockRanges(Collection[int]):
    """Blocks in few ranges, ascending, of which a large volume has millions."""

    ranges: Sequence[range]

    def __contains__(self, block: object) -> bool:
        """Return whether a block is in one of the ranges."""
        return any(block in each for each in self.ranges)

    def __iter__(self) -> Iterator[int]:
        """Yield each block."""
        return chain.from_iterable(self.ranges)

    def __len__(self) -> int:
        """Return how many blocks these are."""
        return sum(map(len, self.ranges))


class StoreShape(NamedTuple):
    """How a store is laid out.

    Attributes:
        data_bytes: the room for old data and further blocks of its list.
        entries_per_list: how many entries each block of its list holds; Windows fills the block.
        unprotected: the blocks of 16 KiB that Windows leaves alone, because they were free or of a file that it never
            copies.
        previous: the same of a second bitmap; what it protects is protected.
        flags: of its regular entries; Windows writes 0 or 0x88.
        forwarders: with which its list begins, each from a block to another one; no Windows was seen to write any.
    """

    data_bytes: int = STORE_DATA_BYTES
    entries_per_list: int = ENTRIES_PER_LIST
    unprotected: Collection[int] = frozenset()
    previous: Collection[int] | None = None
    flags: int = 0
    forwarders: Sequence[tuple[int, int]] = ()


@dataclass
class Store:
    """A store on the volume that holds it.

    Attributes:
        write: on that volume, without keeping what was there.
        copied: the blocks of the copied volume whose old data it has.
        overlays: for each block that was written in the shadow copy itself, where the data lies.
    """

    write: Write
    shape: StoreShape
    start: int
    free_at: int
    end: int
    list_at: int
    listed: int = 0
    copied: set[int] = field(default_factory=set)
    overlays: dict[int, int] = field(default_factory=dict)

    def protects(self, block: int) -> bool:
        """Return whether Windows still has to keep what is in a block before it overwrites it."""
        previous = self.shape.unprotected if self.shape.previous is None else self.shape.previous
        return block not in self.copied and not (block in self.shape.unprotected and block in previous)

    def copy(self, block: int, data: bytes) -> None:
        """Keep what is in a block; at the volume's end it may be shorter."""
        at = self._take(data)
        self.list_entry(block * BLOCK, at - self.start, at, self.shape.flags, 0)
        self.copied.add(block)

    def overlay(self, block: int, inside: int, data: bytes) -> None:
        """Keep whole sectors that were written in the shadow copy itself, from a byte of a block on."""
        relative = 1
        if block not in self.overlays:
            self.overlays[block] = self._take(b"")
            relative = self.overlays[block] - self.start
        self.write(self.overlays[block] + inside, data)
        sectors = ((1 << len(data) // SECTOR) - 1) << inside // SECTOR
        self.list_entry(block * BLOCK, relative, self.overlays[block], OVERLAY, sectors)

    def forward(self, block: int, to: int) -> None:
        """Say that what was in a block lies in another one of the copied volume: no Windows was seen to write this."""
        self.list_entry(block * BLOCK, to * BLOCK, 0, FORWARDER, 0)

    def list_entry(self, original: int, relative: int, data_at: int, flags: int, sectors: int) -> None:
        """Append an entry to the list, in a further block of it where the last one is full."""
        if self.listed == self.shape.entries_per_list:
            following = self._take(b"")
            self.write(following, volsnap_block(TYPE_LIST, following - self.start, following, 0))
            self.write(self.list_at + 40, struct.pack("<Q", following))
            self.list_at, self.listed = following, 0
        entry = struct.pack("<QQQII", original, relative, data_at, flags, sectors)
        self.write(self.list_at + HEAD + self.listed * len(entry), entry)
        self.listed += 1

    def _take(self, data: bytes) -> int:
        at = self.free_at
        if at + BLOCK > self.end:
            raise ValueError("the store is full")
        self.free_at += BLOCK
        self.write(at, data.ljust(BLOCK, b"\0"))
        return at


def store_bytes(copied_bytes: int, shape: StoreShape) -> int:
    """Return how much room a store of a volume of this size takes."""
    bitmaps = -(-copied_bytes // (BLOCK * BLOCKS_PER_BITMAP)) * (1 if shape.previous is None else 2)
    return (3 + bitmaps) * BLOCK + shape.data_bytes


def write_store(
    write: Write, start: int, copied_bytes: int, information: bytes, shape: StoreShape
) -> tuple[Store, Callable[[UUID], bytes]]:
    """Write an empty store for a volume of a size, and return it, and its entry in the catalog for an id."""
    block_list, ranges, bitmap = (start + number * BLOCK for number in (1, 2, 3))
    bitmap_bytes = -(-copied_bytes // (BLOCK * BLOCKS_PER_BITMAP)) * BLOCK
    previous = 0 if shape.previous is None else bitmap + bitmap_bytes
    data_at = bitmap + bitmap_bytes * (2 if previous else 1)
    end = data_at + shape.data_bytes
    write(start, volsnap_block(TYPE_STORE, 0, start, 0, information, size=len(information)))
    write(block_list, volsnap_block(TYPE_LIST, BLOCK, block_list, 0))
    free = struct.pack("<QQQ", data_at, data_at - start, shape.data_bytes)
    write(ranges, volsnap_block(TYPE_RANGES, 2 * BLOCK, ranges, 0, free))
    _write_bitmap(write, start, bitmap, bitmap_bytes, shape.unprotected)
    if shape.previous is not None:
        _write_bitmap(write, start, previous, bitmap_bytes, shape.previous)

    def entry(store_id: UUID) -> bytes:
        places = struct.pack("<QQQQQQ", start, ranges, bitmap, FILE_REFERENCE, end - start, previous)
        return (struct.pack("<QQ16s", 3, block_list, store_id.bytes_le) + places).ljust(HEAD, b"\0")

    store = Store(write, shape, start, data_at, end, block_list)
    for block, to in shape.forwarders:
        store.forward(block, to)
    return store, entry


def _write_bitmap(write: Write, start: int, at: int, length: int, blocks: Collection[int]) -> None:
    bits = bytearray(length)
    for run in blocks.ranges if isinstance(blocks, BlockRanges) else (range(block, block + 1) for block in blocks):
        # Whole bytes of a long range at once.
        first, after = -(-run.start // 8), run.stop // 8
        bits[first:after] = b"\xff" * max(0, after - first)
        for block in (*run[: first * 8 - run.start], *run[max(0, after * 8 - run.start) :]):
            bits[block // 8] |= 1 << block % 8
    for number, own in enumerate(range(at, at + length, BLOCK)):
        following = own + BLOCK if own + BLOCK < at + length else 0
        body = bits[number * (BLOCK - HEAD) : (number + 1) * (BLOCK - HEAD)]
        write(own, volsnap_block(TYPE_BITMAP, own - start, own, following, bytes(body)))


def volsnap_block(kind: int, relative: int, own: int, following: int, body: bytes = b"", *, size: int = 0) -> bytes:
    """Return one of volsnap's blocks of 16 KiB."""
    head = VOLSNAP + struct.pack("<IIQQQQ", 1, kind, relative, own, following, size)
    return head.ljust(HEAD, b"\0") + body.ljust(BLOCK - HEAD, b"\0")
