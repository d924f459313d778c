"""A month of nightly recovery points, and retention by a rule: the plan with every reason, a person's word, the end."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from quiesce.aws.backup.endings import Endings
from quiesce.aws.retention.rules import Rules
from quiesce.backup.run import RunIdentity
from quiesce.points.record import Record
from quiesce.policy.file import read_policy_file
from quiesce.retention.plan import CHANGE
from sandbox.demo.terminal import BOLD, DIM, GREEN, paint, say
from sandbox.executions import wait_for
from sandbox.gateway import Sandbox
from sandbox.servers import Server

NIGHTS, MISSED, PARTIAL, HELD = 32, 4, 9, 17
"""More nights than any month has; and how many nights ago the server was off, a script failed, and a hold was put."""
POLICY = """\
name: nights
owner: demo
keep: {{daily: 7, weekly: 4, monthly: 2}}
targets:
  - instance_id: {instance_id}
"""


def play_month(aws: Sandbox, outputs: dict[str, str], server: Server, model: dict[str, Any]) -> None:
    """Leave what a month of nights leaves, and let retention plan and, on a person's word, remove.

    Args:
        aws: where the stack is.
        outputs: of the stack.
        server: whose nights.
        model: the record of a good backup of this server, which those of the nights are like.
    """
    say(f"\n{paint('A month', BOLD)} of nights, each as a backup leaves it: snapshots and record, their dates put back")
    text = POLICY.format(instance_id=server.instance_id)
    aws.client("s3").put_object(Bucket=outputs["BucketName"], Key="policies/nights.yaml", Body=text.encode())
    dynamodb, table = aws.client("dynamodb"), outputs["TableName"]
    # A rule removes nothing in its first days.
    rule, seen = read_policy_file(text.encode(), "nights", "nights.yaml").retention, datetime.now(UTC) - 2 * CHANGE
    Rules(dynamodb, table).in_force("nights", rule, seen)
    endings = Endings(dynamodb, table)
    for record in _nights(aws, server, Record.model_validate(model)):
        endings.end_run(RunIdentity(record.run_id, record.policy, record.instance_id), record)
    say(paint("  one night the server was off, one a script failed, one is held for an audit", DIM))
    say(paint(f"  {text.splitlines()[2]}", DIM))
    asked = {"instance_id": server.instance_id, "policy": "nights"}
    shown = _retain(aws, outputs, {**asked, "mode": "dry-run"})
    for line in shown["plans"][0].splitlines():
        say(f"  {paint(line, GREEN) if ' keep ' in line else line}")
    plan = re.findall(r"\(plan (\w+)\)", shown["plans"][0])[0]
    done = _retain(aws, outputs, {**asked, "confirm": plan})
    left = len({*_runs_left(aws, server)})
    say(f"\n  {paint('Removed', BOLD)} {done['removed']} recovery points; {left} are left, and each record says why.")


def _nights(aws: Sandbox, server: Server, model: Record) -> Iterator[Record]:
    """Yield the records of the nights, the oldest first, whose snapshots exist and say that they are as old."""
    ec2, last = aws.client("ec2"), datetime.now(UTC).replace(hour=2, minute=0, second=0) - timedelta(days=1)
    for ago in (night for night in reversed(range(NIGHTS)) if night != MISSED):
        at = last - timedelta(days=ago)
        run_id = f"nights-{at:%Y%m%d}"
        tags = {"quiesce:stack": "quiesce", "quiesce:run": run_id, "quiesce:instance": server.instance_id}
        tags |= {"quiesce:hold": "anna: the audit"} if ago == HELD else {}
        made = ec2.create_snapshots(
            InstanceSpecification={"InstanceId": server.instance_id},
            TagSpecifications=[
                {"ResourceType": "snapshot", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
        )["Snapshots"]
        for each in made:
            snapshot = aws.servers.backend().snapshots[each["SnapshotId"]]
            snapshot.started_s, snapshot.start_time = at.timestamp(), at.replace(tzinfo=None)
        of_volume = {each["VolumeId"]: each["SnapshotId"] for each in made}
        yield model.model_copy(
            update={
                "run_id": run_id,
                "policy": "nights",
                "status": "PartiallySuccessful" if ago == PARTIAL else "Successful",
                "started_at": at - timedelta(minutes=1),
                "snapshots_at": at,
                "ended_at": at + timedelta(minutes=10),
                "snapshots": [
                    each.model_copy(update={"snapshot_id": of_volume[each.volume_id]}) for each in model.snapshots
                ],
                "execution": run_id,
                "record": model.record.replace(model.run_id, run_id),
            }
        )


def _retain(aws: Sandbox, outputs: dict[str, str], request: dict[str, str]) -> dict[str, Any]:
    machine, text = outputs["RetentionMachineArn"], json.dumps(request)
    say(f"{paint('Retention', BOLD)} started with {text}")
    arn = aws.client("stepfunctions").start_execution(stateMachineArn=machine, input=text)["executionArn"]
    told: dict[str, Any] = json.loads(wait_for(aws, arn)["output"])
    return told


def _runs_left(aws: Sandbox, server: Server) -> Iterator[str]:
    filters = [{"Name": "tag:quiesce:instance", "Values": [server.instance_id]}]
    for snapshot in aws.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=filters)["Snapshots"]:
        yield from (tag["Value"] for tag in snapshot["Tags"] if tag["Value"].startswith("nights-"))
