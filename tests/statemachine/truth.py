"""What must be true after every run, good or bad."""

from typing import Any

from tests.support.cloud import Cloud
from tests.support.environment import BUCKET
from tests.support.machine import Run


def record_of(cloud: Cloud, run: Run, instance_id: str, run_id: str | None = None) -> dict[str, Any]:
    """Return a run's record, after checking that bucket, table and a good run's output agree."""
    run_id = run_id or run.name
    record = cloud.records()[f"records/{instance_id}/{run_id}.json"]
    item = cloud.items()[instance_id, f"run#{run_id}"]
    assert item["status"] == record["status"]
    assert item["execution"] == record["execution"]
    assert record["record"] == f"s3://{BUCKET}/records/{instance_id}/{run_id}.json"
    if run.status == "SUCCEEDED":
        assert run.output == record
    return record


def assert_failed(cloud: Cloud, run: Run, instance_id: str, error: str, words: str = "") -> dict[str, Any]:
    """Check that execution, record and mail of a failed run agree and the server is free, and return the record."""
    assert (run.status, run.error) == ("FAILED", error)
    assert run.states[-2:] == ["Failed?", "BackupFailed"]
    assert words in run.cause
    record = record_of(cloud, run, instance_id)
    assert record["status"] == "Failed"
    assert record["failure"] == {"error": error, "cause": run.cause}
    assert record["consistency"]["level"] == "none"
    assert cloud.lease(instance_id) is None
    [(subject, text)] = cloud.mails()
    assert subject.startswith("Failed: backup of")
    assert run.cause in text
    return record


def assert_successful(cloud: Cloud, run: Run, instance_id: str, volume_ids: set[str]) -> dict[str, Any]:
    """Check that a run succeeded with one completed, tagged snapshot of each volume, and return its record."""
    assert (run.status, run.error) == ("SUCCEEDED", None), run.cause
    record = record_of(cloud, run, instance_id)
    assert (record["status"], record["failure"]) == ("Successful", None)
    assert {s["volume_id"]: s["state"] for s in record["snapshots"]} == dict.fromkeys(volume_ids, "completed")
    assert {s["id"] for s in cloud.snapshots()} == {s["snapshot_id"] for s in record["snapshots"]}
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"crash"}
    assert cloud.snapshot_sets() == 1
    assert cloud.lease(instance_id) is None
    return record
