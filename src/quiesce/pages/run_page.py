"""The page of one run: what it is worth, why it is not better, what held the application, what a recovery would do."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from quiesce.pages import recovery_words
from quiesce.pages.run_parts import Evidence, ScriptRow, evidence_rows, script_rows, vss_words
from quiesce.pages.timeline import Timeline, timeline
from quiesce.pages.words import HEADLINES, LEVELS, Mark, Moment, count, mark_of, moment, seconds, sentence
from quiesce.points.record import Record, SnapshotRecord
from quiesce.report.explaining import Why, causes_of


@dataclass(frozen=True)
class LogFile:
    """A file of the run's session, as text: ``missing`` says why there is none, ``cut`` how much is left out."""

    name: str
    text: str
    missing: str = ""
    cut: str = ""


@dataclass(frozen=True)
class RunFound:
    """What a run's page is made of.

    Attributes:
        record: of the run.
        files: of its session, those that were read.
        zone: whose clock stands beside UTC: the policy's, where it is known, else the stack's.
        made_at: when the page is made, in UTC.
        home: the link to the overview; empty for none.
    """

    record: Record
    zone: ZoneInfo
    made_at: datetime
    files: Sequence[LogFile] = ()
    home: str = ""


@dataclass(frozen=True)
class SnapshotRow:
    """A snapshot in the table of them."""

    drives: str
    device: str
    size: str
    snapshot_id: str
    volume_id: str
    mark: Mark
    at: Moment
    built: str


@dataclass(frozen=True)
class RunView:
    """All that the template shows, in words."""

    title: str
    server: str
    mark: Mark
    headline: str
    reason: str
    level: str
    level_mark: Mark
    level_reason: str
    removed: str
    causes: Sequence[Why]
    facts: Sequence[tuple[str, str]]
    taken: Moment
    taken_word: str
    timeline: Timeline | None
    not_held: str
    attempts: Sequence[tuple[str, str, str]]
    scripts: Sequence[ScriptRow]
    vss: str
    vss_mark: Mark | None
    writers: Sequence[str]
    gone_writers: Sequence[str]
    files: Sequence[LogFile]
    files_place: str
    evidence: Evidence | None
    snapshots: Sequence[SnapshotRow]
    excluded: Sequence[tuple[str, str]]
    recovery: recovery_words.RecoveryWords
    notes: Sequence[str]
    details: Sequence[tuple[str, str]]
    calls: str
    made: Moment
    home: str
    to_paste: str
    command: str


def run_view(found: RunFound) -> RunView:
    """Return what a run's page says."""
    record, zone = found.record, found.zone
    server = record.instance_name or record.instance_id
    good = record.status == "Successful"
    taken = record.snapshots_at or record.started_at
    held = timeline(record.session, record.freeze_window)
    shadow = record.shadow
    words = recovery_words.of(record, zone)
    return RunView(
        title=f"{mark_of(record.status).word}: backup of {server}, policy {record.policy}",
        server=server,
        mark=mark_of(record.status),
        headline=_headline(record),
        reason=sentence(record.reason),
        level=LEVELS.get(record.consistency.level, record.consistency.level),
        level_mark=_level_mark(record),
        level_reason=sentence(record.consistency.reason),
        removed=_removed(record),
        # Of a Successful run, only that nobody asked an application: its verdict says so already.
        causes=[] if good else [_in_sentences(cause) for cause in causes_of(record)],
        facts=_facts(record),
        taken=moment(taken, zone),
        taken_word="Point in time" if record.snapshots_at else "Started",
        timeline=held,
        not_held="" if held else _why_no_timeline(record),
        attempts=[
            (str(each.attempt), sentence(each.reason), moment(each.ended_at, zone).utc) for each in record.attempts
        ],
        scripts=script_rows(record),
        vss=vss_words(record),
        vss_mark=None if shadow is None else mark_of("Successful" if shadow.good else "Failed"),
        writers=shadow.writers if shadow else [],
        gone_writers=shadow.gone_writers if shadow else [],
        files=found.files,
        files_place=(record.logs.problem or record.logs.place) if record.logs else "",
        evidence=evidence_rows(record, zone),
        snapshots=[_snapshot(each, record, zone) for each in record.snapshots],
        excluded=[(f"{each.volume_id} ({each.device})", sentence(each.reason)) for each in record.excluded],
        recovery=words,
        notes=[sentence(note) for note in record.notes],
        details=_details(record, zone),
        calls=_calls(record),
        made=moment(found.made_at, zone),
        home=found.home,
        to_paste=_to_paste(record) if words.possible else "",
        command=f"quiesce recover {record.run_id} --server {record.instance_id}" if words.possible else "",
    )


