"""The guest's answers on a simulated server, and the line in which the agent gets each."""

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.windows.host import Json
from sandbox.windows.session import Session

HEAD = ("quiesce", "verb", "run", "attempt", "ok", "error")
LANGUAGE_MODE = "LanguageMode: PowerShell is constrained for SYSTEM on this server"


@dataclass
class Request:
    """A verb in progress: ``answer`` is what the agent reports once the verb has ended."""

    poll: Callable[[float], dict[str, Json] | None]
    deadline_s: float

    def answer(self, now_s: float) -> dict[str, Json] | None:
        """Return the guest's line of JSON, or None while the verb still waits. Exit code: 0 if ``ok``, else 1."""
        return self.poll(now_s)


def with_log(answer: dict[str, Json], session: Session, log_bytes: int) -> dict[str, Json]:
    """Return an answer with the session and, if VSS is on, the end of DiskShadow's log: a character for each byte."""
    answer = answer | {"session": dict(session.saved)}
    if session.shadow is None:
        return answer
    log = session.shadow.log()
    if log is None:
        return answer | {"diskShadowLog": None, "diskShadowLogCut": False}
    kept = log[max(0, len(log) - log_bytes) :]
    return answer | {"diskShadowLog": kept.decode("latin-1"), "diskShadowLogCut": kept != log}


def line_of(answer: dict[str, Json]) -> str:
    """Return an answer as the line that the guest writes: all but its head is one compressed field."""
    head = {name: value for name, value in answer.items() if name in HEAD}
    if LANGUAGE_MODE in str(answer["error"]):
        return json.dumps(head, separators=(",", ":"))
    rest = {name: value for name, value in answer.items() if name not in HEAD}
    data = gzip.compress(json.dumps(rest, separators=(",", ":")).encode(), mtime=0)
    return json.dumps({**head, "data": base64.b64encode(data).decode()}, separators=(",", ":"))
