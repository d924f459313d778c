"""The verdict on an attempt's shadow copies while the application is held: by the session's state and DiskShadow's log.

Windows itself is asked once it is thawed (``shadow_problems``).
"""

from collections.abc import Sequence
from typing import Literal

from quiesce.backup.shadow_problems import TOO_SLOW, WORDS
from quiesce.guest.answers import Answer
from quiesce.guest.sessions import Session, Shadow
from quiesce.points.parts import ListedWriter, ShadowCopy, ShadowOutcome
from quiesce.vss.hresults import RESTART, TEN_MINUTES_S, hresult_of
from quiesce.vss.log import Log, read_log
from quiesce.vss.outcome import creation_of, ending_of
from quiesce.vss.plan import ShadowPlan
from quiesce.vss.writers import SYSTEM_WRITER, WINDOWS_WRITERS, Writer

GONE = (
    "took part in this policy's last good run on this server, and is gone: its service was stopped, its application "
    "removed, or nothing is left to freeze (vss.require_writers makes that a failure)"
)

NO_WRITERS = "the policy excludes all writers: the shadow copies were made, and no application was frozen for them"


def log_of(answer: Answer) -> Log | None:
    """Return DiskShadow's log out of an answer, None if it is missing, cut, or not one of bytes."""
    if answer.disk_shadow_log is None or answer.disk_shadow_log_cut:
        return None
    try:
        return read_log(answer.disk_shadow_log.encode("latin-1"))
    except UnicodeEncodeError:
        return None


def outcome_of(session: Session, log: Log | None, plan: ShadowPlan) -> ShadowOutcome:
    """Judge an attempt's shadow copies once its session is frozen."""
    shadow = session.shadow
    if shadow is None:
        return _bad("not-asked", "the session made no shadow copies, though the policy wants them")
    if shadow.reason == "TimedOut":
        return _bad("timed-out", TOO_SLOW, TEN_MINUTES_S)
    if shadow.reason not in ("", "EndedEarly"):
        return _bad("lost", WORDS.get(shadow.reason, shadow.reason))
    if log is None:
        return _bad("unreadable", "DiskShadow's log did not arrive complete from the server")
    made = creation_of(log, [v.volume_guid for v in plan.volumes], plan.excluded_writers, no_writers=plan.no_writers)
    if made.kind != "created" or shadow.reason or not shadow.created_ms:
        reason = made.reason if made.kind != "created" else "DiskShadow ended before it held the shadow copies"
        found = {"hresults": [h.hex for h in made.hresults], "listed": listed_writers(log, plan)}
        return _bad(made.kind, reason, made.wait_s).model_copy(update=found)
    return _made(shadow, log, plan, made.reason)


def _made(shadow: Shadow, log: Log, plan: ShadowPlan, reason: str) -> ShadowOutcome:
    """Judge shadow copies that DiskShadow has made by the writers that took part."""
    if plan.no_writers:
        found = {"set_id": shadow.set_id or "", "copies": _copies(log, plan), "listed": listed_writers(log, plan)}
        return _bad("without-writers", NO_WRITERS).model_copy(update=found)
    excluded = {status.name for status in log.statuses if status.writer_id in plan.excluded_writers}
    incomplete = [writer for writer in log.incomplete if writer.name not in excluded]
    writer_problems, writer_notes = _incomplete_writers(incomplete, log, plan)
    other_set = {(shadow.set_id or "").lower()} != {*log.set_ids}
    problems = ["the server and DiskShadow's log name different shadow sets"] if other_set else []
    problems += [*writer_problems, *_unlisted_writer_problems(log, plan), *_missing_writer_problems(log, plan)]
    taking_part = [writer.name for writer in log.writers if writer.included]
    explained = {*taking_part, *excluded, *(writer.name for writer in incomplete)}
    gone = [name for name in plan.known_writers if name not in explained]
    return ShadowOutcome(
        good=not problems,
        kind="created" if not problems else "wanting",
        reason="; ".join(problems) or reason,
        set_id=shadow.set_id or "",
        copies=_copies(log, plan),
        writers=taking_part,
        gone_writers=gone,
        listed=listed_writers(log, plan),
        notes=[
            *writer_notes,
            *(f"writer {name} is excluded by the policy: its application was not frozen" for name in sorted(excluded)),
            *([f"{', '.join(gone)} {GONE}"] if gone else []),
        ],
    )


