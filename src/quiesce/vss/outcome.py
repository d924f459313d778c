"""What became of a session's shadow copies, by DiskShadow's log alone: good only if everything in it shows so."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from quiesce.vss.hresults import Hresult, hresult_of
from quiesce.vss.log import Failure, Log, ShadowCopy, Step, WriterStatus
from quiesce.vss.script import SYSTEM_PROVIDER

Kind = Literal[
    "created",
    "unreadable",  # the log has no command
    "cut",  # the log ends before all shadow copies and writers were listed: DiskShadow still runs, or was killed
    "line-refused",  # DiskShadow did not run a line as it was meant
    "failed",  # a command failed: with an error code, with the name of a call, or silently
    "two-sets",
    "wrong-volumes",
    "wrong-kind",  # not persistent, without writers, or of another provider
    "writers-failed",
    "writers-unsettled",  # a writer has neither finished nor failed, or its state is unknown
]
Ending = Literal[
    "completed",  # DiskShadow told the writers that the backup is complete
    "ending",  # the log ends at "end backup": whether the writers were told is unknown
    "not-told",  # the hold is over, but "end backup" is missing or did not run as it was meant
    "aborted",  # the hold ended with a code other than 0: DiskShadow stopped without telling the writers
    "held",  # the log ends during the hold: DiskShadow still runs, or was killed
    "not-held",  # DiskShadow never reached the hold
]
# A writer that has nothing left to do, or took no part, is stable.
SETTLED = {"VSS_WS_STABLE", "VSS_WS_WAITING_FOR_BACKUP_COMPLETE"}
FAILED_PREFIX = "VSS_WS_FAILED_"
# Logs in English and in Chinese have these words.
# If a log has none of them, only Win32_ShadowCopy shows the attributes.
PERSISTENT = {"Persistent", "No_Auto_Release"}
NO_WRITERS = "No_Writers"
NOT_OURS = {NO_WRITERS, "Client_Accessible"}
MAX_QUOTED = 300


@dataclass(frozen=True)
class Outcome:
    """What became of the shadow copies; ``wait_s`` is how long to wait before another attempt, None if none helps.

    ``created`` means that nothing in the log contradicts it. Win32_ShadowCopy shows whether they exist and are what
    they should be; the caller judges whether a writer in ``Log.incomplete`` matters.
    """

    kind: Kind
    reason: str
    hresults: tuple[Hresult, ...] = ()
    wait_s: int | None = None


def creation_of(
    log: Log, volumes: Sequence[str], excluded: Collection[str] = (), *, no_writers: bool = False
) -> Outcome:
    """Judge the making of the shadow copies of these volumes (GUID paths), whatever came after it.

    ``excluded`` are ids of writers that take no part: their states do not count. With ``no_writers`` none was asked to.
    """
    checks: tuple[Callable[[], Outcome | None], ...] = (
        lambda: _commands(log),
        lambda: _shadow_copies(log, volumes, NOT_OURS - {NO_WRITERS} if no_writers else NOT_OURS),
        lambda: None if no_writers else _writers(log, excluded),
    )
    outcomes = (check() for check in checks)
    return next((outcome for outcome in outcomes if outcome), None) or _created(log)


def ending_of(log: Log) -> Ending:
    """Judge whether DiskShadow told the writers that the backup is complete: only a command after it shows that."""
    hold, end, last = log.position("exec"), log.position("end backup"), len(log.steps) - 1
    if end is not None:
        return "not-told" if log.steps[end].output else "completed" if end < last else "ending"
    if hold is None:
        return "not-held"
    return "not-told" if hold < last else "aborted" if log.steps[hold].output else "held"


def _created(log: Log) -> Outcome:
    parts = [f"{writer.name} ({', '.join(writer.dropped_components)})" for writer in log.incomplete]
    without = f", without components that need other volumes: {'; '.join(parts)}" if parts else ""
    return Outcome("created", f"shadow copies made, writers settled{without}")


def _commands(log: Log) -> Outcome | None:
    if len(log.steps) == 1:
        return Outcome("unreadable", f"the log has no command in it: {_quote(log.steps[0])}")
    steps = log.steps[: log.position("exec")]
    for failure in log.failures:
        if failure.command in {step.command for step in steps}:
            return _failed(failure)
    create = log.position("create")
    for step in steps[:create]:
        # Commands before "create" print nothing, but "set metadata" prints one line if the file exists already.
        # No source shows what "writer exclude" prints: one line is let pass, a usage text has more.
        may_print = step.begins("set metadata") or step.begins("writer exclude")
        if step.command and not step.begins("list") and len(step.output) > may_print:
            return Outcome("line-refused", f"DiskShadow did not run {step.command!r} as meant: {_quote(step)}")
    if create is not None and create + 1 < len(log.steps) and not log.set_ids:
        return Outcome("failed", f"'create' made nothing, without an error code: {_quote(log.steps[create])}")
    return None


def _failed(failure: Failure) -> Outcome:
    if failure.code is None:
        return Outcome("failed", f"{failure.command!r} failed in {failure.call}, without an error code")
    hresult = hresult_of(failure.code, failure.symbol)
    return Outcome("failed", f"{failure.command!r} failed: {hresult}", (hresult,), hresult.wait_s)


def _shadow_copies(log: Log, volumes: Sequence[str], not_ours: Collection[str]) -> Outcome | None:
    copies = log.shadow_copies
    sets = log.set_ids | {copy.set_id for copy in copies if copy.set_id}
    if len(sets) > 1:
        return Outcome("two-sets", f"the log has more than one shadow set: {', '.join(sorted(sets))}")
    expected = {copy.copies_in_set for copy in copies}
    if not copies or expected != {len(copies)} or not all(_whole(copy) for copy in copies):
        return Outcome("cut", f"the log ends before all shadow copies were listed: {_quote(log.steps[-1])}")
    made, wanted = sorted(copy.volume.lower() for copy in copies), sorted(volume.lower() for volume in volumes)
    if made != wanted:
        return Outcome("wrong-volumes", f"shadow copies of {', '.join(made)} instead of {', '.join(wanted)}")
    wrong = [f"the shadow copy {copy.shadow_id} {words}" for copy in copies if (words := _wrong_kind(copy, not_ours))]
    return Outcome("wrong-kind", "; ".join(wrong)) if wrong else None


def _whole(copy: ShadowCopy) -> bool:
    return all((copy.shadow_id, copy.set_id, copy.volume, copy.device, copy.provider, copy.attributes))


def _wrong_kind(copy: ShadowCopy, not_ours: Collection[str]) -> str:
    if copy.provider != SYSTEM_PROVIDER:
        return f"is of another provider, {copy.provider}"
    if wrong := copy.attributes & set(not_ours):
        return f"is {', '.join(sorted(wrong))}"
    missing = PERSISTENT - copy.attributes
    return (
        f"is not {', '.join(sorted(missing))}" if copy.attributes & (PERSISTENT | {"Differential"}) and missing else ""
    )


def _writers(log: Log, excluded: Collection[str]) -> Outcome | None:
    if log.writers_listed != len(log.statuses):
        listed = f"{len(log.statuses)} of {log.writers_listed or 'an unknown number'}"
        return Outcome("cut", f"the log ends before all writers were listed: {listed}")
    dropped = {writer.name for writer in log.writers if not writer.included}
    asked = [status for status in log.statuses if status.writer_id not in excluded]
    taking_part = [status for status in asked if status.name not in dropped]
    if failed := [status for status in taking_part if _has_failed(status)]:
        return _failed_writers(failed)
    unsettled = [f"{s.name} ({s.state})" for s in taking_part if s.state not in SETTLED or s.failure is None]
    return Outcome("writers-unsettled", f"writers have not finished: {', '.join(unsettled)}") if unsettled else None


def _has_failed(status: WriterStatus) -> bool:
    return bool(status.failure) or (status.state or "").startswith(FAILED_PREFIX)


def _failed_writers(failed: Sequence[WriterStatus]) -> Outcome:
    """Return the outcome of failed writers: another attempt must help all of them, after the longest of their waits."""
    hresults = tuple(hresult_of(status.failure or 0, status.symbol) for status in failed)
    words = [f"{s.name} ({s.state}): {hresult}" for s, hresult in zip(failed, hresults, strict=True)]
    waits = [hresult.wait_s for hresult in hresults if hresult.wait_s is not None]
    wait_s = max(waits) if len(waits) == len(hresults) else None
    return Outcome("writers-failed", "; ".join(words), hresults, wait_s)


def _quote(step: Step) -> str:
    return repr("\n".join(step.output)[-MAX_QUOTED:])
