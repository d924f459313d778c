"""Parts of a run, complete and good by default: a test states only what it is about."""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from quiesce.backup.planning import possible_consistency
from quiesce.backup.state import Awaited, Complete, Freeze, Plan, RunState, SnapshotSet, Thaw
from quiesce.backup.volumes import AttachedVolume
from quiesce.executions import Execution, Failure
from quiesce.guest.sessions import ScriptResult, Session
from quiesce.points.parts import Excluded, Snapshot, Volume
from quiesce.points.record import Record
from quiesce.policy.policy import Policy
from quiesce.policy.target import TargetSettings

NOW = datetime(2026, 3, 14, 1, 30, tzinfo=UTC)
INSTANCE = "i-0123456789abcdef0"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:backup:run-1"


def a_policy_document(**changes: Any) -> dict[str, Any]:
    return {"name": "files-nightly", "targets": [{"instance_id": INSTANCE, "vss": "off"}], **changes}


def a_policy(**changes: Any) -> Policy:
    return Policy.model_validate(a_policy_document(**changes))


def an_execution(name: str = "run-1") -> Execution:
    return Execution(id=EXECUTION, name=name, started_at=NOW)


def volume_id(number: int) -> str:
    return f"vol-{number:017x}"


def snapshot_id(number: int) -> str:
    return f"snap-{number:017x}"


def a_volume(number: int = 0, **changes: Any) -> Volume:
    fields = {
        "volume_id": volume_id(number),
        "device": f"xvd{chr(ord('a') + number)}" if number else "/dev/sda1",
        "root": number == 0,
        "size_gib": 8,
        "volume_type": "gp3",
        "encrypted": False,
        "delete_on_termination": False,
    }
    return Volume.model_validate({**fields, **changes})


def an_attached_volume(number: int = 0, tags: dict[str, str] | None = None, **changes: Any) -> AttachedVolume:
    return AttachedVolume(a_volume(number, **changes), tags or {})


def a_snapshot(number: int = 0, state: str = "completed", **changes: Any) -> Snapshot:
    fields = {
        "snapshot_id": snapshot_id(number),
        "volume_id": volume_id(number),
        "size_gib": 8,
        "state": state,
        "started_at": NOW,
    }
    return Snapshot.model_validate({**fields, **changes})


def some_settings(**changes: Any) -> TargetSettings:
    """Return settings, without VSS by default."""
    return TargetSettings.model_validate({"vss": "off", **changes})


def a_plan(volumes: int = 2, settings: TargetSettings | None = None, **changes: Any) -> Plan:
    settings = settings or some_settings()
    fields = {
        "run_id": "run-1",
        "policy": "files-nightly",
        "owner": "admin",
        "instance_id": INSTANCE,
        "instance_name": "FILES01",
        "instance_state": "running",
        "platform": "Windows",
        "settings": settings,
        "tags": {"quiesce:run": "run-1"},
        "volumes": [a_volume(n) for n in range(volumes)],
        "excluded": [],
        "consistency": possible_consistency("running", settings),
        "freezes": settings.freezes,
        "notes": [],
        "planned_at": NOW,
        "calls": {"ec2:DescribeInstances": 1},
    }
    return Plan.model_validate({**fields, **changes})


def an_exclusion(number: int, **changes: Any) -> Excluded:
    volume = a_volume(number)
    fields = {"volume_id": volume.volume_id, "device": volume.device, "root": volume.root, "reason": "asked for"}
    return Excluded.model_validate({**fields, **changes})


def a_snapshot_set(*snapshots: Snapshot, **changes: Any) -> SnapshotSet:
    fields = {
        "snapshots": list(snapshots),
        "returned_at": NOW,
        "calls": {"ec2:CreateSnapshots": 1},
    }
    return SnapshotSet.model_validate({**fields, **changes})


def an_awaited(*snapshots: Snapshot, **changes: Any) -> Awaited:
    fields = {
        "done": True,
        "wait_s": 0,
        "snapshots": list(snapshots),
        "adopted": False,
        "looking_since": NOW,
        "lease_held": True,
        "rounds": 1,
        "calls": {"ec2:DescribeSnapshots": 2},
    }
    return Awaited.model_validate({**fields, **changes})


NOW_MS = int(NOW.timestamp() * 1000)
REASON_OF_FAILURE = "ExitCode"


def a_script(argument: str = "", *, succeeded: bool = True, **changes: Any) -> ScriptResult:
    fields = {
        "succeeded": succeeded,
        "reason": "" if succeeded else REASON_OF_FAILURE,
        "exit_code": int(not succeeded),
        "argument": argument,
        "process_id": 4711,
        "started_ticks": 638_000_000_000_000_000,
        "started_ms": NOW_MS,
        "ended_ms": NOW_MS + 2000,
    }
    return ScriptResult.model_validate({**fields, **changes})


