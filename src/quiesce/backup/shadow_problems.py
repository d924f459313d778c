"""Problems of an attempt's shadow copies after VSS made them: at the thaw, in the snapshots and at the end."""

from quiesce.backup.awaiting import known_snapshots
from quiesce.backup.state import RunState
from quiesce.executions import cause_of
from quiesce.guest.sessions import GuestShadowCopy, Session, Shadow
from quiesce.points.evidence import Build, Verified
from quiesce.points.parts import ShadowOutcome
from quiesce.vss.plan import ShadowPlan
from quiesce.vss.script import SYSTEM_PROVIDER

KILLED = "DiskShadow ended while it should have held the shadow copies: a person or endpoint protection ended it"
NOT_SENT = "AWS's document was not sent, because the server did not answer Freeze"
TOO_SLOW = "the shadow copies were not made within vss.create_limit_s"
WORDS = {
    "Lost": KILLED,
    "TimedOut": TOO_SLOW,
    "RunnerLost": "the session lost its runner, and its shadow copies were given up",
    "Aborted": "the server aborted the shadow copies",
    "EndTimedOut": "DiskShadow did not end after the backup",
}


def thaw_problems(session: Session | None, outcome: ShadowOutcome | None, plan: ShadowPlan) -> list[str]:
    """Return the problems of good shadow copies at the thaw: until then they must exist, and be what was asked for.

    What becomes of DiskShadow after the thaw costs the end of the backup (``ending_problems``), not the shadow copies:
    they are persistent, and EC2 has taken the snapshots.
    """
    if session is None or outcome is None or not outcome.good:
        return []
    shadow = session.shadow
    if shadow is None:
        return ["the server did not report its shadow copies at the thaw"]
    if shadow.reason in ("Lost", "RunnerLost", "TimedOut") and not _ended_after_thaw(session):
        return [WORDS[shadow.reason]]
    if shadow.copies is None:
        return ["it is not known whether the shadow copies were still there after the snapshots"]
    listed = {copy.id.lower() for copy in shadow.copies}
    if gone := [copy.path or copy.volume_guid for copy in outcome.copies if copy.shadow_id not in listed]:
        words = "were gone after the snapshots: Windows deletes them when their storage is full"
        return [f"the shadow copies of {', '.join(gone)} {words}"]
    return [*_copy_problems(shadow.copies, outcome), *_storage_problems(shadow, plan)]


def _copy_problems(listed: list[GuestShadowCopy], outcome: ShadowOutcome) -> list[str]:
    """Return how Windows' list of the set differs from what DiskShadow said that it made."""
    made = {copy.shadow_id: copy.volume_guid for copy in outcome.copies}
    there = {copy.id.lower(): copy.volume_guid.lower() for copy in listed}
    if there != made or {copy.set_id.lower() for copy in listed} != {outcome.set_id.lower()}:
        windows = ", ".join(sorted(there))
        return [f"DiskShadow made {', '.join(sorted(made))}, Windows has {windows}, or of other volumes"]
    wrong = [
        copy.id
        for copy in listed
        if not copy.persistent or copy.client_accessible or copy.no_writers or not _is_system_provider(copy.provider_id)
    ]
    names = ", ".join(wrong)
    return [f"Windows does not list {names} as persistent, with writers, and of the System Provider"] if wrong else []


def _is_system_provider(provider_id: str | None) -> bool:
    return (provider_id or "").lower() == SYSTEM_PROVIDER


def _storage_problems(shadow: Shadow, plan: ShadowPlan) -> list[str]:
    """Return the problems of shadow storage outside the recovery point: without it, a shadow copy has no data."""
    storage = {place.volume_guid.lower(): place.storage_guid.lower() for place in shadow.storage or []}
    problems = []
    for volume in plan.volumes:
        name, home = volume.path or volume.volume_guid, storage.get(volume.volume_guid.lower())
        if home is None:
            problems.append(f"Windows does not say where the shadow storage of {name} is")
        elif home not in plan.homes:
            where = plan.elsewhere.get(home, home)
            problems.append(f"the shadow storage of {name} is on {where}, which is not in the backup: it would be lost")
    return problems


def _ended_after_thaw(session: Session) -> bool:
    """Say whether DiskShadow ended after the after script, by the server's own clock, and so after the snapshots."""
    shadow, after = session.shadow, session.after
    if shadow is None or after is None or shadow.copies is None:
        return False
    return 0 < after.ended_ms < shadow.ended_ms


