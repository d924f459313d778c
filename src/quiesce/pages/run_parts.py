"""Parts of a run's page: the scripts, VSS, and the evidence read out of the snapshots. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from quiesce.backup.session_problems import script_problem
from quiesce.guest.sessions import ScriptResult
from quiesce.pages.words import Mark, mark_of, moment, seconds, sentence
from quiesce.points.evidence import VerifiedCopy
from quiesce.points.record import Record

STAGES = ("before", "after", "complete")


@dataclass(frozen=True)
class ScriptRow:
    """How one of the three scripts ended."""

    stage: str
    mark: Mark
    words: str
    argument: str
    took: str


@dataclass(frozen=True)
class CopyRow:
    """A shadow copy, as Windows made it and as it was found in the snapshots."""

    path: str
    shadow_id: str
    mark: Mark
    words: str
    created: str
    before_snapshot: str
    storage: str
    build_mark: Mark | None
    build: str


@dataclass(frozen=True)
class Evidence:
    """What was read back of the snapshots: the verdict on all, and each shadow copy."""

    mark: Mark | None
    words: str
    copies: Sequence[CopyRow]
    build: str
    read: str


def script_rows(record: Record) -> list[ScriptRow]:
    """Return the scripts of the last attempt; none where there was no session."""
    session = record.session
    if session is None:
        return []
    results = (session.before, session.after, session.complete)
    return [_script(stage, result, holds=session.holds) for stage, result in zip(STAGES, results, strict=True)]


def _script(stage: str, result: ScriptResult | None, *, holds: bool) -> ScriptRow:
    problem = sentence(script_problem(stage, result, holds=holds))
    if result is None:
        return ScriptRow(stage, Mark("ask", "warn", "not known"), problem, "", "")
    took = seconds(max(0, result.ended_ms - result.started_ms) / 1000)
    if result.succeeded:
        return ScriptRow(stage, mark_of("Successful"), "Ended well.", result.argument, took)
    return ScriptRow(stage, mark_of("Failed"), problem, result.argument, took)


def vss_words(record: Record) -> str:
    """Say what became of VSS."""
    if record.shadow is None:
        return "VSS was not asked, or did not answer in the last attempt."
    reason = record.shadow.reason
    # The reason names most codes itself, with what they mean.
    codes = ", ".join(code for code in record.shadow.hresults if code not in reason)
    return f"{sentence(reason).rstrip('.')}{f' ({codes})' if codes else ''}." if reason else ""


def evidence_rows(record: Record, zone: ZoneInfo) -> Evidence | None:
    """Return the shadow copies and what the snapshots show of them, None where there are neither."""
    evidence, shadow = record.evidence, record.shadow
    found = {copy.shadow_id: copy for copy in evidence.copies} if evidence else {}
    made = [(copy.shadow_id, copy.path) for copy in shadow.copies] if shadow else []
    ids = dict([*made, *((copy.shadow_id, copy.path) for copy in found.values())])
    if not ids and (evidence is None or evidence.verdict is None):
        return None
    build = evidence.build if evidence else None
    blocks = sum(each.blocks for each in evidence.snapshots) if evidence else 0
    return Evidence(
        mark=mark_of(evidence.verdict) if evidence and evidence.verdict else None,
        words=sentence(evidence.reason) if evidence else "Nobody has looked for them in the snapshots.",
        copies=[_copy(shadow_id, path, found.get(shadow_id), zone) for shadow_id, path in ids.items()],
        build=sentence(build.reason) if build else "",
        read=f"{blocks:,} blocks of 512 KiB were read out of the snapshots." if blocks else "",
    )


def _copy(shadow_id: str, path: str, found: VerifiedCopy | None, zone: ZoneInfo) -> CopyRow:
    if found is None:
        return CopyRow(path, shadow_id, Mark("ask", "warn", "not looked for"), "", "", "", "", None, "")
    lag = "" if found.before_snapshot_s is None else f"{seconds(abs(found.before_snapshot_s))} before the snapshot"
    return CopyRow(
        path=path or found.path,
        shadow_id=shadow_id,
        mark=mark_of(found.verdict),
        words="" if found.verdict == "present" else sentence(found.reason),
        created=moment(found.created_at, zone).utc if found.created_at else "",
        before_snapshot=lag,
        storage=found.storage_volume_id,
        build_mark=mark_of(found.build.verdict) if found.build else None,
        build="" if found.build is None or found.build.verdict == "buildable" else sentence(found.build.reason),
    )
