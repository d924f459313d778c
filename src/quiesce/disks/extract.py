"""Write a volume as of a shadow copy into a file, and say which blocks of its disk a child snapshot would take."""

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from quiesce.disks.buildable import Buildable, looked
from quiesce.disks.child import CATALOG_OFFSET, Child, sources
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.disks.shadow_copies import ShadowCopy
from quiesce.disks.view import View
from quiesce.disks.volsnap import HEADER_OFFSET

ZEROS = bytes(BLOCK_BYTES)


def write_view(view: View, path: Path) -> str:
    """Write a view into a new file, sparse where it has zeros, and return its SHA-256 as 64 digits.

    Raises:
        NotRead: a block could not be read; the file is gone again.
        OSError: the file is there already, or could not be written.
    """
    digest = hashlib.sha256()
    # Never into a file that is there: it could be the image, or a disk.
    with path.open("xb") as file:
        try:
            file.truncate(view.length)
            for at in range(0, view.length, BLOCK_BYTES):
                data = view.fetch(at, min(BLOCK_BYTES, view.length - at))
                digest.update(data)
                if data != ZEROS[: len(data)]:
                    file.seek(at)
                    file.write(data)
        except BaseException:
            path.unlink()
            raise
    return digest.hexdigest()


def describe_child(
    copy: ShadowCopy, buildable: Buildable, view: View, blocks_read: set[tuple[str, int]]
) -> dict[str, Any]:
    """Return as JSON which blocks of its disk differ as of a shadow copy, and which are read to know that.

    Args:
        copy: the shadow copy.
        buildable: what was judged of it.
        view: its view.
        blocks_read: what was read of the disks to find it: names of disks, and indexes of blocks of 512 KiB.

    Raises:
        NotRead: a block could not be read.
    """
    child = Child([view])
    put = [block.index for batch in child.batches() for block in child.read(batch) if block.differs]
    read = blocks_read | looked([view]) | sources(child.candidates())
    read |= {(copy.original.disk, candidate.index) for candidate in child.candidates()}
    by_disk: dict[str, list[int]] = defaultdict(list)
    for disk, index in sorted(read):
        by_disk[disk].append(index)
    return {
        "disk": copy.original.disk,
        "volume_at": copy.original.extent.start,
        "volume_bytes": view.length,
        "created_at": copy.entry.created_at and copy.entry.created_at.isoformat(),
        "buildable": buildable.verdict,
        "reason": buildable.reason,
        "at_most": buildable.work and buildable.work._asdict(),
        "block_bytes": BLOCK_BYTES,
        "blocks_to_put": put,
        "blocks_to_read": by_disk,
        "catalog_offset_at": HEADER_OFFSET + CATALOG_OFFSET,
    }
