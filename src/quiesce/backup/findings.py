"""All that counts for and against a run, gathered once from what its states left."""

from dataclasses import dataclass
from datetime import datetime

from quiesce.backup.session_problems import failed_after, problem_of, session_problems, was_asked, was_held
from quiesce.backup.shadow_problems import (
    at_backup_problems,
    build_problems,
    document_problems,
    ending_problems,
    evidence_of,
    evidence_problems,
    has_good_shadow_copies,
    thaw_problems,
)
from quiesce.backup.snapshot_verdict import Verdict, failed, judge_snapshots
from quiesce.backup.state import Plan, RunState
from quiesce.executions import Cause, cause_of
from quiesce.guest.sessions import Session
from quiesce.points.evidence import Verified
from quiesce.points.parts import ShadowOutcome
from quiesce.points.record import FreezeWindow

# Freeze got no answer, and the policy allows a crash-consistent backup.
UNANSWERED = "it is not known whether the application was held: the server did not answer Freeze"
ADOPTED_FROM_AWS = "it is not known when AWS's document ended: the application may not have been held until then"
ADOPTED = "the answer of CreateSnapshots was lost: it is not known whether the application was still held"
TOLD_FAILED = (
    "the server was told that the backup failed (complete with 0), because its snapshots were not known to be good"
)
# The error name of a run whose freeze failed, under a policy that requires application consistency.
NOT_FROZEN = "NotFrozen"


@dataclass(frozen=True)
class Findings:
    """All that verdict and record need to know of a run; the mail reads it from the record.

    Attributes:
        plan: None if Plan failed.
        snapshots: the verdict on them alone; ``Failed`` also if the policy allows none without a freeze.
        asked: whether the server may have been asked to freeze.
        problems: what went wrong with the application until Complete, the most important first; empty if the policy
            freezes nothing.
        end_problems: what went wrong at the end of the session.
        in_cause: the problems that the cause of a failed run already names.
        consistent: whether the application was consistent while EC2 created the snapshots, as far as the server knows.
        session: the last attempt's, as the server last reported it.
        shadow: the outcome of the last attempt's shadow copies; None if it made none.
        evidence: what Verify found in the snapshots; None if it had nothing to verify.
        contradicted: whether the snapshots contradict the server, or are not all that the policy requires of them.
        says_vss: whether the snapshots' description says ``VSS snapshot``.
        maybe_held: why the application may still be held, empty if nothing indicates that.
        freeze_window: how long the application was held; None if that was not measured.
    """

    plan: Plan | None
    snapshots: Verdict
    asked: bool
    problems: tuple[str, ...]
    end_problems: tuple[str, ...]
    in_cause: frozenset[str]
    consistent: bool
    session: Session | None
    shadow: ShadowOutcome | None
    evidence: Verified | None
    contradicted: bool
    says_vss: bool
    maybe_held: str
    freeze_window: FreezeWindow | None

    @property
    def awaits_evidence(self) -> bool:
        """Whether the run is good so far, and Verify has to show that the snapshots hold the shadow copies."""
        made = self.plan is not None and self.plan.settings.disk_shadow is not None
        return made and self.consistent and self.snapshots.status == "Successful"

    @property
    def succeeded_so_far(self) -> bool:
        """Whether the whole backup and the scripts so far succeeded: the argument of the complete script."""
        return self.snapshots.status == "Successful" and not self.problems


def gather(state: RunState) -> Findings:
    """Gather what the states of a run left; in a run that has not ended, what is not known yet is a problem."""
    plan, snapshots = state.plan, _snapshot_verdict(state)
    shadow_problems = _shadow_problems(state, plan) if plan else []
    held = was_held(state.session) and not (_was_adopted(state) or state.given_up or _is_unanswered(state))
    consistent = held and not shadow_problems
    evidence = evidence_of(state)
    contradictions, unbuilt = [], []
    if plan and plan.settings.disk_shadow and consistent and snapshots.status == "Successful":
        contradictions = [
            *evidence_problems(evidence, required=plan.settings.evidence == "required"),
            *build_problems(evidence, required=plan.settings.buildable == "required"),
        ]
        unbuilt = [] if contradictions else at_backup_problems(state)
    problems = _problems(state, plan, [*shadow_problems, *contradictions, *unbuilt]) if plan else []
    is_good = snapshots.status == "Successful" and not problems
    return Findings(
        plan=plan,
        snapshots=snapshots,
        asked=was_asked(state),
        problems=tuple(problems),
        end_problems=tuple(_end_problems(state, plan, is_good=is_good)) if plan else (),
        in_cause=frozenset(_reasons_not_to_go_on(state) if snapshots.cause else ()),
        consistent=consistent,
        session=state.session,
        shadow=state.shadow,
        evidence=evidence,
        contradicted=bool(contradictions),
        says_vss=has_good_shadow_copies(state),
        maybe_held=failed_after(state.session),
        freeze_window=window_of(state),
    )


