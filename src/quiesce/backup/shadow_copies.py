"""The verdict on an attempt's shadow copies, by the session's state, Win32_ShadowCopy and DiskShadow's log."""

import base64
import zlib
from collections.abc import Sequence

from quiesce.backup.shadow_problems import TOO_SLOW, WORDS
from quiesce.backup.state import ShadowPlan
from quiesce.guest.answers import Answer, Session, Shadow
from quiesce.points.parts import ShadowCopy, ShadowOutcome
from quiesce.vss.hresults import RESTART, TEN_MINUTES_S
from quiesce.vss.log import Log, read_log
from quiesce.vss.outcome import creation_of, ending_of
from quiesce.vss.script import SYSTEM_PROVIDER
from quiesce.vss.writers import SYSTEM_WRITER, WINDOWS_WRITERS, Writer

GONE = (
    "took part in this policy's last good run on this server, and is gone: its service was stopped, its application "
    "removed, or nothing is left to freeze (vss.require_writers makes that a failure)"
)
# More than any real log that fits into an answer unpacks to: a larger one was crafted.
MAX_LOG_BYTES = 4 * 1024 * 1024


def log_of(answer: Answer) -> Log | None:
    """Return DiskShadow's log out of an answer, None if it is missing, cut, or not packed as the guest packs it."""
    if answer.disk_shadow_log is None or answer.disk_shadow_log_cut:
        return None
    try:
        unpacker = zlib.decompressobj(wbits=31)
        data = unpacker.decompress(base64.b64decode(answer.disk_shadow_log, validate=True), MAX_LOG_BYTES)
    except (ValueError, zlib.error):
        return None
    return read_log(data) if unpacker.eof else None


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
    made = creation_of(log, [volume.volume_guid for volume in plan.volumes], plan.excluded_writers)
    if made.kind != "created" or shadow.reason or not shadow.created_ms:
        reason = made.reason if made.kind != "created" else "DiskShadow ended before it held the shadow copies"
        return _bad(made.kind, reason, made.wait_s).model_copy(update={"hresults": [h.hex for h in made.hresults]})
    excluded = {status.name for status in log.statuses if status.writer_id in plan.excluded_writers}
    incomplete = [writer for writer in log.incomplete if writer.name not in excluded]
    writer_problems, writer_notes = _incomplete_writers(incomplete, log, plan)
    problems = [*_copy_problems(shadow, log, plan), *_storage_problems(shadow, plan), *writer_problems]
    problems += [*_unlisted_writer_problems(log, plan), *_missing_writer_problems(log, plan)]
    taking_part = [writer.name for writer in log.writers if writer.included]
    explained = {*taking_part, *excluded, *(writer.name for writer in incomplete)}
    gone = [name for name in plan.known_writers if name not in explained]
    return ShadowOutcome(
        good=not problems,
        kind="created" if not problems else "wanting",
        reason="; ".join(problems) or made.reason,
        set_id=shadow.set_id or "",
        copies=_copies(shadow, plan),
        writers=taking_part,
        gone_writers=gone,
        notes=[
            *writer_notes,
            *(f"writer {name} is excluded by the policy: its application was not frozen" for name in sorted(excluded)),
            *([f"{', '.join(gone)} {GONE}"] if gone else []),
        ],
    )


def ending_words(log: Log | None) -> str:
    """Return the kind of ending that the log shows, empty without a log."""
    return ending_of(log) if log else ""


def _copy_problems(shadow: Shadow, log: Log, plan: ShadowPlan) -> list[str]:
    """Return how DiskShadow's log and Win32_ShadowCopy differ."""
    listed = {copy.shadow_id for copy in log.shadow_copies}
    there = {copy.id.lower() for copy in shadow.copies}
    if listed != there:
        return [f"DiskShadow made {', '.join(sorted(listed))}, Windows has {', '.join(sorted(there)) or 'none'}"]
    if {(shadow.set_id or "").lower()} != {copy.set_id.lower() for copy in shadow.copies} | set(log.set_ids):
        return ["the server and DiskShadow's log name different shadow sets"]
    made = sorted(copy.volume_guid.lower() for copy in shadow.copies)
    if made != sorted(volume.volume_guid.lower() for volume in plan.volumes):
        return [f"Windows has shadow copies of {', '.join(made)} instead of the planned volumes"]
    wrong = [
        copy.id
        for copy in shadow.copies
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


def _incomplete_writers(incomplete: Sequence[Writer], log: Log, plan: ShadowPlan) -> tuple[list[str], list[str]]:
    """Return problems and notes of writers of which VSS froze no component, or not all.

    A component on a volume outside of the backup is left out with that volume. Where DiskShadow shows no such volume,
    Windows' own writers are let off: their data lies on the system volume, or on a partition without a letter.
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
    """Return notes on the components that need a volume outside of the backup, and the names of the others."""
    elsewhere = {path.rstrip("\\").lower() for path in plan.elsewhere.values()}
    outside = {c: volume for c, volume in writer.missing_volumes if volume.rstrip("\\").lower() in elsewhere}
    words = "which is not in the backup: it was not frozen"
    notes = [f"writer {writer.name}: {component} needs {volume}, {words}" for component, volume in outside.items()]
    return notes, [component for component in writer.dropped_components if component not in outside]


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


def _copies(shadow: Shadow, plan: ShadowPlan) -> list[ShadowCopy]:
    volumes = {volume.volume_guid.lower(): volume for volume in plan.volumes}
    storage = {place.volume_guid.lower(): place.storage_guid.lower() for place in shadow.storage or []}
    return [
        ShadowCopy(
            shadow_id=copy.id.lower(),
            volume_guid=copy.volume_guid.lower(),
            path=volumes[guid].path if guid in volumes else "",
            volume_id=volumes[guid].volume_id if guid in volumes else "",
            storage_guid=storage.get(guid, ""),
        )
        for copy in shadow.copies
        for guid in [copy.volume_guid.lower()]
    ]


def _bad(kind: str, reason: str, wait_s: int | None = None) -> ShadowOutcome:
    return ShadowOutcome(good=False, kind=kind, reason=reason, wait_s=wait_s)
