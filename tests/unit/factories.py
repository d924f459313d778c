"""Things to test with, whole and good by default: a test says only what it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

from quiesce.planning import possible_consistency
from quiesce.policy import Policy, TargetSettings
from quiesce.record import Record
from quiesce.state import Awaited, Excluded, Execution, Failure, Plan, RunState, Snapshot, SnapshotSet, Volume
from quiesce.volumes import AttachedVolume

NOW = datetime(2026, 3, 14, 1, 30, tzinfo=UTC)
INSTANCE = "i-0123456789abcdef0"
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:backup:run-1"


def a_policy_document(**changes: Any) -> dict[str, Any]:
    return {"name": "files-nightly", "targets": [{"instance_id": INSTANCE}], **changes}


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
    return TargetSettings.model_validate(changes)


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
        "requested_at": NOW,
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
        "started_at": NOW,
        "snapshots_at": NOW,
        "ended_at": NOW + timedelta(minutes=10),
        "snapshots": [],
        "excluded": [],
        "session": None,
        "freeze_window": None,
        "logs": None,
        "notes": [],
        "failure": None,
        "calls": {},
        "execution": EXECUTION,
        "record": "s3://bucket/records/r.json",
    }
    return Record.model_validate({**fields, **changes})
