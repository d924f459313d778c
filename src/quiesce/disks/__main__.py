"""Show the shadow copies that disk images or block devices hold, or write a volume as of one of them into a file.

python -m quiesce.disks IMAGE [IMAGE ...]
python -m quiesce.disks IMAGE [IMAGE ...] --view SHADOW-COPY-ID --to FILE
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

from quiesce.disks.buildable import judge
from quiesce.disks.extract import describe_child, write_view
from quiesce.disks.listing import describe, is_complete
from quiesce.disks.raw import NotRead
from quiesce.disks.shadow_copies import Disk, Stores, read_copies, read_disk

DESCRIPTION = "Show the shadow copies in disk images or block devices. Give all disks of a server together."


def main(arguments: list[str]) -> int:
    """Show the shadow copies in disk images or block devices; all disks of a server belong in one call.

    Returns:
        0 if everything was read and nothing is damaged, else 1; with ``--view`` 0 if the volume can be built as of the
        shadow copy, else 1. The parser exits with 2 after wrong arguments, or a file that can't be opened.
    """
    parser = argparse.ArgumentParser(prog="python -m quiesce.disks", description=DESCRIPTION)
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="a raw disk image, or a block device")
    parser.add_argument("--view", metavar="SHADOW-COPY-ID", type=UUID, help="write its volume as of this shadow copy")
    parser.add_argument("--to", metavar="FILE", type=Path, help="the new file for --view; sparse")
    asked = parser.parse_args(arguments)
    if (asked.view is None) != (asked.to is None):
        parser.error("--view and --to belong together")
    with ExitStack() as opened:
        disks = [_open_image(parser, opened, path) for path in asked.images]
        if asked.view:
            try:
                return _extract(disks, asked.view, asked.to)
            except OSError as error:
                parser.error(str(error))
        copies = read_copies(disks)
        sys.stdout.write(describe(disks, copies))
    return 0 if is_complete(disks, copies) else 1


def _extract(disks: Sequence[Disk], copy_id: UUID, path: Path) -> int:
    copies = read_copies(disks)
    found = [copy for copy in copies if copy.store and copy.store.copy_id == copy_id]
    if len(found) != 1:
        names = ", ".join(str(copy.store.copy_id) for copy in copies if copy.store) or "none"
        return _refuse(f"{len(found)} of the shadow copies on these disks have the id {copy_id}; there are: {names}")
    buildable = judge(Stores(disks), found[0])
    if buildable.view is None:
        return _refuse(f"the volume can't be read as of this shadow copy: {buildable.reason}")
    read = {(disk.name, index) for disk in disks for index in disk.blocks_read}
    try:
        child = describe_child(found[0], buildable, buildable.view, read)
        digest = write_view(buildable.view, path)
    except NotRead as error:
        return _refuse(f"a block that is needed could not be read: {error}")
    told = {"shadow_copy_id": str(copy_id), "file": str(path), "sha256": digest, **child}
    # A field a line: its lists may have thousands of numbers.
    fields = ",\n".join(f" {json.dumps(name)}: {json.dumps(value)}" for name, value in told.items())
    sys.stdout.write(f"{{\n{fields}\n}}\n")
    return 0 if buildable.verdict == "buildable" else 1


def _refuse(why: str) -> int:
    sys.stderr.write(f"{why}\n")
    return 1


def _open_image(parser: argparse.ArgumentParser, opened: ExitStack, path: Path) -> Disk:
    try:
        # A buffer would read more of a device than is asked for.
        image = opened.enter_context(path.open("rb", buffering=0))
        size_bytes = image.seek(0, 2)
    except OSError as error:
        parser.error(str(error))

    def read(offset: int, length: int) -> bytes:
        image.seek(offset)
        return image.read(length)

    return read_disk(str(path), read, size_bytes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
