"""A disk with its volumes as of their shadow copies: which of its blocks of 512 KiB differ from the disk, and how.

A child snapshot is written from this: its parent is the disk as it is, and only blocks that differ are put.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby

from quiesce.disks.raw import BLOCK_BYTES
from quiesce.disks.view import Piece, View
from quiesce.disks.volsnap import BLOCK_BYTES as OLD_BYTES
from quiesce.disks.volsnap import HEADER_OFFSET, VOLSNAP

# Within the header.
CATALOG_OFFSET = 48
# Old data that is in memory at a time: 2,048 blocks of 16 KiB.
MAX_PIECES = 2048


@dataclass(frozen=True)
class Block:
    """A block of the disk, 512 KiB but at the disk's end: its index, what it holds, and what the child holds there."""

    index: int
    parent: bytes
    child: bytes

    @property
    def differs(self) -> bool:
        """Whether it has to be put."""
        return self.child != self.parent


class Child:
    """The disk that holds some views' volumes, with the views in their place.

    volsnap's headers on these volumes name no catalog any more, because the stores would not fit the views:
    so Windows finds no shadow copies on them, as on volumes whose last one is gone.
    """

    def __init__(self, views: Sequence[View]) -> None:
        """Take the views of all volumes of one disk that are to be as of a shadow copy, or have a catalog."""
        if len({view.volume.disk for view in views}) != 1:
            raise ValueError("the volumes must lie on one disk")
        self.views = views
        self._disk = views[0].volume.extent.disk

    def candidates(self) -> Iterator[int]:
        """Yield the indexes of all blocks that may differ, ascending, without reading any data."""
        for index, _ in groupby(merge(*map(_touched, self.views))):
            yield index

    def batches(self) -> Iterator[list[int]]:
        """Yield the indexes of the blocks that may differ in portions, so that their old data fits into memory."""
        batch: list[int] = []
        pieces = 0
        for index in self.candidates():
            own = sum(1 for _ in self._pieces(index))
            if batch and pieces + own > MAX_PIECES:
                yield batch
                batch, pieces = [], 0
            batch.append(index)
            pieces += own
        if batch:
            yield batch

    def sources(self, indexes: Iterable[int]) -> set[tuple[str, int]]:
        """Return where the old data of some blocks lies: names of disks, and indexes of blocks of 512 KiB there."""
        places = (piece.place for index in indexes for _, _, piece in self._pieces(index))
        return {(disk, index) for disk, at in places for index in _indexes(at, at + OLD_BYTES)}

    def read(self, indexes: Sequence[int]) -> Iterator[Block]:
        """Yield some blocks with what the child holds there.

        Old data is read in the order in which it lies on its disks, so that each block of 512 KiB is needed once.

        Raises:
            NotRead: something could not be read.
        """
        pieces = {piece.place: piece for index in indexes for _, _, piece in self._pieces(index)}
        old = {place: pieces[place].storage.extent.fetch(pieces[place].offset, OLD_BYTES) for place in sorted(pieces)}
        for index in indexes:
            at = index * BLOCK_BYTES
            parent = self._disk.fetch(at, min(BLOCK_BYTES, self._disk.size_bytes - at))
            child = bytearray(parent)
            for view, number, piece in self._pieces(index):
                view.put(child, at - view.start, number, piece, old[piece.place])
            for view in self.views:
                _forget_catalog(child, HEADER_OFFSET - (at - view.start))
            yield Block(index, parent, bytes(child))

    def _pieces(self, index: int) -> Iterator[tuple[View, int, Piece]]:
        for view in self.views:
            start = index * BLOCK_BYTES - view.start
            for number, pieces in view.old_blocks(start, start + BLOCK_BYTES):
                for piece in pieces:
                    yield view, number, piece


def _touched(view: View) -> Iterator[int]:
    """Yield the indexes of the disk's blocks that a view may change, ascending."""
    blocks = (
        index
        for number, _ in view.old_blocks()
        for index in _indexes(view.start + number * OLD_BYTES, view.start + min((number + 1) * OLD_BYTES, view.length))
    )
    header = [(view.start + HEADER_OFFSET) // BLOCK_BYTES] if view.volume.header else []
    return merge(header, blocks)


def _indexes(start: int, end: int) -> range:
    return range(start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1)


def _forget_catalog(child: bytearray, header_at: int) -> None:
    """Set the catalog's offset to 0 where volsnap's header begins in these bytes, and keep the rest of the header."""
    if 0 <= header_at < len(child) and child.startswith(VOLSNAP, header_at):
        child[header_at + CATALOG_OFFSET : header_at + CATALOG_OFFSET + 8] = bytes(8)
