"""A server's uploads to the bucket: the files of a session, as one zip."""

import io
import json
import zipfile

from tests.guest.cases import Json

LAST_CHARACTERS = 20


def packed(body: bytes) -> list[tuple[str, int]]:
    """Return names and sizes of a zip's entries; raise zipfile.BadZipFile if it is damaged."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(damaged)
        return [(entry.filename, entry.file_size) for entry in archive.infolist()]


def gist(body: bytes) -> Json:
    """Return the gist of each file in a zip, without what differs from run to run."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: gist_of(name, archive.read(name).decode("ascii")) for name in archive.namelist()}


def gist_of(name: str, text: str) -> str:
    """Return the session's phase, the manifest's run, the end of a script's output, or nothing of a log."""
    if name == "state.json":
        return str(json.loads(text)["phase"])
    if name == "manifest.json":
        return str(json.loads(text)["run"])
    # PowerShell ends the lines of a program's output as its system does when it writes them to a file.
    return text.replace("\r\n", "\n")[-LAST_CHARACTERS:] if name.endswith((".out", ".err")) else ""