def a_session(phase: str = "frozen", **changes: Any) -> Session:
    """Return a session that went well up to this phase: frozen, thawed or ended."""
    fields = {
        "run": "run-1",
        "attempt": 1,
        "instance": INSTANCE,
        "phase": phase,
        "auto_thawed": False,
        "runner_lost": False,
        "created_ms": NOW_MS - 500,
        "frozen_ms": NOW_MS + 2000,
        "ended_ms": NOW_MS + 600_000 if phase == "ended" else 0,
        "before": a_script(),
        "after": a_script("1", started_ms=NOW_MS + 6000, ended_ms=NOW_MS + 7000) if phase != "frozen" else None,
        "complete": a_script("1", started_ms=NOW_MS + 599_000) if phase == "ended" else None,
        "shadow": None,
    }
    return Session.model_validate({**fields, **changes})


def a_freeze(session: Session | None = None, **changes: Any) -> Freeze:
    fields = {
        "attempt": 1,
        "session": session or a_session(),
        "shadow": None,
        "known_at": NOW + timedelta(seconds=3),
        "go_on": True,
        "retry": False,
        "retry_refused": False,
        "crash_allowed": True,
        "wait_s": 600,
        "earlier": [],
        "reason": "the before script succeeded",
        "calls": {"ssm:SendCommand": 1},
    }
    return Freeze.model_validate({**fields, **changes})


def a_thaw(session: Session | None) -> Thaw:
    return Thaw(session=session, calls={"ssm:SendCommand": 1})


def a_complete(session: Session | None, *, succeeded: bool = True) -> Complete:
    return Complete(session=session, succeeded=succeeded, calls={"ssm:SendCommand": 1})


HEAD = ("quiesce", "verb", "run", "attempt", "ok", "error")


def a_manifest(**changes: Any) -> dict[str, Any]:
    fields = {
        "run": "run-1",
        "instance": INSTANCE,
        "policy": "files-nightly",
        "source": "bucket",
        "scripts": {stage: f"{stage}_files-nightly.ps1" for stage in ("before", "after", "complete")},
        "files": [{"name": "quiesce.ps1", "sha256": "0" * 64}],
        "shadow": False,
        "limitSeconds": {"before": 60, "after": 60, "complete": 300, "freeze": 120, "session": 100800},
    }
    return {**fields, **changes}


def an_answer(verb: str = "freeze", **changes: Any) -> dict[str, Any]:
    """Return a good answer of the guest to a verb, as plain data."""
    phases = {"freeze": "frozen", "thaw": "thawed", "complete": "ended", "collect": "ended"}
    fields = {"quiesce": 1, "verb": verb, "run": "run-1", "attempt": "1", "ok": True, "error": ""}
    if verb == "stage":
        fields["staged"] = a_manifest()
    elif verb in phases:
        fields["session"] = a_session(phases[verb]).model_dump(mode="json", by_alias=True)
    return {**fields, **changes}


def a_line(answer: dict[str, Any]) -> str:
    """Return the line that the guest writes for an answer: all but its head is one compressed field."""
    head = {name: value for name, value in answer.items() if name in HEAD}
    rest = {name: value for name, value in answer.items() if name not in HEAD}
    data = base64.b64encode(gzip.compress(json.dumps(rest).encode(), mtime=0)).decode()
    return json.dumps({**head, "data": data}, separators=(",", ":"))


def a_failure(error: str = "OutcomeUnknown", words: str = "its answer was lost") -> Failure:
    return Failure(Error=error, Cause=f'{{"errorMessage": "{words}", "errorType": "{error}"}}')


def a_state(**parts: Any) -> RunState:
    fields = {"execution": an_execution(), "input": {"policy": "files-nightly", "instance_id": INSTANCE}}
    return RunState.model_validate({**fields, **parts})


def a_record(**changes: Any) -> Record:
    fields = {
        "run_id": "run-1",
        "status": "Successful",
        "reason": "every chosen volume has a completed snapshot",
        "consistency": possible_consistency("running", some_settings()),
        "policy": "files-nightly",
        "owner": "admin",
        "instance_id": INSTANCE,
        "instance_name": "FILES01",
        "windows": "",
        "started_at": NOW,
        "snapshots_at": NOW,
        "ended_at": NOW + timedelta(minutes=10),
        "snapshots": [],
        "excluded": [],
        "session": None,
        "attempts": [],
        "shadow": None,
        "freeze_window": None,
        "logs": None,
        "notes": [],
        "failure": None,
        "calls": {},
        "execution": EXECUTION,
        "record": "s3://bucket/records/r.json",
    }
    return Record.model_validate({**fields, **changes})
