"""What a store says of its shadow copy's blocks: where the old data of some lies, and which it does not protect.

Both are read as a stream, because a volume of 64 TiB has a bitmap of 512 MiB.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from quiesce.disks.raw import Extent, Malformed, NotBuildable
from quiesce.disks.volsnap import BLOCK_BYTES, BODY_OFFSET, RecordType, StorageEntry, read_block

SECTOR_BYTES = 512
SECTORS = BLOCK_BYTES // SECTOR_BYTES
ALL_SECTORS = (1 << SECTORS) - 1
# How many blocks of a volume one block of a bitmap stands for.
BITMAP_SPAN = (BLOCK_BYTES - BODY_OFFSET) * 8
# 31 GiB of old data in full blocks of a list, and twice what a view keeps in memory.
MAX_LIST_BLOCKS = 8192
_ENTRY = struct.Struct("<QQQII")
FORWARDER, OVERLAY, UNUSED = 0x1, 0x2, 0x4


class OldBlock(NamedTuple):
    """Where old data of one block of 16 KiB lies.

    Attributes:
        number: of the block, on the volume that was copied.
        offset: of the data, in bytes, on the volume that holds the storage.
        sectors: which of the block's 32 sectors the data is for; bit 0 is the first.
        is_overlay: whether it was written to the shadow copy itself: it is of no use to any other.
    """

    number: int
    offset: int
    sectors: int
    is_overlay: bool


def check_store_blocks(volume: Extent, entry: StorageEntry) -> None:
    """Check that the lists of a store begin where its entry points.

    Raises:
        NotSupported: the version of one is unknown.
        Malformed: one is not there.
        NotRead: one could not be read.
    """
    read_block(volume, entry.block_list_offset, RecordType.BLOCK_LIST, BODY_OFFSET)
    read_block(volume, entry.range_list_offset, RecordType.RANGE_LIST, BODY_OFFSET)
    read_block(volume, entry.bitmap_offset, RecordType.BITMAP, BODY_OFFSET)


def read_block_list(volume: Extent, entry: StorageEntry, copied_bytes: int) -> Iterator[OldBlock]:
    """Yield where old data lies, in the order in which the server wrote it: of regular entries, the later one counts.

    Args:
        volume: the one that holds the storage.
        entry: of the store.
        copied_bytes: the size of the volume that was copied.

    Raises:
        NotBuildable: an entry is a forwarder. No disk of Windows with one is known, and readers disagree on them.
        Malformed: an entry points outside of its volume, or the chain of the list's blocks has no end.
        NotSupported, NotRead: as for each of volsnap's blocks.
    """
    for block in _chained(volume, entry.block_list_offset, RecordType.BLOCK_LIST, MAX_LIST_BLOCKS):
        for original, relative, data, flags, sectors in _ENTRY.iter_unpack(block[BODY_OFFSET:]):
            if not (original or relative or data or flags or sectors):
                break
            if flags & UNUSED:
                continue
            if flags & FORWARDER:
                raise NotBuildable("the store's list has a forwarder, a kind of entry that only invented disks have")
            if original % BLOCK_BYTES or data % BLOCK_BYTES or original >= copied_bytes:
                raise Malformed(f"an entry of the block list leads from {original:#x} to {data:#x}")
            if data + BLOCK_BYTES > volume.length:
                raise Malformed(f"old data at {data:#x} is beyond the volume's end, {volume.length:#x}")
            is_overlay = bool(flags & OVERLAY)
            yield OldBlock(original // BLOCK_BYTES, data, sectors if is_overlay else ALL_SECTORS, is_overlay)


def read_unprotected(volume: Extent, entry: StorageEntry, copied_bytes: int) -> Iterator[int]:
    """Yield, for each ``BITMAP_SPAN`` blocks of the volume that was copied, which of them the store leaves alone.

    Windows does not keep what was in these blocks: they were free, or of a file that it never copies.
    Where the store has two bitmaps, a block must stand in both.

    Args:
        volume: the one that holds the storage.
        entry: of the store.
        copied_bytes: the size of the volume that was copied.

    Yields:
        A bit for each block, the first one lowest; those behind the volume's end say nothing.

    Raises:
        Malformed: a bitmap has more or fewer blocks than the volume needs.
        NotSupported, NotRead: as for each of volsnap's blocks.
    """
    needed = -(-copied_bytes // (BITMAP_SPAN * BLOCK_BYTES))
    offsets = [offset for offset in (entry.bitmap_offset, entry.previous_bitmap_offset) if offset]
    bitmaps = [_chained(volume, offset, RecordType.BITMAP, needed) for offset in offsets]
    read = 0
    for blocks in zip(*bitmaps, strict=False):
        bits = (1 << BITMAP_SPAN) - 1
        for block in blocks:
            bits &= int.from_bytes(block[BODY_OFFSET:], "little")
        yield bits
        read += 1
    if read != needed:
        raise Malformed(f"a bitmap of the store has {read} blocks, but {needed} are needed")


def _chained(volume: Extent, first: int, record_type: RecordType, most: int) -> Iterator[bytes]:
    offset, seen = first, 0
    while offset:
        if seen == most:
            raise Malformed(f"the chain of the {record_type.name} at {first:#x} has more than {most} blocks")
        block = read_block(volume, offset, record_type)
        yield block
        seen += 1
        (offset,) = struct.unpack_from("<Q", block, 40)
