"""Every bad ending: its error in the execution, the record and the mail; the lease; the number of snapshot sets."""

from enum import Enum

import pytest

from quiesce.backup.awaiting import SNAPSHOT_LIMIT_S
from sandbox.aws.snapshots import RULES, Fate
from tests.statemachine.truth import assert_failed
from tests.support.environment import TABLE
from tests.support.factories.policy import a_policy
from tests.support.wire import refused


class InBin(Enum):
    RECOVERABLE = "recoverable"


def test_a_policy_that_does_not_exist_ends_before_anything_is_created(machine, cloud, server, request_for):
    run = machine.start({**request_for, "policy": "files-nigthly"})
    assert_failed(cloud, run, server.instance_id, "PolicyRefused", "policies/files-nigthly.yaml does not exist")
    assert "Remedy: write 'files-nightly', or upload it: aws s3 cp files-nigthly.yaml s3://" in run.cause
    assert cloud.snapshot_sets() == 0


@pytest.mark.parametrize("data", ["a text", ["a", "list"], 7, {}, None, {"policy": None}])
def test_an_input_that_names_no_server_has_a_record_of_its_own(data, machine, cloud):
    run = machine.start(data)
    assert_failed(cloud, run, "unknown", "PolicyRefused", "Remedy: ")


def test_a_terminated_server_is_refused(machine, cloud, server, request_for):
    cloud.ec2.terminate_instances(InstanceIds=[server.instance_id])
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "ServerRefused", "terminated")
    assert cloud.snapshot_sets() == 0


def test_a_right_that_a_freeze_lacks_is_found_before_anything_is_held(machine, cloud, shop, frozen_request):
    machine.wire.on("ec2:CreateSnapshots", refused("UnauthorizedOperation", 403))
    run = machine.start(frozen_request)
    assert_failed(cloud, run, shop.instance_id, "AccessDenied", "ec2:CreateSnapshots (DryRun)")
    assert cloud.snapshot_sets() == 0
    assert shop.application.asked == []


@pytest.mark.parametrize(
    "answer",
    [
        ("UnauthorizedOperation", 403, "AccessDenied"),
        ("IncorrectInstanceState", 400, "SnapshotRefused"),
        ("SnapshotLimitExceeded", 400, "SnapshotRefused"),
        ("InternalError", 500, "OutcomeUnknown"),
        ("Unavailable", 503, "OutcomeUnknown"),
    ],
    ids=str,
)
def test_create_snapshots_that_ec2_refuses_is_sent_once(answer, machine, cloud, server, request_for):
    code, status, error = answer
    machine.wire.on("ec2:CreateSnapshots", refused(code, status))
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, error, code)
    assert machine.wire.count("ec2:CreateSnapshots") == 1
    assert cloud.snapshot_sets() == 0


def test_a_snapshot_in_error_takes_its_set_with_it(machine, cloud, server, request_for):
    RULES.order(server.volumes["D:"], Fate.ERRS)
    run = machine.start(request_for)
    record = assert_failed(cloud, run, server.instance_id, "SnapshotsIncomplete", "xvdf failed in EBS")
    assert {s["state"] for s in record["snapshots"]} == {"error"}
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"none"}


def test_a_snapshot_that_vanished_is_missed(machine, cloud, server, request_for):
    RULES.order(server.volumes["D:"], Fate.VANISHES)
    run = machine.start(request_for)
    record = assert_failed(cloud, run, server.instance_id, "SnapshotsIncomplete", "xvdf vanished")
    assert {s["device"]: s["state"] for s in record["snapshots"]} == {
        "/dev/sda1": "completed",
        "xvdf": "vanished",
        "xvdg": "completed",
    }


def test_a_snapshot_in_the_recycle_bin_is_no_recovery_point(machine, cloud, server, request_for):
    RULES.order(server.volumes["E:"], InBin.RECOVERABLE)
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "SnapshotsIncomplete", "xvdg was deleted and is in the Recycle Bin")


def test_a_snapshot_that_never_completes_is_given_up_after_a_day(machine, cloud, clock, server, request_for):
    RULES.order(server.volumes["D:"], Fate.NEVER_COMPLETES)
    run = machine.start(request_for)
    record = assert_failed(cloud, run, server.instance_id, "SnapshotsIncomplete", "xvdf")
    assert "did not complete in time (99%)" in run.cause
    assert SNAPSHOT_LIMIT_S <= sum(clock.waits) < SNAPSHOT_LIMIT_S + 900
    assert len(run.history) < 2_500  # of 25,000
    assert [s["state"] for s in record["snapshots"]] == ["completed", "pending", "completed"]


