"""What a recovered server has left of the backup's session, which its snapshots had found open, in words. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from quiesce.executions import Cause, Crossing
from quiesce.guest.sessions import Session, owes_after
from quiesce.recovery.plan import RecoveryPlan

Told = Literal["done", "not needed", "yours"]
# Until these phases after has not begun; a later one says that it began before the snapshots.
HELD = ("created", "before", "frozen")
# The reason of a script of a policy that has none, which counts as succeeded.
NO_SCRIPTS = "Off"
# What happened so long after the snapshots, by the server's own clock, happened on the recovered server.
CLOCKS_DIFFER = timedelta(minutes=1)
AT_BOOT = "the session's own task ends it at the first boot, without a script"
LOOK = r"session.log in the run's folder, below C:\ProgramData\Quiesce, says what happened"
HELD_STILL = "the application may still be held"


class LeftSession(Crossing):
    """How a session of the backup is on the recovered server now.

    ``found_in`` is the phase in which the snapshots had found it, empty if it was not open. ``after`` is what became of
    the after script there: ``owed`` if before had succeeded and after has not begun, ``none`` if nothing is owed.
    """

    found_in: str
    after: Literal["owed", "succeeded", "failed", "none"]
    reason: str = ""


class Leftovers(Crossing):
    """What the recovered server answered, by attempt; ``unasked`` says why it was not asked, empty if it was."""

    unasked: str = ""
    sessions: list[LeftSession] = []


def left(session: Session, snapshots_at: datetime) -> LeftSession:
    """Return what counts of a session as the recovered server has it; its disks are as of ``snapshots_at``, in UTC."""
    found_in, after = session.cloned.phase if session.cloned else "", session.after
    if NO_SCRIPTS in [script.reason for script in (session.before, after) if script]:
        return LeftSession(found_in=found_in, after="none")
    if after is None:
        return LeftSession(found_in=found_in, after="owed" if found_in and owes_after(session) else "none")
    began = datetime.fromtimestamp(after.started_ms / 1000, UTC)
    if found_in not in HELD and began < snapshots_at + CLOCKS_DIFFER:
        return LeftSession(found_in=found_in, after="none")
    reason = f"exit code {after.exit_code}" if after.reason == "ExitCode" else after.reason
    return LeftSession(found_in=found_in, after="succeeded" if after.succeeded else "failed", reason=reason)


def told(plan: RecoveryPlan, leftovers: Leftovers | None, failure: Cause | None) -> tuple[Told, str]:
    """Return how the backup's session ended on the recovered server, for the hand-over.

    Args:
        plan: the recovery's.
        leftovers: what the server answered, None if the recovery did not get so far as to ask.
        failure: why the server gave no answer, None if it was not asked or answered.
    """
    if not plan.froze:
        return "not needed", "the backup froze nothing, so its snapshots hold no open session"
    if leftovers is None or leftovers.unasked:
        why = leftovers.unasked if leftovers else f"{failure.error}: {failure.words}" if failure else "it was not asked"
        return "yours", f"it is not known how it ended ({why.rstrip('.')}): {AT_BOOT}; {LOOK}. {_by_hand('if')}"
    if not any(session.found_in for session in leftovers.sessions):
        return "not needed", "the snapshots hold no session that was open"
    return _of_open([session for session in leftovers.sessions if session.found_in or session.after != "none"][-1])


def _of_open(session: LeftSession) -> tuple[Told, str]:
    ended = (
        f"the snapshots had found it open (phase {session.found_in}), and it was ended here; no shadow copy was deleted"
    )
    match session.after:
        case "owed":
            return "yours", f"{ended}, and no script has run. {_by_hand('since')}"
        case "succeeded":
            return "done", f"{ended}, and the after script has run here and succeeded"
        case "failed":
            return (
                "yours",
                f"{ended}, and the after script has failed here ({session.reason}): {HELD_STILL}; look at it",
            )
        case _:
            return "done", f"{ended}; no script has run here, and none is owed"


def _by_hand(word: str) -> str:
    return (
        f"{word.capitalize()} the before script had succeeded by then, {HELD_STILL}: run the after script once, with "
        'the argument 1 (with "thaw_after_recovery": true a recovery does that)'
    )
