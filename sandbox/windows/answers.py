"""The guest's answers on a simulated server, and what they have room for."""

import base64
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.windows.host import Json
from sandbox.windows.session import Session

# guest/quiesce.ps1: the agent cuts an answer at 24,000 characters.
MAX_ANSWER, MAX_LOG, MIN_LOG = 23_000, 9_000, 2_000


@dataclass
class Request:
    """A verb under way: ``answer`` is what the agent reports, as soon as there is something to report."""

    poll: Callable[[float], dict[str, Json] | None]
    deadline_s: float

    def answer(self, now_s: float) -> dict[str, Json] | None:
        """Return the guest's line of JSON, or None while the verb still waits. Exit code: 0 if ``ok``, else 1."""
        return self.poll(now_s)


def with_log(answer: dict[str, Json], session: Session) -> dict[str, Json]:
    """Return an answer with the session and, if VSS is on, as much of the end of DiskShadow's log as there is room for.

    Where there is hardly any, where the shadow copies lie gives way.
    """
    answer = answer | {"session": dict(session.saved)}
    if session.shadow is None:
        return answer
    if _characters(answer) > MAX_ANSWER - MIN_LOG:
        answer["session"]["shadow"] = session.saved["shadow"] | {"storage": None, "storageAtThaw": None}
    log = session.shadow.log()
    if log is None:
        return answer | {"diskShadowLog": None, "diskShadowLogCut": False}
    # What the two keys themselves take is within what the agent leaves above the limit.
    room = min(MAX_LOG, MAX_ANSWER - _characters(answer))
    kept = log
    while len(packed := base64.b64encode(gzip.compress(kept, mtime=0)).decode()) > room:
        kept = kept[len(kept) // 8 + 1 :]
    return answer | {"diskShadowLog": packed, "diskShadowLogCut": kept != log}


def _characters(answer: dict[str, Json]) -> int:
    return len(json.dumps(answer, separators=(",", ":")))
