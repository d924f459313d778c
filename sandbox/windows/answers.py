"""The guest's answers on a simulated server, kept within the room that the agent leaves them."""

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
    """A verb in progress: ``answer`` is what the agent reports once the verb has ended."""

    poll: Callable[[float], dict[str, Json] | None]
    deadline_s: float

    def answer(self, now_s: float) -> dict[str, Json] | None:
        """Return the guest's line of JSON, or None while the verb still waits. Exit code: 0 if ``ok``, else 1."""
        return self.poll(now_s)


def with_log(answer: dict[str, Json], session: Session) -> dict[str, Json]:
    """Return an answer with the session and, if VSS is on, as much of the end of DiskShadow's log as there is room for.

    If there is hardly any room, the answer leaves out where the shadow copies lie.
    """
    answer = answer | {"session": dict(session.saved)}
    if session.shadow is None:
        return answer
    if _characters(answer) > MAX_ANSWER - MIN_LOG:
        answer["session"]["shadow"] = session.saved["shadow"] | {"storage": None, "storageAtThaw": None}
    log = session.shadow.log()
    if log is None:
        return answer | {"diskShadowLog": None, "diskShadowLogCut": False}
    # The two keys themselves fit between our limit and the agent's.
    room = min(MAX_LOG, MAX_ANSWER - _characters(answer))
    kept = log
    while len(packed := base64.b64encode(gzip.compress(kept, mtime=0)).decode()) > room:
        kept = kept[len(kept) // 8 + 1 :]
    return answer | {"diskShadowLog": packed, "diskShadowLogCut": kept != log}


def _characters(answer: dict[str, Json]) -> int:
    return len(json.dumps(answer, separators=(",", ":")))
