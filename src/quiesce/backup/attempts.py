"""What follows from an attempt: snapshots, another attempt, or neither."""

from dataclasses import dataclass
from datetime import datetime

from quiesce.backup.session_problems import script_problem
from quiesce.backup.state import Plan, RunState
from quiesce.executions import cause_of
from quiesce.guest.answers import Session
from quiesce.points.parts import FailedAttempt, ShadowOutcome
from quiesce.policy.parts import Vss


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
