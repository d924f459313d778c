"""Show the shadow copies that disk images or block devices hold: ``python -m quiesce.disks IMAGE [IMAGE ...]``."""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from quiesce.disks.listing import describe, is_complete
from quiesce.disks.shadow_copies import Disk, read_copies, read_disk

DESCRIPTION = "Show the shadow copies in disk images or block devices. Give all disks of a server together."


def main(arguments: list[str]) -> int:
    """Show the shadow copies in disk images or block devices; all disks of a server belong in one call.

    Returns:
        0 if everything was read and nothing is damaged, else 1; the parser exits with 2 after wrong arguments or an
        image that can't be opened.
    """
    parser = argparse.ArgumentParser(prog="python -m quiesce.disks", description=DESCRIPTION)
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="a raw disk image, or a block device")
    with ExitStack() as opened:
        disks = [_open_image(parser, opened, path) for path in parser.parse_args(arguments).images]
        copies = read_copies(disks)
        sys.stdout.write(describe(disks, copies))
    return 0 if is_complete(disks, copies) else 1


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
