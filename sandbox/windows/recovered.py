"""A model of the guest's verb ``recovered``: it ends the sessions that a recovery point has found open."""

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.windows.session import Session
from sandbox.windows.staging import Refused


@dataclass
class Closing:
    """One request: ``own`` is the clone, ``start`` starts after's task, ``thaw`` says whether AWS asks for it."""

    own: str
    thaw: bool
    start: Callable[[Session, float], None]
    begun: set[int] = field(default_factory=set)

    def closed(self, session: Session, now_s: float) -> bool:
        """Go on with a session; return whether it has ended, and after with it."""
        if session.state["instance"] == self.own:
            return True
        if session.attempt in self.begun:
            return session.runner is None and session.saved["after"] is not None
        if session.runner is not None:
            session.complete_asked = session.complete_asked or "0"
            session.advance(now_s)
        return session.runner is None and self._closed(session, now_s)

    def _closed(self, session: Session, now_s: float) -> bool:
        if not session.close_clone(self.own, now_s):
            raise Refused(f"StateNotWritten: the session is still {session.phase}")
        if not self.thaw or not session.owes_after():
            return True
        self.begun.add(session.attempt)
        self.start(session, now_s)
        return self.closed(session, now_s)

    @property
    def late(self) -> str:
        """Return the error of a request whose time is up."""
        return "NotYet: after has not ended" if self.begun else "Busy"
