"""What became of a session's shadow copies, told from DiskShadow's log alone: good only if everything in it says so."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from quiesce.vss.hresults import Hresult, hresult_of
from quiesce.vss.log import Failure, Log, ShadowCopy, Step, WriterStatus
from quiesce.vss.script import SYSTEM_PROVIDER

Kind = Literal[
    "created",
    "unreadable",  # nothing of DiskShadow's in it
    "cut",  # it ends before the shadow copies and all writers were listed: still under way, or killed
    "line-refused",  # DiskShadow did not take a line as it was meant
    "failed",  # a command failed: with an error code, with the name of a call, or without a word
    "two-sets",
    "wrong-volumes",
    "wrong-kind",  # not persistent, without writers, or of another provider
    "writers-failed",
    "writers-unsettled",  # a writer is neither done nor failed, or its state is one that nobody knows
]
Ending = Literal[
    "completed",  # the writers were told that the backup is complete
    "ending",  # that was begun, and the log ends there: nobody knows
    "not-told",  # the hold is over, and they were not: "end backup" is missing, or was not taken as it was meant
    "aborted",  # the hold ended with another code than 0: DiskShadow stopped there, and they were not told
    "held",  # the log ends while the shadow copies are held: still under way, or killed
    "not-held",  # it never came to that
]
# A writer that has nothing to do afterwards, or had no part in it, is stable.
SETTLED = {"VSS_WS_STABLE", "VSS_WS_WAITING_FOR_BACKUP_COMPLETE"}
FAILED_PREFIX = "VSS_WS_FAILED_"
# Seen in English and in Chinese alike. Where none of them is there, only Win32_ShadowCopy can tell.
PERSISTENT = {"Persistent", "No_Auto_Release"}
NOT_OURS = {"No_Writers", "Client_Accessible"}
MAX_QUOTED = 300


@dataclass(frozen=True)
class Outcome:
    """What became of the shadow copies; ``wait_s`` is the time after which another attempt is worth it, None if never.

    ``created`` says that the log has nothing against it. That they exist, and are what they should be, is for
    Win32_ShadowCopy to say; whether a writer in ``Log.incomplete`` was one that matters, for whoever judges the run.
    """

    kind: Kind
    reason: str
    hresults: tuple[Hresult, ...] = ()
    wait_s: int | None = None


def creation_of(log: Log, volumes: Sequence[str], excluded: Collection[str] = ()) -> Outcome:
    """Judge the making of the shadow copies of these volumes (GUID paths), whatever came after it.

    ``excluded`` are ids of writers that take no part: what becomes of them is of no account.
    """
    checks: tuple[Callable[[], Outcome | None], ...] = (
        lambda: _commands(log),
        lambda: _shadow_copies(log, volumes),
        lambda: _writers(log, excluded),
    )
    outcomes = (check() for check in checks)
    return next((outcome for outcome in outcomes if outcome), None) or _created(log)


def ending_of(log: Log) -> Ending:
    """Judge whether the writers were told that the backup is complete: only if a later command was begun after it."""
    hold, end, last = log.position("exec"), log.position("end backup"), len(log.steps) - 1
    if end is not None:
        return "not-told" if log.steps[end].output else "completed" if end < last else "ending"
    if hold is None:
        return "not-held"
    return "not-told" if hold < last else "aborted" if log.steps[hold].output else "held"


def _created(log: Log) -> Outcome:
    parts = [f"{writer.name} ({', '.join(writer.dropped_components)})" for writer in log.incomplete]
    without = f", without what needs other volumes: {'; '.join(parts)}" if parts else ""
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
        # All that comes before "create" prints nothing, but for the one line about a file that is there already. What
        # it says of an excluded writer nobody has published: a usage text has more lines than one.
        may_speak = step.begins("set metadata") or step.begins("writer exclude")
        if step.command and not step.begins("list") and len(step.output) > may_speak:
            return Outcome("line-refused", f"DiskShadow took {step.command!r} for something else: {_quote(step)}")
    if create is not None and create + 1 < len(log.steps) and not log.set_ids:
        return Outcome("failed", f"'create' made nothing, without an error code: {_quote(log.steps[create])}")
    return None


def _failed(failure: Failure) -> Outcome:
    if failure.code is None:
        return Outcome("failed", f"{failure.command!r} failed in {failure.call}, without an error code")
    hresult = hresult_of(failure.code, failure.symbol)
    return Outcome("failed", f"{failure.command!r} failed: {hresult}", (hresult,), hresult.wait_s)


def _shadow_copies(log: Log, volumes: Sequence[str]) -> Outcome | None:
    copies = log.shadow_copies
    sets = log.set_ids | {copy.set_id for copy in copies if copy.set_id}
    if len(sets) > 1:
        return Outcome("two-sets", f"the log tells of more than one shadow set: {', '.join(sorted(sets))}")
    expected = {copy.copies_in_set for copy in copies}
    if not copies or expected != {len(copies)} or not all(_whole(copy) for copy in copies):
        return Outcome("cut", f"the log ends before all shadow copies were listed: {_quote(log.steps[-1])}")
    made, wanted = sorted(copy.volume.lower() for copy in copies), sorted(volume.lower() for volume in volumes)
    if made != wanted:
        return Outcome("wrong-volumes", f"shadow copies of {', '.join(made)} instead of {', '.join(wanted)}")
    wrong = [f"the shadow copy {copy.shadow_id} {words}" for copy in copies if (words := _wrong_kind(copy))]
    return Outcome("wrong-kind", "; ".join(wrong)) if wrong else None


def _whole(copy: ShadowCopy) -> bool:
    return all((copy.shadow_id, copy.set_id, copy.volume, copy.device, copy.provider, copy.attributes))


def _wrong_kind(copy: ShadowCopy) -> str:
    if copy.provider != SYSTEM_PROVIDER:
        return f"is of another provider, {copy.provider}"
    if wrong := copy.attributes & NOT_OURS:
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
    return Outcome("writers-unsettled", f"not done: {', '.join(unsettled)}") if unsettled else None


def _has_failed(status: WriterStatus) -> bool:
    return bool(status.failure) or (status.state or "").startswith(FAILED_PREFIX)


def _failed_writers(failed: Sequence[WriterStatus]) -> Outcome:
    """Another attempt is worth it only if it is for each of them, after the longest of their times."""
    hresults = tuple(hresult_of(status.failure or 0, status.symbol) for status in failed)
    words = [f"{s.name} ({s.state}): {hresult}" for s, hresult in zip(failed, hresults, strict=True)]
    waits = [hresult.wait_s for hresult in hresults if hresult.wait_s is not None]
    wait_s = max(waits) if len(waits) == len(hresults) else None
    return Outcome("writers-failed", "; ".join(words), hresults, wait_s)


def _quote(step: Step) -> str:
    return repr("\n".join(step.output)[-MAX_QUOTED:])
