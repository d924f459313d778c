"""What inventory and stage found of scripts and old sessions, in the words of the record's notes."""

from collections.abc import Sequence
from datetime import UTC, datetime

from quiesce.guest.manifest import OverdueSession, Staged, StrangeSessions
from quiesce.guest.sessions import Phase

# Until the after script has ended, the application may be held.
HELD: tuple[Phase, ...] = ("before", "frozen", "after")
# guest/parts, $Startable.
STARTABLE = ".ps1, .cmd, .bat, .vbs, .exe and .com"


def overdue_notes(sessions: Sequence[OverdueSession]) -> list[str]:
    """Return a note on each session that inventory found open an hour past its limit."""
    open_still = "was still open on the server, beyond its limit"
    return [f"the session of {each} {open_still} (phase {each.phase}): {_since(each)}" for each in sessions]


def _since(session: OverdueSession) -> str:
    began = f"{datetime.fromtimestamp(session.created_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC by its clock"
    held = ", and its application may have been held since" if session.phase in HELD else ""
    return f"it began at {began}{held}"


def staged_notes(staged: Staged, where: str) -> list[str]:
    """Return notes on the scripts' account, on those that are missing or not judged, and on sessions that it ended.

    Args:
        staged: the server's answer.
        where: the place of the scripts, in words.
    """
    missing = [] if staged.source == "off" else staged.missing()
    ignored = {"before": staged.ignored.get("session"), **staged.ignored}
    unsure = [(stage, words) for stage, words in staged.unsure.items() if words]
    account = f"the scripts run under the account {staged.account}, whose task has begun on the server once"
    return [
        *([account] if staged.account else []),
        *(f"there is no {stage} script {where}{_ignored(ignored.get(stage))}" for stage in missing),
        *(f"it could not be told whether the {stage} script begins at all: {words}" for stage, words in unsure),
        *(
            f"the server has ended the session of {session}, which was open beyond its limit"
            for session in staged.overdue
        ),
        *strange_notes(staged.strange),
        *(
            f"the server could not remove the old run {kept.run}, and will try again: {kept.why}"
            for kept in staged.kept
        ),
    ]


def strange_notes(strange: StrangeSessions) -> list[str]:
    """Return notes on sessions that nobody on the server can go on with."""
    lost = "cannot be read (a hard stop while it was written?): see whether its application was held"
    return [
        *(f"the state of the session {name} {lost}" for name in strange.unreadable),
        *(
            f"the session {name} is of the server that this one is a copy of: nothing is done with it"
            for name in strange.foreign
        ),
    ]


def _ignored(name: str | None) -> str:
    return f": {name} is none, because the server starts only {STARTABLE}; write a .cmd that starts it" if name else ""
