"""Recoveries in which EC2 and Systems Manager answer late or unexpectedly."""

import pytest
from moto.ec2.models.instances import StateReason

from quiesce.aws import recovery_changes
from quiesce.aws.recovery_changes import tag_of
from sandbox.aws.instances import INSTANCES
from tests.statemachine.recoveries import assert_recovered, made
from tests.support.wire import refused

PASS_ROLE = "You are not authorized to perform: iam:PassRole on resource: arn:aws:iam::123456789012:role/Web"


def test_a_dry_run_names_a_missing_right_among_what_stands_in_the_way(backed, machine):
    """The profile's role is not in ``ServerRoles``, as in most servers' first dry run."""
    machine.wire.on("ec2:RunInstances", refused("UnauthorizedOperation", 403, PASS_ROLE))
    run = backed.recover(mode="dry-run")
    assert run.status == "SUCCEEDED", run.cause
    assert run.output["possible"] is False
    assert any("iam:PassRole" in problem for problem in run.output["problems"])


def test_a_dry_run_goes_on_after_a_missing_right_and_names_what_else_is_missing(backed, machine):
    machine.wire.on("ec2:RunInstances", refused("UnauthorizedOperation", 403, PASS_ROLE))
    machine.wire.on("ec2:CreateVolume", refused("InvalidParameterValue"))
    run = backed.recover(mode="dry-run")
    assert run.status == "SUCCEEDED", run.cause
    assert len(run.output["problems"]) == 2


@pytest.mark.parametrize("call", ["ec2:StartInstances", "ec2:RunInstances"])
def test_the_remedies_for_missing_capacity_work_as_they_are_written(backed, machine, call):
    """Later under the same id, or with another instance_type under a new one."""
    machine.wire.on(
        call, refused("InsufficientInstanceCapacity", 500), nth=2 if call == "ec2:RunInstances" else 1, times=4
    )
    first = backed.recover()
    assert "or with another instance_type or zone in overrides, under a new recovery_id" in first.cause
    assert "to go on, start it again under recovery_id 'drill-7'" in first.cause
    assert backed.recover(overrides={"instance_type": "m5.xlarge"}, recovery_id="drill-8").status == "SUCCEEDED"
    assert_recovered(backed, backed.recover())


def test_a_server_that_is_online_is_not_deleted_because_its_hand_over_broke_off(backed, machine):
    """It is in use, in its real groups: a leftover of the recovery is no reason to delete it."""
    machine.wire.on("ec2:DeleteTags", refused("UnauthorizedOperation", 403))
    run = backed.recover(on_failure="clean-up")
    assert run.status == "FAILED"
    assert len(made(backed.cloud)["servers"]) == 1, run.states[-2:]
    assert "to go on, start it again under recovery_id 'drill-7'" in run.cause
    assert_recovered(backed, backed.recover())


def test_volumes_that_were_not_handed_over_with_their_server_are_by_the_next_execution(backed, machine):
    first = backed.recover()
    [volume, *_] = made(backed.cloud)["volumes"]
    tag = {"Key": "quiesce:recovering", "Value": "drill-7"}
    backed.cloud.ec2.create_tags(Resources=[volume["VolumeId"]], Tags=[tag])
    assert backed.recover().output == first.output
    assert_recovered(backed, first)


def test_a_launch_that_ec2_gives_up_is_told_with_ec2s_reason_and_blames_nobody(backed, slow, machine):
    """The function may not use the key of the image's root: EC2 accepts the call, and reports the error later.

    Source: EC2 User Guide, "Troubleshoot instance launch issues": Client.InternalError, the state reason of an instance
    that goes from pending to terminated.
    """

    def give_up():
        [server] = made(backed.cloud)["servers"]
        backed.cloud.ec2.terminate_instances(InstanceIds=[server["InstanceId"]])
        [instance] = [i for r in backend_instances(backed) for i in r.instances if i.id == server["InstanceId"]]
        instance.state_reason = StateReason("Client.InternalError: Client error on launch", "Client.InternalError")

    machine.clock.at_next_wait(lambda: None, give_up)
    run = backed.recover()
    assert run.error == "RecoveryUsedUp"
    assert (
        "is terminated (Client.InternalError: Client error on launch); start a new recovery, under another id"
        in run.cause
    )
    assert "to go on" not in run.cause


def backend_instances(backed):
    return backed.cloud.servers.backend().reservations.values()


@pytest.fixture
def hide_after(machine, monkeypatch):
    """Let EC2 leave out a volume in the first look by tag after a call."""
    find = recovery_changes.find_volumes

    def without_one(*arguments):
        monkeypatch.setattr(recovery_changes, "find_volumes", find)
        return [v for v in find(*arguments) if tag_of(v, "quiesce:device") != "xvdf"]

    def spoil(_request, effect):
        monkeypatch.setattr(recovery_changes, "find_volumes", without_one)
        return effect()

    return lambda call: machine.wire.on(call, spoil)


# The last call before a look: of Finish at the volumes that it hands over, and of Swap at those that it attaches.
@pytest.mark.parametrize("call", ["ssm:DescribeInstanceInformation", "ec2:DetachVolume"])
def test_a_volume_that_ec2_does_not_list_for_a_moment_is_neither_forgotten_nor_taken_for_deleted(
    backed, hide_after, call
):
    hide_after(call)
    assert_recovered(backed, backed.recover())


def test_a_launch_under_an_id_whose_server_was_terminated_says_that_the_id_is_used_up(backed, machine):
    """EC2 no longer returns the terminated server: IdempotentInstanceTerminated (boto3's issue 4406, 2025)."""
    machine.wire.on("ec2:RunInstances", refused("IdempotentInstanceTerminated"), nth=2)
    run = backed.recover()
    assert run.error == "RecoveryUsedUp"
    assert "under another id" in run.cause
    assert "under the same recovery_id" not in run.cause


def test_looks_that_systems_manager_throttles_now_and_then_do_not_end_a_recovery(backed, machine):
    """A hundred looks in fifty minutes: a retrier counts over all of them, and boto3 does not retry by itself."""
    for nth in range(1, 61, 10):
        machine.wire.on("ssm:DescribeInstanceInformation", refused("ThrottlingException"), nth=nth)
    INSTANCES.started.clear()  # the agent never registers
    run = backed.recover()
    assert run.error == "NotReady", run.cause