def _snapshot_verdict(state: RunState) -> Verdict:
    freeze = state.freeze
    if freeze is not None and not freeze.go_on and state.freeze_failure is None and not _went_on(state):
        return failed(Cause(NOT_FROZEN, f"{freeze.reason}, and the policy wants application consistency"))
    made, awaited = state.snapshot_by_aws, state.await_snapshots
    if made and not made.succeeded and not made.fall_back and not (awaited and awaited.snapshots):
        return failed(Cause(NOT_FROZEN, f"{made.reason}, and the policy wants application consistency"))
    return judge_snapshots(state.plan, awaited, state.freeze_failure or state.snapshot_failure)


def _went_on(state: RunState) -> bool:
    """Say whether Snapshot ran because the machine could not thaw a failed attempt for another one."""
    return state.retry_failure is not None and state.freeze is not None and state.freeze.crash_allowed


def _reasons_not_to_go_on(state: RunState) -> list[str]:
    """Return the problems for which Freeze decided against snapshots."""
    if state.freeze is None or state.freeze.go_on:
        return []
    shadow_reason = state.freeze.shadow.reason if state.freeze.shadow else ""
    return [problem_of(state.freeze.session, "before"), shadow_reason]


def _problems(state: RunState, plan: Plan, shadow_problems: list[str]) -> list[str]:
    if not plan.settings.freezes:
        return []
    if not plan.freezes:
        return [plan.consistency.reason]
    adopted = [ADOPTED_FROM_AWS if plan.by_aws else ADOPTED] if _was_adopted(state) else []
    no_answer = [f"{UNANSWERED} ({state.freeze.reason})"] if state.freeze and _is_unanswered(state) else []
    given_up = [_given_up(state)] if state.given_up else []
    unanswered = [f"Thaw got no answer ({cause_of(state.thaw_failure).words})"] if state.thaw_failure else []
    return [*adopted, *no_answer, *given_up, *unanswered, *session_problems(state.session), *shadow_problems]


def _given_up(state: RunState) -> str:
    words = f" ({cause_of(state.retry_failure).words})" if state.retry_failure else ""
    return f"the session was thawed for another attempt, which was not made{words}"


def _shadow_problems(state: RunState, plan: Plan) -> list[str]:
    """Return the problems of the shadow copies; under a policy with VSS, to have none is one."""
    if plan.settings.aws_vss:
        return document_problems(state)
    if plan.settings.disk_shadow is None:
        return []
    if plan.shadow is None:
        return [f"VSS made no shadow copies: {plan.no_shadow or 'it was not planned'}"]
    if state.shadow is None:
        return ["it is not known whether the shadow copies were made"]
    if not state.shadow.good:
        return [state.shadow.reason]
    return thaw_problems(state.session, state.shadow, plan.shadow)


def _is_unanswered(state: RunState) -> bool:
    return state.freeze is not None and state.freeze.session is None and state.freeze.attempt == state.attempt


def _was_adopted(state: RunState) -> bool:
    """Say whether the snapshots were found by their tag, and it is not known when they were made."""
    known_end = state.snapshot_by_aws is not None
    return state.await_snapshots is not None and state.await_snapshots.adopted and not known_end


def _end_problems(state: RunState, plan: Plan, *, is_good: bool) -> list[str]:
    if not plan.settings.freezes or not plan.freezes:
        return []
    if state.complete_failure:
        return [f"it is not known whether the complete script ran ({cause_of(state.complete_failure).words})"]
    problem = problem_of(state.session, "complete")
    passed_success = state.complete is not None and state.complete.succeeded and plan.shadow is not None
    ending = ending_problems(state.session, state.complete.ending) if passed_success and state.complete else []
    told_failed = is_good and state.complete is not None and not state.complete.succeeded
    return [*([TOLD_FAILED] if told_failed else []), *([problem] if problem else []), *ending]


def window_of(state: RunState) -> FreezeWindow | None:
    """Measure a run's freeze window; None unless before succeeded, after began and CreateSnapshots answered."""
    session, frozen, returned_at = state.session, state.freeze, _returned_at(state)
    if session is None or session.before is None or session.after is None or frozen is None or returned_at is None:
        return None
    if not session.before.succeeded:
        return None
    held_ms, thawed_ms = session.before.ended_ms, session.after.started_ms
    known_ms, returned_ms = _milliseconds(frozen.known_at), _milliseconds(returned_at)
    clocks_agree = held_ms <= known_ms and returned_ms <= thawed_ms
    return FreezeWindow(
        total_ms=_span(held_ms, thawed_ms),
        known_ms=known_ms - held_ms if clocks_agree else None,
        snapshots_ms=_span(known_ms, returned_ms),
        thaw_ms=thawed_ms - returned_ms if clocks_agree else None,
    )


def _returned_at(state: RunState) -> datetime | None:
    """Return when CreateSnapshots had answered, or AWS's document had ended and EC2 had listed its snapshots."""
    if state.snapshot:
        return state.snapshot.returned_at
    return state.snapshot_by_aws.ended_at if state.snapshot_by_aws else None


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _span(start_ms: int, end_ms: int) -> int | None:
    return end_ms - start_ms if start_ms <= end_ms else None
