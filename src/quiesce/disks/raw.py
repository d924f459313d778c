"""The bytes of a disk, read within bounds: what a snapshot says is never trusted, and never followed without end.

Nothing here knows where the bytes come from: an image, a block device, or the EBS direct APIs.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

# The EBS direct APIs serve blocks of this size (EBS User Guide), so what was read is counted in them.
BLOCK_BYTES = 512 * 1024
# 4,000 stores, which is more than Windows keeps on a volume (512), fit in.
MAX_READ_BYTES = 64 * 1024 * 1024


class StructureError(Exception):
    """Something that kept a structure from being read; its words say what, and where."""


class NotRead(StructureError):
    """The bytes could not be had: nobody knows what stands there."""


class Malformed(StructureError):
    """The bytes were read, and contradict the format."""


class NotSupported(StructureError):
    """The bytes were read, and are of a kind or version that is not known here."""


@dataclass
class RawDisk:
    """A disk behind ``read(offset, length)``, with what was read of it.

    Attributes:
        read_bytes: returns exactly the bytes that were asked for; raises OSError or NotRead where it can't.
        size_bytes: of the whole disk.
        left_bytes: how many more bytes will be read.
        blocks: the numbers of the 512 KiB blocks that were touched.
    """

    read_bytes: Callable[[int, int], bytes]
    size_bytes: int
    left_bytes: int = MAX_READ_BYTES
    blocks: set[int] = field(default_factory=set)

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes, more than 0.

        Raises:
            NotRead: they lie beyond the end, could not be had, came short, or too much was read before.
        """
        if offset + length > self.size_bytes:
            raise NotRead(f"the disk ends at {self.size_bytes:#x}, before {offset + length:#x}")
        self.left_bytes -= length
        if self.left_bytes < 0:
            raise NotRead(f"more than {MAX_READ_BYTES >> 20} MiB would have to be read")
        self.blocks.update(range(offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES + 1))
        try:
            data = self.read_bytes(offset, length)
        except OSError as error:
            raise NotRead(f"{length} bytes at {offset:#x}: {error}") from error
        if len(data) != length:
            raise NotRead(f"{len(data)} instead of {length} bytes came from {offset:#x}")
        return data


@dataclass(frozen=True)
class Extent:
    """A piece of a disk, a volume for one: offsets count from its start, and nothing outside of it is read."""

    disk: RawDisk
    start: int
    length: int

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes, more than 0.

        Raises:
            Malformed: they are not all inside.
            NotRead: they could not be had.
        """
        if offset < 0 or offset + length > self.length:
            raise Malformed(f"{length} bytes at {offset:#x} are asked for, of {self.length:#x}")
        return self.disk.read(self.start + offset, length)
