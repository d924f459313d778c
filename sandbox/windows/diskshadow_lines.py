"""How DiskShadow reads a script's file, as far as that is known."""

import codecs
import re
from collections.abc import Iterator


class Unseen(Exception):
    """No source shows what DiskShadow does there, or quiesce does not use it."""


def lines_of(script: bytes) -> Iterator[str]:
    """Read a script as DiskShadow does: from a line that does not end with CR and LF it drops the last letter.

    In UTF-16 it finds no line at all. No source shows letters outside of ASCII, control characters, or CR alone.
    """
    if script.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return
    if re.search(rb"[^\x20-\x7e\t\r\n]|\r(?!\n|\Z)", script):
        raise Unseen("letters other than ASCII's, a byte order mark, controls, or CR alone")
    for line in script.decode().splitlines(keepends=True):
        yield (line[:-2] if line.endswith("\r\n") else line.rstrip("\n")[:-1]).strip()
