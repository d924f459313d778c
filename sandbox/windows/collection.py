"""What the guest's verb ``collect`` packs and sends of a session on a simulated server."""

import io
import json
import zipfile
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from sandbox.windows.host import STAGES, Json
from sandbox.windows.session import Run, Session
from sandbox.windows.staging import Refused

# Puts what a server sends to a link; False where it would get an error.
Put = Callable[[str, bytes], bool]
MAX_FILE_BYTES = 10 * 2**20
# What Windows itself says of shadow copies: of events, nothing here.
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
    told = DIAGNOSIS if session.shadow else {}
    documents = {"manifest.json": session.run.manifest, "state.json": session.saved}
    return (
        {name: json.dumps(value).encode() for name, value in documents.items()} | dict(sorted(written.items())) | told
    )


def packed(session: Session, *, with_output: bool, locked: Collection[str]) -> tuple[bytes, list[Json]]:
    """Return a session's files as one zip, and what is in it; ``locked`` are files that somebody does not share."""
    archive, listed = io.BytesIO(), []
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files_of(session, with_output=with_output).items():
            mark = "unreadable-" if name in locked else "cut-" if len(content) > MAX_FILE_BYTES else ""
            kept = b"" if name in locked else content[-MAX_FILE_BYTES:]
            target.writestr(mark + name, kept)
            listed.append({"name": mark + name, "bytes": len(kept), "cut": bool(mark)})
    return archive.getvalue(), listed


def collect(run: Run, parameters: dict[str, str], put: Put, locked: Collection[str]) -> dict[str, Json]:
    """Send the files of an attempt's session, and return what the answer says of both.

    Raises:
        Refused: there is no link or no session, or the bucket does not take them.
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
