"""Faults that a test orders."""

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError


@pytest.fixture
def server(aws):
    return aws.servers.add("files")


def take(ec2, server):
    return ec2.create_snapshots(InstanceSpecification={"InstanceId": server.instance_id})


def snapshots_of(ec2, server):
    found = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    return [snapshot for snapshot in found if snapshot["VolumeId"] in server.volumes.values()]


def test_a_lost_answer_leaves_the_effect_and_breaks_the_connection(aws, ec2, server):
    aws.faults.lose_answer("ec2:CreateSnapshots")
    with pytest.raises(ConnectionClosedError):
        take(ec2, server)
    assert len(snapshots_of(ec2, server)) == 3


def test_a_client_that_retries_by_itself_meets_its_own_first_effect(aws, server):
    aws.faults.lose_answer("ec2:CreateSnapshots")
    with pytest.raises(ClientError, match="SnapshotCreationPerVolumeRateExceeded"):
        take(aws.client("ec2"), server)


def test_a_refused_call_has_no_effect_and_the_next_one_passes(aws, ec2, server):
    aws.faults.refuse("ec2:CreateSnapshots", "RequestLimitExceeded")
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        take(ec2, server)
    assert snapshots_of(ec2, server) == []
    assert len(take(ec2, server)["Snapshots"]) == 3


def test_a_dry_run_does_not_use_up_what_is_meant_for_the_call(aws, ec2, server):
    aws.faults.refuse("ec2:CreateSnapshots", "RequestLimitExceeded")
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.create_snapshots(InstanceSpecification={"InstanceId": server.instance_id}, DryRun=True)
    with pytest.raises(ClientError, match="RequestLimitExceeded"):
        take(ec2, server)


@pytest.mark.parametrize(
    ("service", "action", "call"),
    [
        ("dynamodb", "dynamodb:PutItem", lambda c, o: c.put_item(TableName=o["Table"], Item={"id": {"S": "1"}})),
        ("s3", "s3:PutObject", lambda c, o: c.put_object(Bucket=o["Bucket"], Key="records/1.json", Body=b"{}")),
        ("sns", "sns:Publish", lambda c, o: c.publish(TopicArn=o["Topic"], Message="news")),
    ],
)
def test_answers_of_every_service_can_be_lost_and_refused(aws, probe_outputs, service, action, call):
    client = aws.client(service, retries={"total_max_attempts": 1})
    aws.faults.lose_answer(action)
    with pytest.raises(ConnectionClosedError):
        call(client, probe_outputs)
    aws.faults.refuse(action, "ThrottlingException")
    with pytest.raises(ClientError, match="ThrottlingException"):
        call(client, probe_outputs)
    call(client, probe_outputs)
