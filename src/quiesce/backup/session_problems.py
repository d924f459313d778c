"""What a session shows: whether the server was asked to freeze, the application was held, and what went wrong."""

from quiesce.backup.state import NOTHING_ASKED, RunState
from quiesce.guest.scripts import Stage
from quiesce.guest.sessions import ScriptResult, Session

# The guest's reasons for a script that did not succeed.
WORDS = {
    "Missing": "is missing",
    "Unhandled": "ended by an error that it does not handle, and with exit code 0 all the same: see its output",
    "TimedOut": "ran longer than its limit and was ended",
    "Interrupted": "was interrupted: the server or its session runner went down",
    "NotStarted": "was not started: the session runner was not running, or the thaw came first",
    "IdentityUnknown": "was not run: the server could not find out its own instance id",
    "AlreadyRun": "was not run: another attempt has run it",
    "Superseded": "was not run: a later attempt has begun",
}
# The same of a session script by its stage, and where they mean something else.
WORDS_OF_HOLDING = {
    ("before", "EndedEarly"): "ended before it was told to thaw: it has not held the application until the snapshots",
    ("before", "TimedOut"): "was ended at its limit: it had not made the file of QUIESCE_FROZEN within before_limit_s",
    ("after", "TimedOut"): "was ended at its limit: it had not ended within after_limit_s of the thaw",
    ("after", "Unheard"): "has ended in time, but nobody heard its exit code: the session had lost its runner",
}


def was_asked(state: RunState) -> bool:
    """Say whether the server may have been asked to freeze, and so must be thawed."""
    if state.plan is None or not state.plan.freezes:
        return False
    # An earlier attempt was asked, even if this one was not.
    return state.freeze is not None or state.freeze_failure is None or state.freeze_failure.Error not in NOTHING_ASKED


def was_held(session: Session | None) -> bool:
    """Say whether the application was certainly held until the thaw was requested."""
    if session is None or session.before is None or session.after is None:
        return False
    return session.before.succeeded and not session.auto_thawed and not session.runner_lost


def session_problems(session: Session | None) -> list[str]:
    """Return what went wrong in a session, up to the after script."""
    if session is None:
        return ["the server did not report its session"]
    problems = [problem_of(session, "before"), problem_of(session, "after")]
    if session.auto_thawed:
        problems.append("the server thawed by itself: no thaw request came in time")
    if session.runner_lost:
        problems.append(
            "the session lost its runner before the thaw: it is not known whether the application was still held"
        )
    if session.alive:
        names = ", ".join(session.alive)
        problems.append(f"the server could not end {names}, which may have run on beside what came after it")
    return [problem for problem in problems if problem]


def failed_after(session: Session | None) -> str:
    """Return how the after script failed, empty if it succeeded or is not known to have run."""
    return problem_of(session, "after") if session and session.after else ""


def problem_of(session: Session | None, stage: Stage) -> str:
    """Return the problem of one of a session's scripts, empty if it succeeded; None: there is no session."""
    if session is None:
        return script_problem(stage, None)
    script = {"before": session.before, "after": session.after, "complete": session.complete}[stage]
    return script_problem(stage, script, holds=session.holds)


def script_problem(stage: str, script: ScriptResult | None, *, holds: bool = False) -> str:
    """Return the problem of one script, empty if it succeeded; ``holds``: a session script is before and after."""
    holding = holds and stage != "complete"
    name = "session script" if holding else f"{stage} script"
    if script is None:
        return f"it is not known whether the {name} {'has thawed' if holding and stage == 'after' else 'ran'}"
    if script.succeeded:
        return ""
    if script.reason == "ExitCode":
        return f"the {name} ended with exit code {script.exit_code}"
    reason, _, why = script.reason.partition(": ")
    if reason == "IdentityUnknown" and why:
        return f"the {name} {WORDS[reason]} ({why})"
    words = WORDS.get(script.reason, f"failed: {script.reason}")
    return f"the {name} {WORDS_OF_HOLDING.get((stage, script.reason), words) if holding else words}"
