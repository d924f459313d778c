"""A stack that is deleted with a full bucket: what it kept of the servers stays, everything else goes."""

import json
import time

import pytest
from botocore.exceptions import ClientError

from tests.support.deployment import deploy
from tests.support.fixtures import PROJECT, Quiesce

STACK = "deleted"


@pytest.fixture
def product(aws, running_sandbox):
    return Quiesce(aws, deploy(running_sandbox, PROJECT, STACK))


def delete(aws):
    """Delete the stack, and return how that ended: CloudFormation no longer knows a deleted stack by its name."""
    cloudformation = aws.client("cloudformation")
    [described] = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    cloudformation.delete_stack(StackName=STACK)
    while True:
        [now] = cloudformation.describe_stacks(StackName=described["StackId"])["Stacks"]
        if not now["StackStatus"].endswith("_IN_PROGRESS"):
            return now["StackStatus"]
        time.sleep(0.05)


def test_records_snapshots_and_runs_outlive_their_stack(aws, product):
    server = aws.servers.add("SERVER1")
    ended = product.back_up(server)
    record = json.loads(ended["output"])
    bucket, table = product.outputs["BucketName"], product.outputs["TableName"]
    key = record["record"].removeprefix(f"s3://{bucket}/")
    assert delete(aws) == "DELETE_COMPLETE"

    stored = json.loads(aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())
    assert stored["run_id"] == record["run_id"]
    assert aws.client("s3").get_bucket_policy(Bucket=bucket)["Policy"]
    items = aws.client("dynamodb").scan(TableName=table)["Items"]
    assert any(item["sk"]["S"] == f"run#{record['run_id']}" for item in items)
    snapshots = [snapshot["snapshot_id"] for snapshot in record["snapshots"]]
    assert len(aws.client("ec2").describe_snapshots(SnapshotIds=snapshots)["Snapshots"]) == 3

    names = [f["FunctionName"] for f in aws.client("lambda").list_functions()["Functions"]]
    roles = [role["RoleName"] for role in aws.client("iam").list_roles(MaxItems=1000)["Roles"]]
    assert [name for name in [*names, *roles] if name.startswith(f"{STACK}-")] == []
    assert not [name for name in aws.run_command.documents if name.startswith(f"{STACK}-")]
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        product.start({"policy": "files-nightly", "instance_id": server.instance_id})
