"""What a server has put into the bucket: the files of a session, as one zip."""

import io
import json
import zipfile

from tests.guest.cases import Json

LAST_CHARACTERS = 20


def packed(body: bytes) -> list[tuple[str, int]]:
    """Return names and sizes of what is in a zip; raise zipfile.BadZipFile if it is damaged."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(damaged)
        return [(entry.filename, entry.file_size) for entry in archive.infolist()]


def gist(body: bytes) -> Json:
    """Return what each file in a zip comes down to, without what differs from run to run."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: gist_of(name, archive.read(name).decode("ascii")) for name in archive.namelist()}


def gist_of(name: str, text: str) -> str:
    """Return the session's phase, the manifest's run, the end of what a script has printed; of a log only its name."""
    if name == "state.json":
        return str(json.loads(text)["phase"])
    if name == "manifest.json":
        return str(json.loads(text)["run"])
    # PowerShell writes lines anew when it sends a program's output to a file, ended as the system ends them.
    return text.replace("\r\n", "\n")[-LAST_CHARACTERS:] if name.endswith((".out", ".err")) else ""
