"""What the tests of retention share: a server with nightly recovery points, and all that exists of them."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from quiesce.aws.backup.endings import Endings
from quiesce.aws.retention.points import Points
from quiesce.backup.run import RunIdentity
from quiesce.points.parts import Consistency
from quiesce.points.record import Record
from sandbox.servers import Server
from tests.support.cloud import Cloud
from tests.support.environment import BUCKET, STACK, TABLE
from tests.support.factories.run import a_record
from tests.support.machine import Machine, Run

DAY_S = 86_400
POLICY = {"name": "nightly", "keep": {"daily": 3}, "at_least": 1}


@dataclass
class Generations:
    """A server whose policy keeps three nights; time passes night by night, without a whole backup for each."""

    cloud: Cloud
    machine: Machine
    server: Server
    made: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Let it be two in the morning of a 15 January: rules count days and months, and no test depends on today."""
        now = self.machine.clock.now()
        begins = datetime(now.year + 1, 1, 15, 2, tzinfo=UTC)
        self.machine.clock.now_s = begins.timestamp()

    def put_policy(self, **changes: Any) -> None:
        """Put the server's policy, with other settings."""
        targets = [{"instance_id": self.server.instance_id}]
        self.cloud.put_policy({"targets": targets, **POLICY, **changes})

    def nights(self, count: int, *, policy: str = "nightly", **changes: Any) -> list[str]:
        """Let so many nights pass, each with a backup's record and snapshots; return their run ids."""
        return [self.night(policy=policy, **changes) for _ in range(count)]

    def night(self, *, policy: str = "nightly", built: bool = False, level: str = "application", **changes: Any) -> str:
        """Let a day pass, and leave what a backup leaves."""
        clock, ec2, instance_id = self.machine.clock, self.cloud.ec2, self.server.instance_id
        clock.now_s += DAY_S
        run_id = f"{policy}-{len(self.made):03}"
        tags = {"quiesce:stack": STACK, "quiesce:run": run_id, "quiesce:instance": instance_id}
        answer = ec2.create_snapshots(
            InstanceSpecification={"InstanceId": instance_id}, TagSpecifications=[_tags(tags)]
        )["Snapshots"]
        children = []
        if built:
            tags = {"quiesce:stack": STACK, "quiesce:built-for": run_id, "quiesce:instance": instance_id}
            for each in answer:
                tags["quiesce:built-from"] = each["SnapshotId"]
                child = ec2.create_snapshot(VolumeId=each["VolumeId"], TagSpecifications=[_tags(tags)])
                self.cloud.servers.disks[child["SnapshotId"]] = self.cloud.servers.disks[each["SnapshotId"]].copy()
                children.append({"snapshot_id": child["SnapshotId"], "built_from": each["SnapshotId"], "as_of": None,
                                 "volume_id": each["VolumeId"], "device": "xvdf", "paths": ["D:\\"]})  # fmt: skip
        at = answer[0]["StartTime"]
        clock.now_s += 1800
        record = a_record(
            **{
                "run_id": run_id,
                "policy": policy,
                "instance_id": instance_id,
                "consistency": Consistency(level=level, reason="as the test says"),
                "started_at": at,
                "snapshots_at": at,
                "ended_at": at + timedelta(minutes=20),
                "snapshots": [_snapshot(each) for each in answer],
                "built": children,
                "execution": f"arn:execution:{run_id}",
                "record": f"s3://{BUCKET}/records/{instance_id}/{run_id}.json",
                **changes,
            }
        )
        self.keep(record)
        self.made.append(run_id)
        return run_id

    def keep(self, record: Record) -> None:
        """Keep a record as Report does."""
        Endings(self.cloud.dynamodb, TABLE).end_run(
            RunIdentity(record.run_id, record.policy, record.instance_id), record
        )
        Points(self.cloud.dynamodb, TABLE).put(record)
        key = f"records/{record.instance_id}/{record.run_id}.json"
        self.cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=record.model_dump_json().encode())

    def prune(self, **data: Any) -> Run:
        """Run the machine as the daily schedule does, or as a person with this input; it must succeed."""
        run = self.machine.retain(data)
        assert run.status == "SUCCEEDED", (run.error, run.cause)
        return run

    def settle(self) -> None:
        """Let retention see the rule, and the three days pass in which it removes nothing yet."""
        self.prune()
        self.machine.clock.now_s += 3 * DAY_S

    def plan_id(self, policy: str = "nightly") -> str:
        """Return the id of the plan that a dry run shows."""
        text = self.prune(mode="dry-run", instance_id=self.server.instance_id).output["plans"][0]
        return str(text.partition(f"policy {policy},")[2].partition("(plan ")[2].partition(")")[0])

    def left(self) -> dict[str, int]:
        """Return how many snapshots exist of each run, by its id; those that were built count, too."""
        counts: dict[str, int] = {}
        for each in self.cloud.snapshots():
            run_id = each["tags"].get("quiesce:run") or each["tags"].get("quiesce:built-for", "")
            counts[run_id] = counts.get(run_id, 0) + 1
        return counts

    def snapshot_ids(self, run_id: str) -> list[str]:
        """Return the raw snapshots that exist of a run."""
        return [each["id"] for each in self.cloud.snapshots() if each["tags"].get("quiesce:run") == run_id]

    def tag(self, run_id: str, **tags: str) -> None:
        """Put a tag of quiesce's on the first snapshot of a run, as a person does."""
        pairs = [{"Key": f"quiesce:{key}", "Value": value} for key, value in tags.items()]
        self.cloud.ec2.create_tags(Resources=self.snapshot_ids(run_id)[:1], Tags=pairs)

    def record(self, run_id: str) -> dict[str, Any]:
        """Return a run's record in the bucket, which must be the table's."""
        item = self.cloud.items()[self.server.instance_id, f"run#{run_id}"]
        stored: dict[str, Any] = self.cloud.records()[f"records/{self.server.instance_id}/{run_id}.json"]
        assert json.loads(item["record"]) == stored
        return stored


def _tags(tags: dict[str, str]) -> dict[str, Any]:
    return {"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _snapshot(each: dict[str, Any]) -> dict[str, Any]:
    return {
        "snapshot_id": each["SnapshotId"],
        "volume_id": each["VolumeId"],
        "device": "xvdf",
        "root": False,
        "size_gib": each["VolumeSize"],
        "state": "completed",
        "started_at": each["StartTime"],
        "completed_at": each["StartTime"],
        "volume": None,
    }