def document_problems(state: RunState) -> list[str]:
    """Return why the snapshots of AWS's document are not application-consistent: every one must have its tag."""
    plan, made = state.needed_plan(), state.snapshot_by_aws
    if plan.no_shadow:
        return [f"AWS's document was not sent: {plan.no_shadow}"]
    if made is not None and not made.succeeded:
        return [made.reason]
    if state.snapshot is not None:
        return [NOT_SENT]
    planned = {volume.volume_id for volume in plan.volumes}
    without = [s.snapshot_id for s in known_snapshots(state) if s.volume_id in planned and not s.app_consistent]
    words = "not tagged AppConsistent=true by AWS's document: as after a power failure"
    return [f"{', '.join(without)} {'is' if len(without) == 1 else 'are'} {words}"] if without else []


def evidence_of(state: RunState) -> Verified | None:
    """Return what Verify found in the snapshots, None if it had nothing to verify; if it failed, ``not verifiable``."""
    if state.verify_failure:
        cause = cause_of(state.verify_failure)
        return Verified(verdict="not verifiable", reason=f"Verify gave no answer ({cause.error}: {cause.words})")
    return state.verify if state.verify and state.verify.verdict else None


def evidence_problems(found: Verified | None, *, required: bool) -> list[str]:
    """Return the problems that Verify found with the shadow copies in the snapshots.

    Args:
        found: None if Verify did not look.
        required: whether the policy requires that Verify found them.
    """
    if found is None or found.verdict == "not verifiable":
        words = "it was not shown that the snapshots hold the shadow copies, and the policy requires that"
        return [f"{words}: {_why_not_shown(found)}"] if required else []
    if found.verdict != "present":
        return [f"the snapshots do not hold the shadow copies as VSS made them: {found.reason}"]
    without = [copy.path or copy.shadow_id for copy in found.copies if copy.writers_involved is False]
    return [f"the shadow copies of {', '.join(without)} in the snapshots were made without writers"] if without else []


def build_problems(found: Verified | None, *, required: bool) -> list[str]:
    """Return why the volumes can't be built as of their shadow copies, if the policy requires that they can."""
    if not required or (found and found.build and found.build.verdict == "buildable"):
        return []
    if found and found.build and found.build.verdict == "not buildable":
        words = "not every volume can be built as of its shadow copy, and the policy requires that"
        return [f"{words}: {found.build.reason}"]
    why = found.build.reason if found and found.build else _why_not_shown(found)
    return [f"it is not known whether the volumes can be built, and the policy requires that they can: {why}"]


def at_backup_problems(state: RunState) -> list[str]:
    """Return why a policy that wants volumes built at the backup did not get them; a recovery may still build them."""
    if state.plan is None or state.plan.settings.revert != "at-backup" or state.revert:
        return []
    if state.revert_failure:
        cause = cause_of(state.revert_failure)
        return [f"the volumes were not built as of their shadow copies ({cause.error}: {cause.words})"]
    found = evidence_of(state)
    why = found.build.reason if found and found.build else _why_not_shown(found)
    return [f"the volumes were not built as of their shadow copies: {why}"]


def evidence_words(found: Verified | None) -> str:
    """Say whether Verify found shadow copies without problems in the snapshots, or why it did not."""
    if found and found.verdict == "present":
        return f"and they were read back out of the snapshots{_build_words(found.build)}"
    return f"but it was not shown that the snapshots hold them: {_why_not_shown(found)}"


def _build_words(build: Build | None) -> str:
    if build is None:
        return ""
    match build.verdict:
        case "buildable":
            return "; every volume can be built as of its shadow copy"
        case "not buildable":
            return f"; not every volume can be built as of its shadow copy: {build.reason}"
        case "not known":
            return f"; it is not known whether every volume can be built as of its shadow copy: {build.reason}"


def _why_not_shown(found: Verified | None) -> str:
    return found.reason if found else "Verify did not look"


def ending_problems(session: Session | None, ending: str) -> list[str]:
    """Return the problems of a session's end, for a session that had succeeded until then."""
    shadow = session.shadow if session else None
    if shadow is None:
        return ["it is not known whether the writers were told that the backup is complete"]
    left = ["the shadow copies were not deleted on the server"] if shadow.deleted is False else []
    if ending == "completed" and not shadow.reason:
        return left
    reason = WORDS.get(shadow.reason, shadow.reason) or "DiskShadow's log does not show it"
    return [
        f"the writers were not told that the backup is complete ({reason}): they will not truncate their logs",
        *left,
    ]


def has_good_shadow_copies(state: RunState) -> bool:
    """Say whether this attempt's shadow copies are application-consistent, as far as is known before the snapshots."""
    if state.freeze is None or state.freeze.session is None or state.shadow is None or state.given_up:
        return False
    before = state.freeze.session.before
    return state.shadow.good and before is not None and before.succeeded
