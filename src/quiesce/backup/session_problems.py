"""What a session shows: whether the server was asked to freeze, the application was held, and what went wrong."""

from quiesce.backup.state import NOTHING_ASKED, RunState
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
    problems = [script_problem("before", session.before), script_problem("after", session.after)]
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
    return script_problem("after", session.after) if session and session.after else ""


def script_problem(stage: str, script: ScriptResult | None) -> str:
    """Return the problem of one script, empty if it succeeded."""
    if script is None:
        return f"it is not known whether the {stage} script ran"
    if script.succeeded:
        return ""
    if script.reason == "ExitCode":
        return f"the {stage} script ended with exit code {script.exit_code}"
    name, _, why = script.reason.partition(": ")
    if name == "IdentityUnknown" and why:
        return f"the {stage} script {WORDS[name]} ({why})"
    return f"the {stage} script {WORDS.get(script.reason, f'failed: {script.reason}')}"