def _in_sentences(cause: Why) -> Why:
    return replace(cause, what=sentence(cause.what), do=sentence(cause.do))


def _headline(record: Record) -> str:
    if record.removed_at:
        return "This recovery point was removed. What follows is what its run had left."
    if words := HEADLINES.get((record.status, record.consistency.level)) or HEADLINES.get((record.status, "")):
        return words
    return "This run left nothing to recover from." if not record.snapshots else "This run failed."


def _level_mark(record: Record) -> Mark:
    by_level = {"application": "Successful", "crash": "PartiallySuccessful", "none": "Failed"}
    if record.status == "Skipped":
        return Mark("none", "calm", "")
    # What the policy wanted is no warning.
    if record.status == "Successful" and record.consistency.level == "crash":
        return Mark("disk", "calm", "")
    return mark_of(by_level.get(record.consistency.level, "")) if record.consistency.level in by_level else mark_of("?")


def _removed(record: Record) -> str:
    if record.removed_at is None:
        return ""
    return f"Removed on {record.removed_at:%Y-%m-%d}: {sentence(record.removed_because)}"


def _facts(record: Record) -> list[tuple[str, str]]:
    took = seconds((record.ended_at - record.started_at).total_seconds())
    facts = [("Server", f"{record.instance_name} {record.instance_id}".strip()), ("Policy", record.policy)]
    facts += [("Windows", record.windows)] if record.windows else []
    size = sum(each.size_gib for each in record.snapshots)
    facts += [("Left", f"{count(len(record.snapshots), 'snapshot')} of {size:,} GiB")] if record.snapshots else []
    return [*facts, ("Took", took)]


def _why_no_timeline(record: Record) -> str:
    if record.status == "Skipped":
        return "Nothing was held: a passive node is not frozen."
    if record.session is None:
        return (
            "Nothing was held: the policy asks no application."
            if _asked_nobody(record)
            else ("It is not known whether anything was held: the server reported no session.")
        )
    if record.freeze_window is None:
        return "How long the application was held was not measured: the freeze did not come to its end as planned."
    return "How long the application was held is not known: the server's clock was set back meanwhile."


def _asked_nobody(record: Record) -> bool:
    return record.status == "Successful" and not record.attempts


def _snapshot(snapshot: SnapshotRecord, record: Record, zone: ZoneInfo) -> SnapshotRow:
    built = next((each.snapshot_id for each in record.built if each.built_from == snapshot.snapshot_id), "")
    drives = ", ".join(snapshot.volume.drives) if snapshot.volume else ""
    return SnapshotRow(
        drives=drives or ("system volume" if snapshot.root else "—"),
        device=snapshot.device,
        size=f"{snapshot.size_gib:,} GiB",
        snapshot_id=snapshot.snapshot_id,
        volume_id=snapshot.volume_id,
        mark=mark_of(snapshot.state),
        at=moment(snapshot.started_at, zone),
        built=built,
    )


def _details(record: Record, zone: ZoneInfo) -> list[tuple[str, str]]:
    started, ended = moment(record.started_at, zone), moment(record.ended_at, zone)
    details = [
        ("Run", record.run_id),
        ("Started", f"{started.utc} ({started.local})" if started.local else started.utc),
        ("Ended", f"{ended.utc} ({ended.local})" if ended.local else ended.utc),
        ("Started by", record.started_by),
        ("Owner of the scripts", record.owner),
        ("Initial AMI", record.initial_image),
        ("Old sessions found open", ", ".join(record.overdue_sessions)),
        ("Execution", record.execution),
        ("Record", record.record),
    ]
    return [(name, value) for name, value in details if value]


def _calls(record: Record) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(record.calls.items()))


def _to_paste(record: Record) -> str:
    asked = {"instance_id": record.instance_id, "recovery_point": record.run_id, "mode": "dry-run"}
    return json.dumps(asked, indent=2)
