"""DiskShadow as a process of a session on a simulated server; only ``advance`` moves its clock."""

import re

from sandbox.windows.diskshadow import GUID, DiskShadow
from sandbox.windows.vss import Server

# hold.cmd, which guest/parts writes.
DONE, ABORTED, TOO_LATE, REFUSED = range(4)


class ShadowProcess:
    """One DiskShadow with a session's script, whose ``exec`` holds it until a flag lies in the attempt's folder."""

    def __init__(self, server: Server, script: bytes, now_s: float, hold_limit_s: float) -> None:
        """Start it; ``hold_limit_s`` is the batch file's own deadline."""
        self._server, self._tool, self._hold_limit_s = server, DiskShadow(server), hold_limit_s
        self._steps = self._tool.steps(script)
        self._words: list[str] = []
        self._since_s = now_s
        self._flags_s: dict[str, float] = {}
        self.set_id: str | None = None
        self.created_s: float | None = None
        """When the hold wrote the set's id down: from then on the shadow copies exist."""
        self.ended_s: float | None = None
        self.exit_code: int | None = None

    def flag(self, name: str, now_s: float) -> None:
        """Set a flag for the hold: ``backup`` or ``abort``."""
        self._flags_s.setdefault(name, now_s)

    def was_flagged(self, name: str) -> bool:
        """Whether this flag was set."""
        return name in self._flags_s

    def flagged_s(self, name: str) -> float:
        """Return when this flag was set."""
        return self._flags_s[name]

    def advance(self, now_s: float) -> None:
        """Do everything that is due by now."""
        while self.ended_s is None and (due := self._due(now_s)):
            self._since_s, code = due
            try:
                self._words = self._steps.send(code if self._words else None)
            except StopIteration:
                self._end(self._server.failure_exit_code if self._tool.failed else 0)

    def kill(self, now_s: float) -> None:
        """End it from outside, together with its hold; what it has not created by then it never creates."""
        self.advance(now_s)
        if self.ended_s is None:
            self._since_s = now_s
            self._end(self._server.killed_exit_code)

    def log(self) -> bytes:
        """Return the log so far."""
        return self._tool.text()

    def _due(self, now_s: float) -> tuple[float, int] | None:
        """Return when its current step ended, and the exit code; None while the step goes on."""
        wait_s = {"create": self._server.create_s, "end": self._server.end_s}
        first = self._words[0] if self._words else ""
        ended_s, code = (self._since_s + wait_s.get(first, 0.0), 0) if first in {"", *wait_s} else self._held()
        return (ended_s, code) if now_s >= ended_s else None

    def _held(self) -> tuple[float, int]:
        argument = "".join(self._words[1:2])
        if not re.fullmatch(GUID, argument):
            return self._since_s, REFUSED
        if self.created_s is None and self._server.hold_writes:
            self.created_s, self.set_id = self._since_s, argument
        ends = [(self._since_s + self._hold_limit_s, TOO_LATE)]
        codes = {"backup": DONE, "abort": ABORTED}
        return min(ends + [(flagged_s, codes[name]) for name, flagged_s in self._flags_s.items()])

    def _end(self, exit_code: int) -> None:
        self.ended_s, self.exit_code = self._since_s, exit_code
