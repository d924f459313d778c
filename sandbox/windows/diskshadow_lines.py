"""How DiskShadow reads the file of a script, and what nobody knows of that."""

import codecs
import re
from collections.abc import Iterator


class Unseen(Exception):
    """Nobody has seen what DiskShadow does there, or quiesce has no use for it."""


def lines_of(script: bytes) -> Iterator[str]:
    """Read a script as DiskShadow does: where CR, LF or both are missing at a line's end, its last letters are taken.

    In UTF-16 it finds no line at all; letters that are not ASCII's, controls, or CR alone within it nobody has tried.
    """
    if script.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return
    if re.search(rb"[^\x20-\x7e\t\r\n]|\r(?!\n|\Z)", script):
        raise Unseen("letters other than ASCII's, a byte order mark, controls, or CR alone")
    for line in script.decode().splitlines(keepends=True):
        yield (line[:-2] if line.endswith("\r\n") else line.rstrip("\n")[:-1]).strip()
