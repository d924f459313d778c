"""The record: everything that is known about a run, for the execution's output, the bucket and the table."""

from dataclasses import dataclass
from datetime import datetime

from quiesce import tags
from quiesce.backup.awaiting import known_snapshots
from quiesce.backup.findings import Findings
from quiesce.backup.initial_image import image_notes
from quiesce.backup.run import UNKNOWN, identity_of
from quiesce.backup.snapshot_verdict import Verdict
from quiesce.backup.state import RunState
from quiesce.calls import add_calls
from quiesce.errors import OutcomeUnknown
from quiesce.executions import Failure, cause_of, starter_of
from quiesce.points.parts import FailedAttempt, Snapshot, Volume
from quiesce.points.record import BuiltSnapshot, FailureRecord, Logs, Record, SnapshotRecord


@dataclass(frozen=True)
class Places:
    """Where a run's record will be, and where its session's files are."""

    record: str
    logs: Logs | None


def write(state: RunState, findings: Findings, verdict: Verdict, *, now: datetime, places: Places) -> Record:
    """Return the record of a run.

    Args:
        state: with all that the states left.
        findings: all that the verdict was based on.
        verdict: on the run.
        now: when it ended, in UTC.
        places: of the record and the session's files (``s3://...``).

    Returns:
        ``calls`` counts the AWS calls of the states before Report, except of a state that failed.
    """
    run, plan, snapshots = identity_of(state), state.plan, _snapshots(state)
    return Record(
        run_id=run.run_id,
        status=verdict.status,
        reason=verdict.reason,
        consistency=verdict.consistency,
        policy=run.policy,
        owner=plan.owner if plan else UNKNOWN,
        instance_id=run.instance_id,
        instance_name=plan.instance_name if plan else "",
        windows=plan.windows if plan else "",
        source=plan.source if plan else None,
        cluster=plan.cluster if plan else None,
        started_at=state.execution.started_at,
        snapshots_at=min((s.started_at for s in snapshots), default=None),
        ended_at=now,
        snapshots=snapshots,
        excluded=plan.excluded if plan else [],
        session=findings.session,
        attempts=_attempts(state, now),
        shadow=findings.shadow,
        evidence=findings.evidence,
        revert=plan.settings.revert if plan else "off",
        built=_built(state),
        freeze_window=findings.freeze_window,
        logs=places.logs,
        initial_image=state.make_image.image_id if state.make_image else "",
        overdue_sessions=plan.overdue if plan else [],
        notes=[
            *(plan.notes if plan else []),
            *(findings.shadow.notes if findings.shadow else []),
            *verdict.notes,
            *_document_notes(state),
            *image_notes(state),
            *_end_notes(state, verdict),
        ],
        failure=FailureRecord(error=verdict.cause.error, cause=verdict.cause.words) if verdict.cause else None,
        calls=add_calls(*(part.calls for part in state.steps())),
        execution=state.execution.id,
        started_by=starter_of(state.input),
        record=places.record,
    )


def _built(state: RunState) -> list[BuiltSnapshot]:
    return [
        BuiltSnapshot(
            snapshot_id=child.child_id,
            built_from=child.snapshot_id,
            volume_id=child.volume_id,
            device=child.device,
            paths=[view.path for view in child.views if view.shadow_id],
            as_of=max((view.as_of for view in child.views if view.as_of), default=None),
        )
        for child in (state.revert.built.children if state.revert else [])
    ]


def _attempts(state: RunState, now: datetime) -> list[FailedAttempt]:
    """Return the attempts that were given up for another one, also for one that was then not made."""
    if state.freeze is None:
        return []
    if not state.given_up or state.retry_failure is None:
        return state.freeze.earlier
    reason = f"{state.freeze.reason}; no other attempt was made: {cause_of(state.retry_failure).words}"
    return [*state.freeze.earlier, FailedAttempt(attempt=state.freeze.attempt, reason=reason, ended_at=now)]


def _document_notes(state: RunState) -> list[str]:
    """Return by which command AWS's document ran: Run Command has its output for 30 days."""
    made = state.snapshot_by_aws
    return [f"AWS's document was command {made.command_id} of Run Command"] if made else []


def _end_notes(state: RunState, verdict: Verdict) -> list[str]:
    """Return what is said of a run that did not end by all of its states."""
    notes, awaited = [], state.await_snapshots
    if state.swept and (verdict.cause is None or verdict.cause.error != state.swept.Error):
        notes.append(f"the execution ended before it had reported ({_words(state.swept)}); sweep ended the run")
    elif awaited and awaited.late and state.failure and verdict.cause is None:
        notes.append(f"AwaitSnapshots failed ({_words(state.failure)}); Report found the snapshots completed")
    if state.unread:
        words = _words(state.unread)
        notes.append(f"the execution's history can't be read ({words}): what its states had left is not known")
    return [*notes, *_unknown_snapshots(state, verdict)]


def _unknown_snapshots(state: RunState, verdict: Verdict) -> list[str]:
    """Return what is not known of the snapshots, because the last look failed or came too early."""
    seen, tag, awaited = _snapshots(state), f"{tags.RUN} = {identity_of(state).run_id}", state.await_snapshots
    if state.look_failure:
        words = _words(state.look_failure)
        left = ", ".join(s.snapshot_id for s in seen if s.state != "completed")
        if not seen:
            return [f"it is not known whether snapshots of this run exist ({words}): look for the tag {tag}"]
        return [f"it is not known whether {left} completed ({words})"] if left else []
    if verdict.cause and verdict.cause.error == OutcomeUnknown.__name__ and not seen:
        return [f"it is not known whether snapshots of this run exist: EC2 listed none; look for the tag {tag}"]
    if state.swept and not seen and state.freeze and state.freeze.by_aws and state.snapshot_by_aws is None:
        return [f"AWS's document may have been sent, and go on on the server: look for the tag {tag}"]
    pending = ", ".join(s.snapshot_id for s in seen if s.state == "pending")
    if awaited and awaited.late and pending:
        return [f"{pending} were pending when the run ended: it is not known whether they completed"]
    return []


def _words(failure: Failure) -> str:
    cause = cause_of(failure)
    return f"{cause.error}: {cause.words}"


def _snapshots(state: RunState) -> list[SnapshotRecord]:
    volumes = {v.volume_id: v for v in state.plan.volumes} if state.plan else {}
    order = list(volumes)
    records = [_snapshot(s, volumes.get(s.volume_id)) for s in known_snapshots(state)]
    return sorted(records, key=lambda r: order.index(r.volume_id) if r.volume_id in order else len(order))


def _snapshot(snapshot: Snapshot, volume: Volume | None) -> SnapshotRecord:
    return SnapshotRecord(
        snapshot_id=snapshot.snapshot_id,
        volume_id=snapshot.volume_id,
        device=volume.device if volume else UNKNOWN,
        root=volume.root if volume else False,
        size_gib=snapshot.size_gib,
        state=snapshot.state,
        started_at=snapshot.started_at,
        completed_at=snapshot.completed_at,
        volume=volume,
        app_consistent=snapshot.app_consistent,
    )
