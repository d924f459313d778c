"""The guest's verb ``collect`` on a simulated server: packs a session's files and sends them."""

import io
import json
import zipfile
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from sandbox.windows.host import STAGES, Json
from sandbox.windows.session import Run, Session
from sandbox.windows.staging import Refused

# Uploads to a link; False where a server would get an error.
Put = Callable[[str, bytes], bool]
MAX_FILE_BYTES = 10 * 2**20
# What Windows itself reports about shadow copies: its providers, and no events here.
DIAGNOSIS = {
    "events.application.txt": b"",
    "events.system.txt": b"",
    "providers.txt": b"Provider name: 'Microsoft Software Shadow Copy provider 1.0'\r\n",
}


def log_text(session: Session) -> str:
    """Return the log for people: a line for each script that has ended."""
    lines = []
    for stage in STAGES:
        entry = session.saved[stage]
        if entry and entry["endedMs"]:
            at = datetime.fromtimestamp(entry["endedMs"] / 1000, UTC).isoformat(timespec="milliseconds")
            lines.append(
                f"{at} {stage} {entry['argument']} ended: succeeded {entry['succeeded']} {entry['reason']}\r\n"
            )
    return "".join(lines)


def files_of(session: Session, *, with_output: bool) -> dict[str, bytes]:
    """Return the files that belong to a session, in the guest's order."""
    written = {"session.log": log_text(session).encode("ascii", "replace")} | (session.output if with_output else {})
    written |= session.shadow.files() if session.shadow else {}
    diagnosis = DIAGNOSIS if session.shadow else {}
    documents = {"manifest.json": session.run.manifest, "state.json": session.saved}
    encoded = {name: json.dumps(value).encode() for name, value in documents.items()}
    return encoded | dict(sorted(written.items())) | diagnosis


def packed(session: Session, *, with_output: bool, locked: Collection[str]) -> tuple[bytes, list[Json]]:
    """Return a session's files as one zip, and its list; ``locked`` are files that another process has open."""
    archive, listed = io.BytesIO(), []
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files_of(session, with_output=with_output).items():
            mark = "unreadable-" if name in locked else "cut-" if len(content) > MAX_FILE_BYTES else ""
            kept = b"" if name in locked else content[-MAX_FILE_BYTES:]
            target.writestr(mark + name, kept)
            listed.append({"name": mark + name, "bytes": len(kept), "cut": bool(mark)})
    return archive.getvalue(), listed


def collect(run: Run, parameters: dict[str, str], put: Put, locked: Collection[str]) -> dict[str, Json]:
    """Send the files of an attempt's session, and return the answer's part about session and files.

    Raises:
        Refused: there is no link or no session, or the bucket refuses the files.
    """
    attempt, link = parameters["Attempt"], parameters["UploadLink"]
    if link == "none":
        raise Refused("InvalidParameter: UploadLink")
    session = run.sessions.get(int(attempt))
    if session is None:
        raise Refused(f"NotStaged: {parameters['RunId']} has no attempt {attempt}")
    state = dict(session.saved)
    content, files = packed(session, with_output=parameters["CollectOutput"] == "true", locked=locked)
    if not put(link, content):
        raise Refused("NotCollected: the bucket did not take it", session=state)
    return {"session": state, "collected": {"files": files, "bytes": len(content)}}