def listed_writers(log: Log, plan: ShadowPlan) -> list[ListedWriter]:
    """Return every writer that Windows lists, with its state, and whether it took part."""
    named = {writer.name: writer for writer in log.writers}
    return [
        ListedWriter(
            name=status.name,
            writer_id=status.writer_id,
            state=(status.state or "").removeprefix("VSS_WS_"),
            error=str(hresult_of(status.failure, status.symbol)) if status.failure else "",
            part=_part(named.get(status.name), excluded=plan.no_writers or status.writer_id in plan.excluded_writers),
        )
        for status in log.statuses
    ]


def _part(writer: Writer | None, *, excluded: bool) -> Literal["whole", "some", "none", "excluded"]:
    if excluded:
        return "excluded"
    if writer is None or not writer.included:
        return "none"
    return "some" if writer.dropped_components else "whole"


def ending_words(log: Log | None) -> str:
    """Return the kind of ending that the log shows, empty without a log."""
    return ending_of(log) if log else ""


def _incomplete_writers(incomplete: Sequence[Writer], log: Log, plan: ShadowPlan) -> tuple[list[str], list[str]]:
    """Return problems and notes of writers of which VSS froze no component, or not all.

    A component on a volume that the policy leaves out, of the backup or of VSS, is left out with that volume. Where
    DiskShadow shows no such volume, Windows' own writers are let off: their data lies on the system volume, or on a
    partition without a letter.
    """
    ids: dict[str, set[str]] = {}
    for status in log.statuses:
        ids.setdefault(status.name, set()).add(status.writer_id)
    problems, notes = [], []
    for writer in incomplete:
        elsewhere, others = _missing_components(writer, plan)
        notes += elsewhere
        if others:
            notes.append(f"writer {writer.name} took no part, or not with all its data")
        if others and not (ids.get(writer.name) and ids[writer.name] <= WINDOWS_WRITERS.keys()):
            words = "needs a volume of which no shadow copy was made"
            problems.append(f"{writer.name} was not frozen: {', '.join(others)} {words}")
    return problems, notes


def _missing_components(writer: Writer, plan: ShadowPlan) -> tuple[list[str], list[str]]:
    """Return notes on the components that need a volume which the policy leaves out, and the names of the others."""
    reasons = dict.fromkeys(map(_plain, plan.left_out), "of which the policy wants no shadow copy")
    reasons |= dict.fromkeys(map(_plain, plan.elsewhere.values()), "which is not in the backup")
    outside = {component: volume for component, volume in writer.missing_volumes if _plain(volume) in reasons}
    notes = [
        f"writer {writer.name}: {component} needs {volume}, {reasons[_plain(volume)]}: it was not frozen"
        for component, volume in outside.items()
    ]
    return notes, [component for component in writer.dropped_components if component not in outside]


def _plain(path: str) -> str:
    return path.rstrip("\\").lower()


def _unlisted_writer_problems(log: Log, plan: ShadowPlan) -> list[str]:
    """Return the problem of a server whose writers cannot be asked: every Windows has its System Writer."""
    if not log.statuses:
        return [f"Windows lists no writer: no application was frozen; {RESTART}"]
    listed = {status.writer_id for status in log.statuses}
    if SYSTEM_WRITER in listed or SYSTEM_WRITER in plan.excluded_writers:
        return []
    return [f"Windows does not list its System Writer, so others may be missing, too; {RESTART}"]


def _missing_writer_problems(log: Log, plan: ShadowPlan) -> list[str]:
    """Return the problems of required writers that took no part, or not with all their data."""
    names = {status.writer_id: status.name for status in log.statuses}
    whole = {writer.name for writer in log.writers if writer.included} - {writer.name for writer in log.incomplete}
    missing = [writer for writer in plan.required_writers if names.get(writer) not in whole]
    return [f"writer {names.get(writer, writer)}, which the policy requires, took no part" for writer in missing]


def _copies(log: Log, plan: ShadowPlan) -> list[ShadowCopy]:
    volumes = {volume.volume_guid.lower(): volume for volume in plan.volumes}
    return [
        ShadowCopy(
            shadow_id=copy.shadow_id,
            volume_guid=guid,
            path=volumes[guid].path if guid in volumes else "",
            volume_id=volumes[guid].volume_id if guid in volumes else "",
            storage_guid="",
        )
        for copy in log.shadow_copies
        for guid in [copy.volume.lower()]
    ]


def _bad(kind: str, reason: str, wait_s: int | None = None) -> ShadowOutcome:
    return ShadowOutcome(good=False, kind=kind, reason=reason, wait_s=wait_s)
