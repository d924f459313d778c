"""A session's files, as the server packs them into one archive: backup log, state, and what the scripts printed."""

import io
import re
import struct
import zipfile
import zlib

from quiesce.errors import AnswerUnreadable

MAX_FILES = 40
# The server cuts each file at 10 MiB.
MAX_BYTES = 100 * 1024 * 1024
# What zipfile raises on damaged archives, besides its own error.
DAMAGE = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    EOFError,
    ValueError,
    OSError,
    IndexError,
    OverflowError,
    struct.error,
    zlib.error,
)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def unpack(archive: bytes) -> dict[str, bytes]:
    """Return the files of an archive by name; at most 40 of them and 100 MiB, in one flat folder.

    Raises:
        AnswerUnreadable: it is not such an archive.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as packed:
            entries = packed.infolist()
            _check(entries)
            return {entry.filename: packed.read(entry) for entry in entries}
    except DAMAGE as error:
        raise AnswerUnreadable(f"the session's archive cannot be read: {error}") from error


def _check(entries: list[zipfile.ZipInfo]) -> None:
    names = [entry.filename for entry in entries]
    if bad := [name for name in names if not NAME.fullmatch(name)]:
        raise AnswerUnreadable(f"the session's archive has an entry that is no plain file: {bad[0]!r}")
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise AnswerUnreadable("the session's archive is compressed in a way that the server does not use")
    if len(names) > MAX_FILES or len(set(names)) < len(names):
        raise AnswerUnreadable(f"the session's archive has {len(names)} entries, of {len(set(names))} names")
    # zipfile itself reads no more of an entry than the size that the entry states.
    if (total := sum(entry.file_size for entry in entries)) > MAX_BYTES:
        raise AnswerUnreadable(f"the session's archive holds {total} bytes, more than {MAX_BYTES}")