def test_looking_that_is_denied_leaves_it_open_whether_the_snapshots_are_good(machine, cloud, server, request_for):
    machine.wire.on("ec2:DescribeSnapshots", refused("UnauthorizedOperation", 403))
    run = machine.start(request_for)
    record = assert_failed(cloud, run, server.instance_id, "AccessDenied", "ec2:DescribeSnapshots")
    assert len(record["snapshots"]) == 3
    assert cloud.snapshot_sets() == 1


def test_a_record_that_cannot_be_written_ends_in_the_steps_own_error(machine, cloud, server, request_for):
    machine.wire.on("s3:PutObject", refused("AccessDenied", 403))
    run = machine.start(request_for)
    assert (run.status, run.error) == ("FAILED", "AccessDenied")
    assert run.states[-2:] == ["Report", "ReportFailed"]
    assert "s3:PutObject" in run.cause
    assert cloud.records() == {}
    assert cloud.snapshot_sets() == 1


@pytest.mark.parametrize("call", ["s3:PutObject", "ec2:CreateTags", "dynamodb:TransactWriteItems"])
def test_a_report_that_fails_does_not_undo_a_good_backup(call, machine, cloud, server, request_for):
    """An outage that outlasts Report's retries: sweep goes on from what Report had judged."""
    machine.before("report", lambda: machine.wire.on(call, refused("InternalError", 500), times=200))
    run = machine.start(request_for)
    assert (run.status, run.error, run.states[-1]) == ("FAILED", "AwsUnavailable", "ReportFailed")
    machine.wire.forget()
    machine.sweep(run)
    [record] = cloud.records().values()
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "crash")
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"crash"}
    assert cloud.lease(server.instance_id) is None
    assert cloud.snapshot_sets() == 1


@pytest.mark.parametrize("code", ["Throttled", "AuthorizationError", "InternalError"])
def test_a_mail_that_cannot_be_sent_is_a_note(code, machine, cloud, server, request_for):
    RULES.order(server.volumes["D:"], Fate.ERRS)
    status = {"Throttled": 429, "AuthorizationError": 403}.get(code, 500)
    machine.before("report", lambda: machine.wire.on("sns:Publish", refused(code, status), times=9))
    run = machine.start(request_for)
    machine.wire.forget()
    [record] = cloud.records().values()
    assert (run.error, record["status"]) == ("SnapshotsIncomplete", "Failed")
    assert any(note.startswith("the mail was not sent: ") for note in record["notes"])
    assert cloud.mails() == []
    assert cloud.lease(server.instance_id) is None


def test_a_report_that_dies_after_its_record_leaves_no_lease(machine, cloud, server, request_for):
    """It writes one item after the other where the run before it was a bad one."""
    key = {"pk": {"S": server.instance_id}, "sk": {"S": "last#files-nightly"}}
    cloud.dynamodb.put_item(TableName=TABLE, Item={**key, "status": {"S": "Failed"}})
    machine.before("report", lambda: machine.wire.on("dynamodb:DeleteItem", refused("InternalError", 500), times=200))
    run = machine.start(request_for)
    assert run.states[-1] == "ReportFailed"
    assert cloud.lease(server.instance_id)
    machine.wire.forget()
    machine.sweep(run)
    assert [record["status"] for record in cloud.records().values()] == ["Successful"]
    assert cloud.lease(server.instance_id) is None


@pytest.mark.parametrize("fate", [Fate.COMPLETES, Fate.VANISHES, Fate.NEVER_COMPLETES])
def test_a_volume_attached_after_the_plan_is_noted_and_decides_nothing(
    fate, machine, cloud, clock, server, request_for
):
    def attach():
        zone = cloud.ec2.describe_volumes()["Volumes"][0]["AvailabilityZone"]
        volume_id = cloud.ec2.create_volume(AvailabilityZone=zone, Size=8)["VolumeId"]
        cloud.ec2.attach_volume(VolumeId=volume_id, InstanceId=server.instance_id, Device="xvdh")
        RULES.order(volume_id, fate)

    machine.before("snapshot", attach)
    run = machine.start(request_for)
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Successful")
    assert "attached after the plan was made" in run.output["notes"][0]
    assert len(run.output["snapshots"]) == 4
    assert sum(clock.waits) < 900


def test_a_volume_detached_after_the_plan_is_missed(machine, cloud, server, request_for):
    gone = server.volumes["E:"]
    where = {"VolumeId": gone, "InstanceId": server.instance_id, "Device": "xvdg"}
    machine.before("snapshot", lambda: cloud.ec2.detach_volume(**where))
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "SnapshotsIncomplete", f"xvdg {gone} has no snapshot")


def test_no_volume_is_left(machine, cloud, server):
    policy = a_policy(server.instance_id, defaults={"volumes": {"exclude": ["root", "xvdf", "xvdg"]}})
    run = machine.start({"policy": policy})
    assert_failed(cloud, run, server.instance_id, "PolicyRefused", "leaves no volume")
