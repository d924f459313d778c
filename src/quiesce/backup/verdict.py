"""The verdict: what a run is worth, told from everything that happened. One pure function; nothing else decides it."""

from dataclasses import dataclass, replace
from typing import Literal

from quiesce.backup.session_problems import script_problem, session_problems, was_asked, was_held
from quiesce.backup.shadow_copies import (
    ending_problems,
    evidence_of,
    evidence_problems,
    evidence_words,
    has_good_shadow_copies,
    thaw_problems,
)
from quiesce.backup.state import Awaited, Consistency, Failure, Plan, RunState, Snapshot
from quiesce.executions import Cause, cause_of

Status = Literal["Successful", "PartiallySuccessful", "Failed"]

HELD = "the before script succeeded, and the application was held until the snapshots were initiated"
ADOPTED = "the answer of CreateSnapshots was lost: nobody knows whether the application was still held"
# The error name of a run whose Plan left nothing.
PLAN_MISSING = "PlanMissing"
# The before script failed, and the policy takes nothing less: the error name of such a run.
NOT_FROZEN = "NotFrozen"
# The snapshots are not all there, or not all good: the error name of a run that no exception ended.
SNAPSHOTS_INCOMPLETE = "SnapshotsIncomplete"


@dataclass(frozen=True)
class Verdict:
    """What a run is worth, with the reason in words; ``cause`` only where it is Failed."""

    status: Status
    reason: str
    consistency: Consistency
    cause: Cause | None
    notes: tuple[str, ...] = ()


def judge(state: RunState) -> Verdict:
    """Judge a run by everything that happened.

    Returns:
        ``Failed`` unless the snapshots are good; ``PartiallySuccessful`` if they are, the application was to be asked,
        and that did not go well in every part; else ``Successful``. What went wrong on the server beside the cause of
        a failed run is in its notes: its application may still be held.
    """
    verdict = _of_snapshots(state)
    if state.plan is None or not state.plan.settings.freezes:
        return verdict
    before_complete = _before_complete(state, state.plan)
    problems = before_complete + _of_complete(state, state.plan)
    if verdict.status == "Failed":
        beside = [problem for problem in problems if was_asked(state) and problem not in verdict.reason]
        return replace(verdict, notes=(*verdict.notes, *beside))
    consistency = Consistency(level="application", reason=_held(state, state.plan))
    if not _was_at_rest(state, state.plan) or _of_evidence(state, state.plan):
        consistency = Consistency(level="crash", reason=before_complete[0])
        verdict = replace(verdict, notes=(*verdict.notes, *_wrong_description(state)))
    if problems:
        return replace(verdict, status="PartiallySuccessful", consistency=consistency, reason="; ".join(problems))
    return replace(verdict, consistency=consistency)


def succeeded_so_far(state: RunState) -> bool:
    """Say whether the whole backup and the scripts so far succeeded: what the complete script is told."""
    if state.plan is None or _of_snapshots(state).status != "Successful":
        return False
    return not _before_complete(state, state.plan)


def awaits_evidence(state: RunState) -> bool:
    """Say whether all that is left to show is that the snapshots hold the shadow copies."""
    plan = state.plan
    if plan is None or plan.settings.vss == "off" or _of_snapshots(state).status != "Successful":
        return False
    return _was_at_rest(state, plan)


def judge_snapshots(plan: Plan | None, awaited: Awaited | None, failure: Failure | None) -> Verdict:
    """Judge the snapshots of a run alone.

    Args:
        plan: None if Plan did not get through.
        awaited: the last that AwaitSnapshots knew; None if it never answered.
        failure: what the last Catch kept, if any.

    Returns:
        ``Failed`` unless each planned volume has a completed snapshot; a lost answer that was found again is a note.
    """
    cause = cause_of(failure) if failure else None
    if plan is None:
        return _failed(cause or Cause(PLAN_MISSING, "Plan gave no answer"))
    if awaited is None or not awaited.done:
        return _failed(cause or Cause(SNAPSHOTS_INCOMPLETE, "it is not known whether the snapshots completed"))
    if not awaited.snapshots:
        return _failed(cause or Cause(SNAPSHOTS_INCOMPLETE, "no snapshot of this run was found"))
    if problems := [*_missing(plan, awaited), *_bad(awaited, plan)]:
        return _failed(Cause(SNAPSHOTS_INCOMPLETE, "; ".join(problems)))
    notes = _notes(plan, awaited, cause)
    return Verdict("Successful", "every chosen volume has a completed snapshot", plan.consistency, None, notes)


def _of_snapshots(state: RunState) -> Verdict:
    freeze = state.freeze
    if freeze is not None and not freeze.go_on and state.freeze_failure is None and not _went_on(state):
        return _failed(Cause(NOT_FROZEN, f"{freeze.reason}, and the policy wants application consistency"))
    return judge_snapshots(state.plan, state.await_snapshots, state.freeze_failure or state.snapshot_failure)


def _went_on(state: RunState) -> bool:
    """Say whether the snapshots were taken because a failed attempt could not be thawed for another one."""
    return state.retry_failure is not None and state.freeze is not None and state.freeze.crash_allowed


