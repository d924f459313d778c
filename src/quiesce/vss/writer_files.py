"""The files of writers beside a policy's scripts, in the form that people have: one id a line."""

import codecs
import re
from collections.abc import Iterator
from typing import Literal

from quiesce.errors import PolicyRefused
from quiesce.vss.script import GUID

Kind = Literal["exclude", "verify"]
KINDS: tuple[Kind, ...] = ("exclude", "verify")
ALL = "all"
# Far more than any list has.
MAX_FILE_BYTES = 65_536
COMMENT = re.compile(r"(?:#|;).*")


def file_name(kind: Kind, policy: str) -> str:
    """Return the name of a policy's file of writers."""
    return f"vss_{kind}_writers_{policy}.txt"


def read_writers_file(content: bytes, kind: Kind, where: str) -> list[str]:
    """Return the ids in a file of writers, in lower case and each once; ``all`` alone if a line says so.

    Args:
        content: the file; UTF-8, or UTF-16 with its mark, as Windows' editors save it.
        kind: of the file: only one of writers to exclude may say ``all``.
        where: its place in messages.

    Raises:
        PolicyRefused: it is too large, is no text, or a line is neither an id nor a comment; with the line's number.
    """
    if len(content) > MAX_FILE_BYTES:
        raise PolicyRefused(where, f"has more than {MAX_FILE_BYTES} bytes", "write one id of a writer a line")
    found = dict.fromkeys(_lines(_text(content, where), kind, where))
    return [ALL] if ALL in found else list(found)


def _text(content: bytes, where: str) -> str:
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise PolicyRefused(where, f"is no text (byte {error.start})", "save it as UTF-8 in your editor") from error


def _lines(text: str, kind: Kind, where: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        word = COMMENT.sub("", line).strip().lower()
        if word == ALL and kind == "verify":
            remedy = (
                f"name each writer by its id, or remove the line; only {file_name('exclude', '<policy>')} may have it"
            )
            raise PolicyRefused(f"{where}, line {number}", "'all' can't be verified", remedy)
        if word and word != ALL and not GUID.fullmatch(word):
            problem = f"{line.strip()[:60]!r} is not the id of a writer"
            remedy = "write the id with its braces, one a line; a comment begins with #"
            raise PolicyRefused(f"{where}, line {number}", problem, remedy)
        if word:
            yield word
