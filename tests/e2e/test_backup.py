"""The deployed product on the local AWS, with its real functions, roles and definition."""

import json
import re

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.snapshots import RULES
from tests.support.environment import BUCKET
from tests.support.project import definition


def record_of(ended):
    return json.loads(ended["output"])


def snapshots_of(aws, server):
    found = aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return [snapshot["SnapshotId"] for snapshot in found if snapshot["VolumeId"] in server.volumes.values()]


def test_a_running_server_gets_a_crash_consistent_recovery_point(aws, quiesce):
    server = aws.servers.add("SERVER1", seed=2)
    ended = quiesce.back_up(server)
    record = record_of(ended)
    assert (ended["status"], record["status"], record["consistency"]["level"]) == ("SUCCEEDED", "Successful", "crash")
    snapshots = {snapshot["volume_id"]: snapshot["snapshot_id"] for snapshot in record["snapshots"]}
    assert snapshots.keys() == set(server.volumes.values())
    assert aws.servers.examine(snapshots).torn


@pytest.mark.parametrize("machine", ["BackupMachine", "PolicyMachine", "RecoverMachine", "RevertMachine"])
def test_cloudformation_makes_the_definition_that_the_tests_read(aws, quiesce, machine):
    def without_names(text):
        # CloudFormation makes up the names of functions, machines and bucket, in the account of the local AWS.
        text = text.replace(quiesce.outputs["BucketName"], BUCKET)
        return json.loads(re.sub(r"arn:aws:(lambda|states):[a-z0-9-]+:\d+:(\w+):[^\"]+", r"\1 \2", text))

    describe = aws.client("stepfunctions").describe_state_machine
    deployed = describe(stateMachineArn=quiesce.function_name(machine))["definition"]
    assert without_names(deployed) == without_names(json.dumps(definition(machine)))


def test_nothing_that_a_backup_does_is_denied(aws, quiesce):
    quiesce.back_up(aws.servers.add("SERVER1"))
    assert aws.decisions.denied("quiesce") == []


def test_a_lost_answer_of_create_snapshots_is_made_good_and_the_call_never_repeated(aws, quiesce):
    server = aws.servers.add("SERVER1")
    RULES.hidden_lookups = 1
    aws.faults.lose_answer("ec2:CreateSnapshots")
    record = record_of(quiesce.back_up(server))
    assert record["status"] == "Successful"
    assert sorted(snapshot["snapshot_id"] for snapshot in record["snapshots"]) == sorted(snapshots_of(aws, server))
    assert len(record["snapshots"]) == 3


@pytest.mark.usefixtures("set_aside")
@pytest.mark.parametrize(
    ("tags", "allowed"), [({"quiesce:stack": "quiesce"}, True), ({"quiesce:stack": "another"}, False), ({}, False)]
)
def test_report_can_tag_snapshots_of_its_own_stack_only(aws, quiesce, tags, allowed):
    server = aws.servers.add("SERVER1")
    pairs = [{"Key": key, "Value": value} for key, value in {"made-by": "a test", **tags}.items()]
    taken = aws.client("ec2").create_snapshots(
        InstanceSpecification={"InstanceId": server.instance_id},
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": pairs}],
    )["Snapshots"]
    verdict = {"Resources": [taken[0]["SnapshotId"]], "Tags": [{"Key": "quiesce:consistency", "Value": "crash"}]}
    report = quiesce.client_of("ReportFunction", "ec2")
    if allowed:
        report.create_tags(**verdict)
        return
    with pytest.raises(ClientError, match="UnauthorizedOperation"):
        report.create_tags(**verdict)
