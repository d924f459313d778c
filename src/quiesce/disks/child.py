"""A disk with its volumes as of their shadow copies: which of its blocks of 512 KiB differ from the disk, and how.

A child snapshot is written from this: its parent is the disk as it is, and only blocks that differ are put.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from quiesce.disks.raw import BLOCK_BYTES
from quiesce.disks.view import Piece, View
from quiesce.disks.volsnap import BLOCK_BYTES as OLD_BYTES
from quiesce.disks.volsnap import HEADER_OFFSET, VOLSNAP

# Within the header.
CATALOG_OFFSET = 48
# Old data that is in memory at a time: 2,048 blocks of 16 KiB.
MAX_PIECES = 2048


class Part(NamedTuple):
    """The old data of one block of 16 KiB, by its number on a view's volume."""

    view: View
    number: int
    pieces: list[Piece]


@dataclass(frozen=True)
class Candidate:
    """A block of the disk that may differ, by its index, and the old data that belongs into it."""

    index: int
    parts: list[Part]


@dataclass(frozen=True)
class Block:
    """A block of the disk, shorter than 512 KiB at its end: its index, what it holds, and what the child holds."""

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

    def candidates(self, first: int = 0, after: int | None = None) -> Iterator[Candidate]:
        """Yield all blocks that may differ, ascending, without reading any data.

        Args:
            first: where to begin, by the block's index; work may be split.
            after: where to end, before that block; the end of the disk by default.
        """
        touched = merge(*(_touched(view, first, after) for view in self.views), key=itemgetter(0))
        for index, parts in groupby(touched, key=itemgetter(0)):
            yield Candidate(index, [part for _, part in parts if part.pieces])

    def batches(self, first: int = 0, after: int | None = None) -> Iterator[list[Candidate]]:
        """Yield what ``candidates`` does in portions whose old data fits into memory."""
        batch: list[Candidate] = []
        pieces = 0
        for candidate in self.candidates(first, after):
            own = sum(len(part.pieces) for part in candidate.parts)
            if batch and pieces + own > MAX_PIECES:
                yield batch
                batch, pieces = [], 0
            batch.append(candidate)
            pieces += own
        if batch:
            yield batch

    def read(self, batch: Sequence[Candidate]) -> Iterator[Block]:
        """Yield some blocks with what the child holds there.

        Old data is read in the order in which it lies on its disks, so that each block of 512 KiB is needed once.

        Raises:
            NotRead: something could not be read.
        """
        pieces = {piece.place: piece for piece in _pieces(batch)}
        old = {place: pieces[place].storage.extent.fetch(pieces[place].offset, OLD_BYTES) for place in sorted(pieces)}
        for candidate in batch:
            at = candidate.index * BLOCK_BYTES
            parent = self._disk.fetch(at, min(BLOCK_BYTES, self._disk.size_bytes - at))
            child = bytearray(parent)
            for view, number, own in candidate.parts:
                for piece in own:
                    view.put(child, at - view.start, number, piece, old[piece.place])
            for view in self.views:
                _forget_catalog(child, HEADER_OFFSET - (at - view.start))
            yield Block(candidate.index, parent, bytes(child))


def sources(batch: Iterable[Candidate]) -> set[tuple[str, int]]:
    """Return where the old data of some blocks lies: names of disks, and indexes of blocks of 512 KiB there."""
    places = (piece.place for piece in _pieces(batch))
    return {(disk, index) for disk, at in places for index in _indexes(at, at + OLD_BYTES)}


def _pieces(batch: Iterable[Candidate]) -> Iterator[Piece]:
    return (piece for candidate in batch for part in candidate.parts for piece in part.pieces)


def _touched(view: View, first: int, after: int | None) -> Iterator[tuple[int, Part]]:
    """Yield the indexes of the disk's blocks that a view may change, ascending, each with a part of the change."""
    start = first * BLOCK_BYTES - view.start
    end = view.length if after is None else after * BLOCK_BYTES - view.start
    header = (view.start + HEADER_OFFSET) // BLOCK_BYTES
    headers = [(header, Part(view, 0, []))] if view.volume.header else []
    olds = (
        (index, Part(view, number, pieces))
        for number, pieces in view.old_blocks(start, end)
        for index in _indexes(view.start + number * OLD_BYTES, view.start + min((number + 1) * OLD_BYTES, view.length))
    )
    touched = merge(headers, olds, key=itemgetter(0))
    return ((index, part) for index, part in touched if first <= index and (after is None or index < after))


def _indexes(start: int, end: int) -> range:
    return range(start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1)


def _forget_catalog(child: bytearray, header_at: int) -> None:
    """Set the catalog's offset to 0 where volsnap's header begins in these bytes, and keep the rest of the header."""
    if 0 <= header_at < len(child) and child.startswith(VOLSNAP, header_at):
        child[header_at + CATALOG_OFFSET : header_at + CATALOG_OFFSET + 8] = bytes(8)
