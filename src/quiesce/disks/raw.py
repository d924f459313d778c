"""The bytes of a disk, read within bounds: a snapshot's structures are never trusted, and never followed without end.

Nothing here knows where the bytes come from: an image, a block device, or the EBS direct APIs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

# The EBS direct APIs serve blocks of this size (EBS User Guide), so reads are counted in them.
BLOCK_BYTES = 512 * 1024
# Enough for 4,000 stores; Windows keeps at most 512 on a volume.
MAX_READ_BYTES = 64 * 1024 * 1024


class StructureError(Exception):
    """Why a structure could not be read; the message states what is wrong, and where."""


class NotRead(StructureError):
    """The bytes could not be read, so what they hold is unknown."""


class Malformed(StructureError):
    """The bytes were read, but contradict the format."""


class NotBuildable(StructureError):
    """The structures are sound, but the volume as of the shadow copy can't or must not be made of them."""


class NotSupported(StructureError):
    """The bytes were read, but are of a kind or version that quiesce does not know."""


@dataclass
class RawDisk:
    """A disk behind ``read_bytes(offset, length)``, with an account of what was read of it.

    Attributes:
        read_bytes: returns exactly the bytes that were asked for; raises OSError or NotRead if it can't.
        size_bytes: of the whole disk.
        left_bytes: how many more bytes may be read.
        blocks: the numbers of the 512 KiB blocks that were touched.
    """

    read_bytes: Callable[[int, int], bytes]
    size_bytes: int
    left_bytes: int = MAX_READ_BYTES
    blocks: set[int] = field(default_factory=set)

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes, more than 0, and put it on the account.

        Raises:
            NotRead: they lie beyond the end, could not be read, came short, or would exceed the limit of this disk.
        """
        self._check_end(offset, length)
        self.left_bytes -= length
        if self.left_bytes < 0:
            raise NotRead("more would have to be read than the limit for this disk allows")
        self.blocks.update(range(offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES + 1))
        return self.fetch(offset, length)

    def fetch(self, offset: int, length: int) -> bytes:
        """Read data as ``read`` does, without account and limit: the caller knows how much there is of it."""
        self._check_end(offset, length)
        try:
            data = self.read_bytes(offset, length)
        except OSError as error:
            raise NotRead(f"{length} bytes at {offset:#x}: {error}") from error
        if len(data) != length:
            raise NotRead(f"{len(data)} instead of {length} bytes came from {offset:#x}")
        return data

    def _check_end(self, offset: int, length: int) -> None:
        if offset + length > self.size_bytes:
            raise NotRead(f"the disk ends at {self.size_bytes:#x}, before {offset + length:#x}")


@dataclass(frozen=True)
class Extent:
    """A part of a disk, such as a volume: offsets count from its start, and nothing outside of it is read."""

    disk: RawDisk
    start: int
    length: int

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes, more than 0.

        Raises:
            Malformed: they are not all inside.
            NotRead: they could not be read.
        """
        self._check_inside(offset, length)
        return self.disk.read(self.start + offset, length)

    def fetch(self, offset: int, length: int) -> bytes:
        """Read data as ``read`` does, without account and limit: the caller knows how much there is of it."""
        self._check_inside(offset, length)
        return self.disk.fetch(self.start + offset, length)

    def anew(self, left_bytes: int) -> "Extent":
        """Return the same part, with an account of its own and another limit for what is read of its disk."""
        return replace(self, disk=RawDisk(self.disk.read_bytes, self.disk.size_bytes, left_bytes))

    def _check_inside(self, offset: int, length: int) -> None:
        if offset < 0 or offset + length > self.length:
            raise Malformed(f"{length} bytes at {offset:#x} are not all within {self.length:#x}")