def _before_complete(state: RunState, plan: Plan) -> list[str]:
    if not plan.settings.freezes:
        return []
    if not plan.freezes:
        return [plan.consistency.reason]
    adopted = [ADOPTED] if _was_adopted(state) else []
    given_up = [_given_up(state)] if state.given_up else []
    unanswered = [f"Thaw got no answer ({cause_of(state.thaw_failure).words})"] if state.thaw_failure else []
    return [
        *adopted,
        *given_up,
        *unanswered,
        *session_problems(state.session),
        *_of_shadow(state, plan),
        *_of_evidence(state, plan),
    ]


def _given_up(state: RunState) -> str:
    words = f" ({cause_of(state.retry_failure).words})" if state.retry_failure else ""
    return f"the session was thawed for another attempt, which was not made{words}"


def _of_shadow(state: RunState, plan: Plan) -> list[str]:
    """Return what speaks against the shadow copies: where VSS is wanted, nothing less counts."""
    if plan.settings.vss == "off":
        return []
    if plan.shadow is None:
        return [f"VSS made no shadow copies: {plan.no_shadow or 'it was not planned'}"]
    if state.shadow is None:
        return ["it is not known whether the shadow copies were made"]
    if not state.shadow.good:
        return [state.shadow.reason]
    return thaw_problems(state.session, state.shadow)


def _was_at_rest(state: RunState, plan: Plan) -> bool:
    held = was_held(state.session) and not _was_adopted(state) and not state.given_up
    return held and not _of_shadow(state, plan)


def _of_evidence(state: RunState, plan: Plan) -> list[str]:
    """Return what the snapshots have against shadow copies against which nothing else speaks."""
    if not awaits_evidence(state):
        return []
    return evidence_problems(evidence_of(state), required=plan.settings.evidence == "required")


def _held(state: RunState, plan: Plan) -> str:
    if not has_good_shadow_copies(state) or state.shadow is None:
        return HELD
    paths = ", ".join(copy.path or copy.volume_guid for copy in state.shadow.copies)
    excluded = plan.shadow.excluded_writers if plan.shadow else []
    words = f"the snapshots hold shadow copies of {paths}, made by VSS with its writers"
    words += f" but for {', '.join(excluded)}, which the policy excludes" if excluded else ""
    held = "" if plan.settings.scripts == "off" else ", while the before script held the application"
    return f"{words}{held}, {evidence_words(evidence_of(state))}"


def _wrong_description(state: RunState) -> list[str]:
    if not has_good_shadow_copies(state):
        return []
    return ["the snapshots' description says 'VSS snapshot' and can't be changed: that turned out to be wrong"]


def _was_adopted(state: RunState) -> bool:
    return state.await_snapshots is not None and state.await_snapshots.adopted


def _of_complete(state: RunState, plan: Plan) -> list[str]:
    if not plan.freezes:
        return []
    if state.complete_failure:
        return [f"it is not known whether the complete script ran ({cause_of(state.complete_failure).words})"]
    problem = script_problem("complete", state.session.complete if state.session else None)
    told = state.complete is not None and state.complete.succeeded and plan.shadow is not None
    ending = ending_problems(state.session, state.complete.ending) if told and state.complete else []
    return [*([problem] if problem else []), *ending]


def _failed(cause: Cause) -> Verdict:
    return Verdict("Failed", cause.words, Consistency(level="none", reason=cause.words), cause)


def _missing(plan: Plan, awaited: Awaited) -> list[str]:
    there = {snapshot.volume_id for snapshot in awaited.snapshots}
    return [f"{v.device} {v.volume_id} has no snapshot" for v in plan.volumes if v.volume_id not in there]


def _bad(awaited: Awaited, plan: Plan) -> list[str]:
    devices = {v.volume_id: v.device for v in plan.volumes}
    return [
        f"{snapshot.snapshot_id} of {devices.get(snapshot.volume_id, 'an unplanned volume')} {_word(snapshot, awaited)}"
        for snapshot in awaited.snapshots
        if snapshot.state != "completed"
    ]


def _word(snapshot: Snapshot, awaited: Awaited) -> str:
    match snapshot.state:
        case "pending":
            pending = "did not complete in time" if awaited.timed_out else "was still pending when another one failed"
            return f"{pending} ({snapshot.progress or 'no progress known'})"
        case "vanished":
            return "vanished: somebody deleted it, or a lifecycle rule did"
        case "error":
            return f"failed in EBS: {snapshot.state_message or 'no reason given'}"
        case _:
            return f"is in the Recycle Bin ({snapshot.state}): somebody deleted it"


def _notes(plan: Plan, awaited: Awaited, cause: Cause | None) -> tuple[str, ...]:
    planned = {v.volume_id for v in plan.volumes}
    notes = [
        f"{s.snapshot_id} is of {s.volume_id}, which was attached after the plan was made"
        for s in awaited.snapshots
        if s.volume_id not in planned
    ]
    if awaited.adopted:
        notes.append(
            f"the answer of CreateSnapshots was lost ({cause.error if cause else 'unknown'}); "
            "its snapshots were found by their tag"
        )
    if not awaited.lease_held:
        notes.append("the server's lease was lost while the snapshots completed; another run may have overlapped")
    return tuple(notes)
