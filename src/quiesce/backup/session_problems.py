"""What a session is worth: whether snapshots are taken in it, whether the application was held, and what went wrong."""

from dataclasses import dataclass
from datetime import datetime

from quiesce.backup.state import NOTHING_ASKED, FailedAttempt, Plan, RunState, ShadowOutcome
from quiesce.executions import cause_of
from quiesce.guest.answers import ScriptResult, Session
from quiesce.policy.policy import Vss

# The guest's reasons for a script that did not succeed.
WORDS = {
    "Missing": "is missing",
    "TimedOut": "ran longer than its limit and was ended",
    "Interrupted": "was interrupted: the server or its session runner went down",
    "NotStarted": "was not begun: the session runner did not live, or the thaw came first",
    "IdentityUnknown": "was not run: the server could not tell which server it is",
    "AlreadyRun": "was not run: another attempt has run it",
    "Superseded": "was not run: a later attempt has begun",
}


@dataclass(frozen=True)
class Decision:
    """What follows from a freeze: ``retry`` another attempt after ``wait_s``, else snapshots if ``go_on``.

    ``retry_refused``: if EC2 refuses the snapshots, another attempt is made, too.
    """

    go_on: bool
    retry: bool
    retry_refused: bool
    wait_s: int
    reason: str


def decide(plan: Plan, session: Session, shadow: ShadowOutcome | None, attempt: int) -> Decision:
    """Decide what follows from an attempt.

    A failure does not end the run, unless the policy takes nothing less than application consistency: after the last
    attempt the snapshots are taken while the before script still holds.
    """
    of_before = script_problem("before", session.before)
    of_shadow = "" if shadow is None or shadow.good else shadow.reason
    problem = "; ".join(words for words in (of_before, of_shadow) if words)
    vss = plan.settings.vss if plan.shadow and plan.settings.vss != "off" else Vss(retries=0)
    left = attempt <= vss.retries
    any_failure = left and vss.retry_on == "any-failure"
    advised_s = shadow.wait_s if shadow and of_shadow else None
    wait_s = min(advised_s or vss.retry_wait_s, vss.retry_wait_s)
    retry = bool(problem) and (any_failure or (left and advised_s is not None and not of_before))
    go_on = not retry and (not problem or plan.settings.consistency != "application")
    return Decision(go_on, retry, any_failure, wait_s, problem or _good(plan))


def _good(plan: Plan) -> str:
    parts = ["the before script succeeded"] if plan.settings.scripts != "off" else []
    parts += ["the shadow copies were made"] if plan.shadow else []
    return ", and ".join(parts)


def earlier_attempts(state: RunState, now: datetime) -> list[FailedAttempt]:
    """Return the attempts that were given up before this one, the last of them with why."""
    if state.freeze is None:
        return []
    refused = cause_of(state.snapshot_refused).words if state.freeze.go_on and state.snapshot_refused else ""
    last = FailedAttempt(attempt=state.freeze.attempt, reason=refused or state.freeze.reason, ended_at=now)
    return [*state.freeze.earlier, last]


def was_asked(state: RunState) -> bool:
    """Say whether the server may have been asked to freeze, and so must be thawed."""
    if state.plan is None or not state.plan.freezes:
        return False
    # An earlier attempt was asked, even if this one was not.
    return state.freeze is not None or state.freeze_failure is None or state.freeze_failure.Error not in NOTHING_ASKED


def was_held(session: Session | None) -> bool:
    """Say whether the application was certainly held until somebody asked for the thaw."""
    if session is None or session.before is None or session.after is None:
        return False
    return session.before.succeeded and not session.auto_thawed and not session.runner_lost


def session_problems(session: Session | None) -> list[str]:
    """Return what went wrong in a session, up to the after script."""
    if session is None:
        return ["the server said nothing of its session"]
    problems = [script_problem("before", session.before), script_problem("after", session.after)]
    if session.auto_thawed:
        problems.append("the server thawed by itself: nobody asked it in time")
    if session.runner_lost:
        problems.append(
            "the session lost its runner before the thaw: nobody knows whether the application was still held"
        )
    return [problem for problem in problems if problem]


def script_problem(stage: str, script: ScriptResult | None) -> str:
    """Return what is wrong with one script in words, empty if nothing is."""
    if script is None:
        return f"it is not known whether the {stage} script ran"
    if script.succeeded:
        return ""
    if script.reason == "ExitCode":
        return f"the {stage} script ended with exit code {script.exit_code}"
    return f"the {stage} script {WORDS.get(script.reason, f'failed: {script.reason}')}"
