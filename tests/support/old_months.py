"""Backups of months ago in the local AWS: real ones, whose dates are put back afterwards."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from quiesce.aws.retention.points import Points, points_of, sort_key
from quiesce.aws.retention.rules import Rules
from quiesce.points.record import Record
from quiesce.policy.file import read_policy_file
from quiesce.retention.plan import CHANGE
from sandbox.aws.snapshot_tiers import TIERS
from sandbox.servers import Server
from tests.support.fixtures import Quiesce

BLOCK_BYTES = 524_288
POLICY = """\
name: months
owner: tests
keep: {{daily: 1, monthly: 24}}
at_least: 1
archive: {{after_days: 60}}
targets: [{{instance_id: {instance_id}}}]
"""


def put_policy(quiesce: Quiesce, server: Server) -> None:
    """Put a policy that archives, whose rule retention has seen long ago."""
    text = POLICY.format(instance_id=server.instance_id)
    quiesce.put_policy("months", text)
    rule, seen = read_policy_file(text.encode(), "months", "months.yaml").retention, datetime.now(UTC) - 2 * CHANGE
    Rules(quiesce.aws.client("dynamodb"), quiesce.outputs["TableName"]).in_force("months", rule, seen)
    disks = quiesce.aws.servers.disks
    TIERS.full_bytes = lambda i: len(disks[i].written_blocks(BLOCK_BYTES)) * BLOCK_BYTES if i in disks else 0


def change_much(quiesce: Quiesce, server: Server, files: int = 8) -> None:
    """Change more than a quarter of what is on each volume of a server."""
    for volume_id in server.volumes.values():
        for number in range(files):
            quiesce.aws.servers.content(volume_id).write(f"of-a-month-{number}.txt", f"{datetime.now(UTC)} {number}")


def put_back(quiesce: Quiesce, record: dict[str, Any], days: int) -> Record:
    """Let a run have ended so many days ago, in the table, the bucket and EC2; return its record as it is now."""
    before, by = Record.model_validate(record), timedelta(days=days)
    dynamodb, table = quiesce.aws.client("dynamodb"), quiesce.outputs["TableName"]
    assert before.snapshots_at
    times = {"started_at": before.started_at, "snapshots_at": before.snapshots_at, "ended_at": before.ended_at}
    after = before.model_copy(update={name: at - by for name, at in times.items()})
    key = {"pk": {"S": points_of(before.instance_id)}, "sk": {"S": sort_key(before.snapshots_at, before.run_id)}}
    dynamodb.delete_item(TableName=table, Key=key)
    Points(dynamodb, table).put(after)
    dynamodb.update_item(
        TableName=table,
        Key={"pk": {"S": before.instance_id}, "sk": {"S": f"run#{before.run_id}"}},
        UpdateExpression="SET #record = :record",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":record": {"S": after.model_dump_json()}},
    )
    for snapshot_id in (each.snapshot_id for each in (*before.snapshots, *before.built)):
        snapshot = quiesce.aws.servers.backend().snapshots[snapshot_id]
        snapshot.started_s -= by.total_seconds()
        snapshot.start_time -= by
    return after


def archived(quiesce: Quiesce, server: Server) -> list[dict[str, Any]]:
    """Run retention until what it asked for is in the archive; return what each execution told."""
    ends = [quiesce.retain(instance_id=server.instance_id) for _ in range(2)]
    assert {end["status"] for end in ends} == {"SUCCEEDED"}, ends
    return [json.loads(end["output"]) for end in ends]
