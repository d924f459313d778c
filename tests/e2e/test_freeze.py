"""The deployed product with scripts: a good run, and one that a person stops while the application is held."""

import json
from threading import Event

import pytest

from sandbox.aws.snapshots import RULES

# Longer than a function takes to start on a machine that is busy; shorter than SSM keeps a command for a lost server.
FREEZE_LIMIT_S = 300


@pytest.fixture
def shop(aws, quiesce):
    """A server whose scripts lie in the bucket."""
    quiesce.put_scripts("files-nightly")
    return aws.servers.add("SHOP", seed=2)


def test_a_server_with_scripts_and_vss_gets_an_application_consistent_recovery_point(aws, quiesce, shop):
    ended = quiesce.back_up(shop, defaults={"scripts": {"from": "bucket"}})
    record = json.loads(ended["output"])
    level = record["consistency"]["level"]
    assert (ended["status"], record["status"], level) == ("SUCCEEDED", "Successful", "application")
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    assert not aws.servers.examine({s["volume_id"]: s["snapshot_id"] for s in record["snapshots"]}).torn
    assert not aws.servers.examine_shadow_copies(record).torn
    assert "diskshadow.log" in record["logs"]["files"]
    assert [copy["verdict"] for copy in record["evidence"]["copies"]] == ["present"] * 3
    assert [copy["build"]["verdict"] for copy in record["evidence"]["copies"]] == ["buildable"] * 3
    assert all(read["blocks"] > 0 for read in record["evidence"]["snapshots"])
    assert record["calls"]["lambda:Invoke"] == 2, "Freeze has not started both Snapshot and Thaw beforehand"
    assert aws.decisions.denied("quiesce") == []


def test_awss_own_document_makes_the_snapshots_where_the_policy_says_so(aws, quiesce, shop):
    by_aws = {"scripts": {"from": "bucket"}, "vss": {"engine": "aws-vss"}, "revert": "off"}
    ended = quiesce.back_up(shop, defaults=by_aws)
    record = json.loads(ended["output"])
    level = record["consistency"]["level"]
    assert (ended["status"], record["status"], level) == ("SUCCEEDED", "Successful", "application"), record
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    assert [snapshot["app_consistent"] for snapshot in record["snapshots"]] == [True] * 3
    assert not aws.servers.examine({s["volume_id"]: s["snapshot_id"] for s in record["snapshots"]}).torn
    assert aws.decisions.denied("quiesce") == []


@pytest.mark.usefixtures("set_aside")
def test_one_function_alone_may_send_awss_document_and_it_no_other(aws, quiesce, shop):
    def refusal(function, document):
        ssm = quiesce.client_of(function, "ssm")
        with pytest.raises(ssm.exceptions.ClientError) as refused:
            ssm.send_command(DocumentName=document, InstanceIds=[shop.instance_id], Parameters={"No": ["such"]})
        return refused.value.response["Error"]["Code"]

    document, ours = "AWSEC2-CreateVssSnapshot", quiesce.function_name("ActDocument")
    assert refusal("SnapshotByAwsFunction", document) == "InvalidParameters"  # allowed, and read
    assert refusal("SnapshotByAwsFunction", ours) == "AccessDeniedException"
    assert refusal("SnapshotByAwsFunction", "AWSEC2-VssInstallAndSnapshot") == "AccessDeniedException"
    assert refusal("FreezeFunction", document) == "AccessDeniedException"


def test_verify_may_not_read_a_snapshot_that_is_not_this_stacks(aws, quiesce, shop, set_aside):
    [taken, *_] = aws.client("ec2").create_snapshots(InstanceSpecification={"InstanceId": shop.instance_id})[
        "Snapshots"
    ]
    RULES.skip(60)
    assert aws.client("ebs").list_snapshot_blocks(SnapshotId=taken["SnapshotId"])["Blocks"]
    verify = quiesce.client_of("VerifyFunction", "ebs")
    with pytest.raises(verify.exceptions.AccessDeniedException):
        verify.list_snapshot_blocks(SnapshotId=taken["SnapshotId"])


def test_nobody_but_verify_may_read_a_snapshots_blocks(aws, quiesce, shop, set_aside):
    record = json.loads(quiesce.back_up(shop)["output"])
    snapshot_id = record["snapshots"][0]["snapshot_id"]
    assert quiesce.client_of("VerifyFunction", "ebs").list_snapshot_blocks(SnapshotId=snapshot_id)["Blocks"]
    report = quiesce.client_of("ReportFunction", "ebs")
    with pytest.raises(report.exceptions.AccessDeniedException):
        report.list_snapshot_blocks(SnapshotId=snapshot_id)


def test_an_execution_stopped_while_the_application_is_held_leaves_it_thawed_judged_and_recorded(
    aws, quiesce, shop, monkeypatch
):
    policy = {
        "name": "files-nightly",
        "owner": "tests",
        "targets": [
            {
                "instance_id": shop.instance_id,
                "vss": "off",
                "scripts": {"from": "bucket"},
                "freeze_limit_s": FREEZE_LIMIT_S,
            }
        ],
    }
    stopped = Event()

    def stop(_instance_id, _snapshots):
        """Stop the execution at the instant of CreateSnapshots, and disconnect the server."""
        assert not stopped.is_set(), "EC2 took a second set"
        shop.windows.agent.connected = False
        aws.client("stepfunctions").stop_execution(executionArn=arn)
        stopped.set()

    monkeypatch.setattr(RULES, "captured", [*RULES.captured, stop])
    arn = quiesce.start({"policy": policy, "instance_id": shop.instance_id})
    assert quiesce.entered(arn)[-1] == "Snapshot"
    # The execution has ended before the answer to its stop has arrived.
    assert stopped.wait(timeout=30)
    assert (shop.application.held, shop.application.asked) == (True, ["before"])
    RULES.skip(FREEZE_LIMIT_S + 1)
    aws.servers.advance()
    assert (shop.application.held, shop.application.asked) == (False, ["before", "after 1"])
    shop.windows.agent.connected = True
    record = quiesce.record_of(shop, arn)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert record["reason"].startswith("the server thawed by itself")
    assert any("the execution ended before it had reported (ExecutionStopped" in note for note in record["notes"])
    assert record["session"]["auto_thawed"]
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert aws.decisions.denied("quiesce") == []
