"""What the machine does after an attempt to freeze: snapshots, another attempt, or neither."""

from dataclasses import dataclass
from datetime import datetime

from quiesce.backup.session_problems import problem_of
from quiesce.backup.state import Plan, RunState
from quiesce.executions import cause_of
from quiesce.guest.sessions import Session
from quiesce.points.parts import FailedAttempt, ShadowOutcome
from quiesce.policy.vss import Vss


@dataclass(frozen=True)
class Decision:
    """After Freeze: another attempt in ``wait_s`` seconds if ``retry``, else the snapshots if ``go_on``.

    ``retry_refused``: the machine also makes another attempt if EC2 refuses the snapshots.
    """

    go_on: bool
    retry: bool
    retry_refused: bool
    wait_s: int
    reason: str


def decide(plan: Plan, session: Session, shadow: ShadowOutcome | None, attempt: int) -> Decision:
    """Decide what follows from an attempt.

    A failure ends the run only if the policy requires application consistency; else, after the last attempt, Snapshot
    runs while the before script still holds the application.
    """
    before_problem = problem_of(session, "before")
    shadow_problem = "" if shadow is None or shadow.good else shadow.reason
    problem = "; ".join(words for words in (before_problem, shadow_problem) if words)
    vss = _vss_of(plan)
    retries_left = plan.shadow is not None and attempt <= vss.retries
    any_failure = retries_left and vss.retry_on == "any-failure"
    advised_s = shadow.wait_s if shadow and shadow_problem else None
    wait_s = min(advised_s or vss.retry_wait_s, vss.retry_wait_s)
    retry = bool(problem) and (any_failure or (retries_left and advised_s is not None and not before_problem))
    go_on = not retry and (not problem or plan.settings.consistency != "application")
    return Decision(go_on, retry, any_failure, wait_s, problem or _success_words(plan, session))


def without_answer(plan: Plan, words: str) -> Decision:
    """Decide what follows from a freeze that got no answer, if the policy allows a crash-consistent backup.

    The snapshots come first: the server thaws by its own deadline, and the thaw may take long to reach it.
    """
    return Decision(go_on=True, retry=False, retry_refused=False, wait_s=_vss_of(plan).retry_wait_s, reason=words)


def may_try_later(state: RunState) -> bool:
    """Say whether the machine makes another attempt if EC2 creates no snapshots because too many are pending.

    As often as after a timeout of VSS, also without VSS: what the next attempt needs is time. Not after AWS's document,
    which is sent once.
    """
    if state.freeze is None or state.retry_failure is not None or state.needed_plan().by_aws:
        return False
    return state.freeze.attempt <= _vss_of(state.needed_plan()).retries


def _vss_of(plan: Plan) -> Vss:
    """Return how the policy tries again; one without DiskShadow has the defaults."""
    return plan.settings.disk_shadow or Vss()


def _success_words(plan: Plan, session: Session) -> str:
    held = "the session script holds the application" if session.holds else "the before script succeeded"
    parts = [held] if plan.settings.scripts != "off" else []
    parts += ["the shadow copies were made"] if plan.shadow else []
    return ", and ".join(parts)


def earlier_attempts(state: RunState, now: datetime) -> list[FailedAttempt]:
    """Return the attempts that were given up before this one, each with its reason."""
    if state.freeze is None:
        return []
    refused = cause_of(state.snapshot_refused).words if state.freeze.go_on and state.snapshot_refused else ""
    last = FailedAttempt(attempt=state.freeze.attempt, reason=refused or state.freeze.reason, ended_at=now)
    return [*state.freeze.earlier, last]
