"""A disk with its volumes as of their shadow copies: which of its blocks of 512 KiB differ from the disk, and how.

A child snapshot is written from this: its parent is the disk as it is, and only blocks that differ are put.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from typing import NamedTuple

from quiesce.disks.block_list import ALL_SECTORS
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.disks.view import Piece, View
from quiesce.disks.volsnap import BLOCK_BYTES as OLD_BYTES
from quiesce.disks.volsnap import HEADER_OFFSET, VOLSNAP

# Within the header.
CATALOG_OFFSET = 48
# Old data that is in memory at a time, in blocks of 16 KiB: 192 MiB. Windows keeps it in the order in which it was
# overwritten: where that was anywhere on the volume, a block of 512 KiB of old data is read once for each portion.
MAX_PIECES = 12_288

# A disk's name, and bytes from its start.
Place = tuple[str, int]


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
        """Whether it has to be put; also where the parent was not read."""
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
        found = [_touched(view, first, after) for view in self.views]
        touched = found[0] if len(found) == 1 else merge(*found, key=itemgetter(0))
        index = -1
        parts: list[Part] = []
        for number, part in touched:
            if number != index:
                if index >= 0:
                    yield Candidate(index, parts)
                index, parts = number, []
            if part:
                parts.append(part)
        if index >= 0:
            yield Candidate(index, parts)

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

    def read(self, batch: Sequence[Candidate], replaced: Collection[int] = ()) -> Iterator[Block]:
        """Yield some blocks with what the child holds there, those that are wholly ``replaced`` without their parent.

        Old data is read in the order in which it lies on its disks, so that each block of 512 KiB is needed once.

        Raises:
            NotRead: something could not be read.
        """
        old = _fetched({piece.place: piece for piece in _pieces(batch)})
        for candidate in batch:
            at = candidate.index * BLOCK_BYTES
            length = min(BLOCK_BYTES, self._disk.size_bytes - at)
            parent = b"" if candidate.index in replaced else self._disk.fetch(at, length)
            child = _joined(parent, at, length, _runs(candidate.parts, old))
            for view in self.views:
                child = _without_catalog(child, HEADER_OFFSET - (at - view.start))
            yield Block(candidate.index, parent, child)


def sources(batch: Iterable[Candidate]) -> set[tuple[str, int]]:
    """Return where the old data of some blocks lies: names of disks, and indexes of blocks of 512 KiB there."""
    places = (piece.place for piece in _pieces(batch))
    return {(disk, index) for disk, at in places for index in _indexes(at, at + OLD_BYTES)}


def _pieces(batch: Iterable[Candidate]) -> Iterator[Piece]:
    return (piece for candidate in batch for part in candidate.parts for piece in part.pieces)


class Old(NamedTuple):
    """Where old data is in memory: the bytes that were read at once, and where it begins there."""

    data: memoryview
    at: int


@dataclass
class _Run:
    """Old data that goes into a volume from a block of 16 KiB on: of some sectors of it, or of whole blocks."""

    view: View
    number: int
    piece: Piece
    data: memoryview
    start: int
    end: int

    def takes(self, view: View, number: int, piece: Piece, old: Old) -> bool:
        """Take the next block's old data, too, if it is whole and follows here and there."""
        if self.piece.sectors != ALL_SECTORS or piece.sectors != ALL_SECTORS or self.view is not view:
            return False
        if self.data is not old.data or self.end != old.at:
            return False
        if (number - self.number) * OLD_BYTES != self.end - self.start:
            return False
        self.end += OLD_BYTES
        return True


def _runs(parts: Iterable[Part], old: Mapping[Place, Old]) -> Iterator[_Run]:
    """Yield the old data of a block of the disk in as few runs as possible: each costs as much as its bytes."""
    run = None
    for view, number, pieces in parts:
        for piece in pieces:
            found = old[piece.place]
            if run and run.takes(view, number, piece, found):
                continue
            if run:
                yield run
            run = _Run(view, number, piece, found.data, found.at, found.at + OLD_BYTES)
    if run:
        yield run


def _joined(parent: bytes, at: int, length: int, runs: Iterable[_Run]) -> bytes:
    """Return a block of the disk, ``at`` bytes from its start, with old data where it belongs, in a single copy."""
    spans: list[tuple[int, int, memoryview]] = []
    for run in runs:
        data = run.data[run.start : run.end]
        spans += run.view.spans(at - run.view.start, length, run.number, run.piece, data)
    # None overlap: a sector is in at most one piece.
    spans.sort(key=itemgetter(0))
    whole, segments, done = memoryview(parent), [], 0
    for start, end, data in spans:
        segments += [whole[done:start], data]
        done = end
    return b"".join([*segments, whole[done:]]) if spans else parent


def _fetched(pieces: Mapping[Place, Piece]) -> dict[Place, Old]:
    """Return old data by its places: what lies side by side in one block of a disk is read at once."""
    old: dict[Place, Old] = {}
    places = sorted(pieces)
    start = 0
    for after in range(1, len(places) + 1):
        disk, at = places[start]
        piece = pieces[places[start]]
        following = disk, at + (after - start) * OLD_BYTES
        if after < len(places) and places[after] == following and following[1] % BLOCK_BYTES:
            continue
        data = memoryview(piece.storage.extent.fetch(piece.offset, (after - start) * OLD_BYTES))
        for number, place in enumerate(places[start:after]):
            old[place] = Old(data, number * OLD_BYTES)
        start = after
    return old


def _touched(view: View, first: int, after: int | None) -> Iterator[tuple[int, Part | None]]:
    """Yield the indexes of the disk's blocks that a view may change, ascending, each with a part of the change.

    The block of volsnap's header comes without one.
    """
    start = first * BLOCK_BYTES - view.start
    end = view.length if after is None else after * BLOCK_BYTES - view.start
    stop = (view.start + view.length) // BLOCK_BYTES + 1 if after is None else after
    header = (view.start + HEADER_OFFSET) // BLOCK_BYTES
    waits = view.volume.header is not None and first <= header < stop
    disk_start, disk_end = view.start, view.start + view.length
    for number, pieces in view.old_blocks(start, end):
        at = disk_start + number * OLD_BYTES
        index, last = at // BLOCK_BYTES, (min(at + OLD_BYTES, disk_end) - 1) // BLOCK_BYTES
        part = Part(view, number, pieces)
        # A block of 16 KiB may lie across two of the disk's.
        for touched in (index,) if index == last else (index, last):
            if first <= touched < stop:
                if waits and header <= touched:
                    yield header, None
                    waits = False
                yield touched, part
    if waits:
        yield header, None


def _indexes(start: int, end: int) -> range:
    return range(start // BLOCK_BYTES, (end - 1) // BLOCK_BYTES + 1)


def _without_catalog(child: bytes, header_at: int) -> bytes:
    """Set the catalog's offset to 0 where volsnap's header begins in these bytes, and keep the rest of the header."""
    if not (0 <= header_at < len(child) and child.startswith(VOLSNAP, header_at)):
        return child
    offset_at = header_at + CATALOG_OFFSET
    return b"".join([child[:offset_at], bytes(8), child[offset_at + 8 :]])
