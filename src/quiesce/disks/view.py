"""A volume as of a shadow copy: the volume itself, with the old data that its store and all newer ones keep.

Windows keeps what a block held before it was first overwritten only in the newest store of that time.
So a block that a store does not list is as the next newer one has it, and at last as the volume has it.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from quiesce.disks.block_list import ALL_SECTORS, SECTOR_BYTES, OldBlock, read_block_list
from quiesce.disks.raw import NotBuildable, NotRead
from quiesce.disks.shadow_copies import ShadowCopy, Storage, Stores, Volume
from quiesce.disks.volsnap import BLOCK_BYTES

# An entry takes 22 bytes, and 40 more while the entries are sorted.
MAX_ENTRIES = 2_000_000
# For lists, bitmaps and NTFS of one volume; a volume of 64 TiB has bitmaps of 512 MiB.
MAX_LOOKED_BYTES = 4 << 30
# Old data, whose parts are of the same kind.
D = TypeVar("D", bytes, memoryview)


class Piece(NamedTuple):
    """Old data of one block: the volume that it lies on, where, and which of its sectors count."""

    storage: Volume
    offset: int
    sectors: int

    @property
    def place(self) -> tuple[str, int]:
        """The disk that it lies on, and where there, in bytes."""
        return self.storage.disk, self.storage.extent.start + self.offset


class View:
    """The bytes of a volume as of a shadow copy, or of a volume as it is, where it has none.

    Attributes:
        origin: the volume that was copied.
        volume: the same, with an account of its own of what is read for the view.
        chain: the stores, from that of the shadow copy to the newest.
        storages: the volumes that hold them, with accounts of their own, too.
    """

    def __init__(self, volume: Volume, chain: Sequence[Storage] = ()) -> None:
        """Read the lists of all stores.

        Raises:
            NotBuildable: a list has a forwarder.
            Malformed, NotSupported: a list contradicts the format, or is of an unknown version.
            NotRead: a list could not be read, or they have more than ``MAX_ENTRIES`` entries.
        """
        opened = {id(each): _anew(each) for each in (volume, *(store.volume for store in chain))}
        self.origin, self.volume, self.chain = volume, opened[id(volume)], chain
        self.storages = [opened[id(store.volume)] for store in chain]
        self.start, self.length = volume.extent.start, volume.extent.length
        self._offsets, self._sectors, self._stores = array("Q"), array("I"), array("H")
        unsorted = array("Q")
        for old, store in self._entries():
            if len(unsorted) == MAX_ENTRIES:
                raise NotRead(f"the lists of the shadow copy and the newer ones have more than {MAX_ENTRIES} entries")
            unsorted.append(old.number << 32 | len(unsorted))
            self._offsets.append(old.offset)
            self._sectors.append(old.sectors)
            self._stores.append(store)
        # By block, and for each block in the order in which they count.
        self._sorted = array("Q", sorted(unsorted))

    def _entries(self) -> Iterator[tuple[OldBlock, int]]:
        """Yield the entries that count, the latter over the former: the newest store's first, and own overlays last."""
        overlays = array("Q"), array("Q"), array("I")
        for store in reversed(range(len(self.chain))):
            for old in read_block_list(self.storages[store].extent, self.chain[store].entry, self.length):
                if not old.is_overlay:
                    yield old, store
                elif store == 0:
                    for values, value in zip(overlays, old, strict=False):
                        values.append(value)
        for number, offset, sectors in zip(*overlays, strict=True):
            yield OldBlock(number, offset, sectors, is_overlay=True), 0

    def old_blocks(self, start: int = 0, end: int | None = None) -> Iterator[tuple[int, list[Piece]]]:
        """Yield each block with old data that overlaps a part of the volume, ascending, and the pieces of that data.

        A sector is in at most one piece.

        Args:
            start: of the part, in bytes; may be negative.
            end: of the part, in bytes; the volume's by default.
        """
        last = self.length if end is None else min(end, self.length)
        at = bisect_left(self._sorted, max(start, 0) // BLOCK_BYTES << 32)
        stop = bisect_left(self._sorted, -(-last // BLOCK_BYTES) << 32)
        while at < stop:
            number = self._sorted[at] >> 32
            after = at + 1
            while after < stop and self._sorted[after] >> 32 == number:
                after += 1
            if pieces := self._pieces(at, after):
                yield number, pieces
            at = after

    def _pieces(self, first: int, after: int) -> list[Piece]:
        """Return the pieces of one block: of entries that have the same sectors the last one counts."""
        last = self._sorted[after - 1] & 0xFFFFFFFF
        if self._sectors[last] == ALL_SECTORS:
            return [Piece(self.storages[self._stores[last]], self._offsets[last], ALL_SECTORS)]
        pieces, open_sectors = [], ALL_SECTORS
        for at in range(after - 1, first - 1, -1):
            entry = self._sorted[at] & 0xFFFFFFFF
            if sectors := self._sectors[entry] & open_sectors:
                pieces.append(Piece(self.storages[self._stores[entry]], self._offsets[entry], sectors))
                open_sectors &= ~sectors
        return pieces

    def own_sectors(self, number: int) -> int:
        """Return which sectors of a block the shadow copy's own store has, as bits."""
        low, high = bisect_left(self._sorted, number << 32), bisect_left(self._sorted, (number + 1) << 32)
        own = 0
        for entry in (key & 0xFFFFFFFF for key in self._sorted[low:high]):
            own |= self._sectors[entry] if self._stores[entry] == 0 else 0
        return own

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes, more than 0, as of the shadow copy, and put what that takes on the accounts.

        Raises:
            Malformed: they are not all inside of the volume.
            NotRead: they could not be read.
        """
        data = bytearray(self.volume.extent.read(offset, length))
        for number, pieces in self.old_blocks(offset, offset + length):
            for piece in pieces:
                self.put(data, offset, number, piece, piece.storage.extent.read(piece.offset, BLOCK_BYTES))
        return bytes(data)

    def fetch(self, offset: int, length: int) -> bytes:
        """Read as ``read`` does, without accounts and limits."""
        data = bytearray(self.volume.extent.fetch(offset, length))
        for number, pieces in self.old_blocks(offset, offset + length):
            for piece in pieces:
                self.put(data, offset, number, piece, piece.storage.extent.fetch(piece.offset, BLOCK_BYTES))
        return bytes(data)

    def put(self, data: bytearray, at: int, number: int, piece: Piece, old: D) -> None:
        """Put a piece's sectors into bytes around or within the volume, and nothing outside of the volume.

        Args:
            data: a part of the volume's disk.
            at: where on the volume it begins, in bytes; may be negative.
            number: of the block that the piece is of.
            piece: says which sectors count.
            old: the block's old data; if all of its sectors count, that of the blocks after it may follow.
        """
        for start, end, found in self.spans(at, len(data), number, piece, old):
            data[start:end] = found

    def spans(self, at: int, length: int, number: int, piece: Piece, old: D) -> Iterator[tuple[int, int, D]]:
        """Yield what ``put`` puts: where it begins and ends in the ``length`` bytes at ``at``, and the data."""
        block_at = number * BLOCK_BYTES
        runs = ((0, len(old) // SECTOR_BYTES),) if piece.sectors == ALL_SECTORS else _runs(piece.sectors)
        for first, after in runs:
            start = max(block_at + first * SECTOR_BYTES, at)
            end = min(block_at + after * SECTOR_BYTES, at + length, self.length)
            if start < end:
                yield start - at, end - at, old[start - block_at : end - block_at]


def open_view(stores: Stores, copy: ShadowCopy) -> View:
    """Return the view of a shadow copy, without reading any of its data.

    Raises:
        NotBuildable: it is marked as deleted, its volume had another size, a list has a forwarder, or a storage is
            missing.
        NotRead: the disk is not all there, or a structure could not be read.
        Malformed, NotSupported: as its structures are read.
    """
    if copy.entry.marked_deleted:
        raise NotBuildable("the shadow copy is marked as deleted")
    extent = copy.original.extent
    if extent.start + extent.length > extent.disk.size_bytes:
        raise NotRead("the volume goes on behind the end of its disk: this is only a part of the disk")
    if copy.entry.volume_bytes != extent.length:
        made = copy.entry.volume_bytes
        raise NotBuildable(f"the volume had {made} bytes when the shadow copy was made, and has {extent.length} now")
    return View(copy.original, stores.chain(copy))


def _anew(volume: Volume) -> Volume:
    return replace(volume, extent=volume.extent.anew(MAX_LOOKED_BYTES))


def _runs(sectors: int) -> Iterator[tuple[int, int]]:
    """Yield the runs of set bits: the first one's number, and that after the last."""
    first = 0
    while sectors >> first:
        rest = sectors >> first
        first += (rest & -rest).bit_length() - 1
        ones = sectors >> first
        after = first + (~ones & (ones + 1)).bit_length() - 1
        yield first, after
        first = after
