"""A recovery as a person starts one: the deployed machine, least privilege enforced, a server with the old data."""

import json

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.instances import INSTANCES
from sandbox.executions import follow
from tests.support.fixtures import Quiesce

PATIENCE_S = 120
RECOVERED = {"quiesce:recovery", "quiesce:stack", "quiesce:instance", "Name"}


def ended(described):
    assert described["status"] == "SUCCEEDED", described.get("cause")
    return json.loads(described["output"])


def account_of(aws, quiesce, recovery_id, execution_arn):
    """Wait for the account of one execution of a recovery, and return it."""
    s3, key = aws.client("s3"), f"recoveries/{recovery_id}/{execution_arn.rpartition(':')[2]}.json"
    place = {"Bucket": quiesce.outputs["BucketName"], "Key": key}
    s3.get_waiter("object_exists").wait(**place, WaiterConfig={"Delay": 1, "MaxAttempts": PATIENCE_S})
    return json.loads(s3.get_object(**place)["Body"].read())


def test_a_server_is_recovered_with_the_data_of_its_recovery_point(aws, quiesce: Quiesce):
    server = aws.servers.add("FILES01", application=False)
    aws.servers.content(server.volumes["D:"]).write("ledger.txt", "as it was")
    record = ended(quiesce.back_up(server))
    aws.servers.content(server.volumes["D:"]).write("ledger.txt", "encrypted by strangers")
    told = ended(quiesce.recover(record, mode="dry-run"))
    assert told["possible"] is True
    account = ended(quiesce.recover(record))
    recovered = aws.servers.servers[account["instance_id"]]
    assert aws.servers.content(recovered.volumes["D:"]).read("ledger.txt") == "as it was"
    assert aws.servers.content(server.volumes["D:"]).read("ledger.txt") == "encrypted by strangers"
    described = aws.client("ec2").describe_instances(InstanceIds=[account["instance_id"]])
    tags = {tag["Key"] for tag in described["Reservations"][0]["Instances"][0]["Tags"]}
    assert tags == RECOVERED
    assert account_of(aws, quiesce, account["recovery_id"], account["execution"]) == account


def test_a_recovery_that_is_stopped_is_accounted_for_by_the_event(aws, quiesce: Quiesce, monkeypatch):
    record = ended(quiesce.back_up(aws.servers.add("FILES01", application=False)))
    monkeypatch.setattr(INSTANCES, "never_stops", True)
    same = {"recovery_id": "drill-7", "image_id": aws.servers.add_image("windows-to-recover")}
    arn = quiesce.start_recovery(record, **same, on_failure="clean-up")
    assert "Stop" in (state for state, _ in follow(aws, arn))
    aws.client("stepfunctions").stop_execution(executionArn=arn)
    account = account_of(aws, quiesce, "drill-7", arn)
    assert account["reason"].startswith("ExecutionStopped: ")
    assert [r["kind"] for r in account["exists"]] == ["server", *["volume"] * 4, "security group"]
    monkeypatch.setattr(INSTANCES, "never_stops", False)
    assert ended(quiesce.recover(record, **same))["instance_id"] == account["instance_id"]
    assert aws.decisions.denied("quiesce") == []


def test_the_recovery_may_touch_no_server_but_its_own(aws, quiesce: Quiesce, set_aside):
    server = aws.servers.add("FILES01", application=False)
    instance, volume = {"InstanceIds": [server.instance_id]}, {"VolumeId": server.volumes["D:"]}
    for call, arguments in {
        "stop_instances": instance,
        "start_instances": instance,
        "terminate_instances": instance,
        "detach_volume": {"InstanceId": server.instance_id, **volume},
        "delete_volume": volume,
        "delete_snapshot": {"SnapshotId": "snap-0123456789abcdef0"},
    }.items():
        with pytest.raises(ClientError, match="UnauthorizedOperation"):
            getattr(quiesce.client_of("RecoverFunction", "ec2"), call)(**arguments)
