"""The rules of simulated attachments: what EC2 describes and refuses while a volume attaches and detaches."""

import pytest

from sandbox.aws.snapshots import RULES
from sandbox.aws.volumes import VOLUMES
from tests.sandbox.refusals import refused


@pytest.fixture
def volume(ec2, server):
    """A free volume in the server's zone."""
    zone = ec2.describe_volumes(VolumeIds=[server.volumes["C:"]])["Volumes"][0]["AvailabilityZone"]
    return ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]


def attach(ec2, server, volume, device="xvdz"):
    return ec2.attach_volume(InstanceId=server.instance_id, VolumeId=volume, Device=device)


def described(ec2, server, volume):
    """Return the state of a volume, and that of its attachment by DescribeVolumes and by DescribeInstances."""
    [found] = ec2.describe_volumes(VolumeIds=[volume])["Volumes"]
    [instance] = ec2.describe_instances(InstanceIds=[server.instance_id])["Reservations"][0]["Instances"]
    by_instance = [m["Ebs"]["Status"] for m in instance["BlockDeviceMappings"] if m["Ebs"]["VolumeId"] == volume]
    return found["State"], [a["State"] for a in found["Attachments"]], by_instance


def test_a_volume_is_attaching_for_a_while_and_taken_from_the_first_moment(ec2, server, volume):
    VOLUMES.attaching_s = 30
    assert attach(ec2, server, volume)["State"] == "attaching"
    assert described(ec2, server, volume) == ("in-use", ["attaching"], ["attaching"])
    assert refused(attach, ec2, server, volume) == "VolumeInUse"
    assert refused(ec2.delete_volume, VolumeId=volume) == "VolumeInUse"
    RULES.skip(30)
    assert described(ec2, server, volume) == ("in-use", ["attached"], ["attached"])


def test_a_volume_is_detaching_for_a_while_and_it_and_its_device_are_taken_until_the_end(ec2, server, volume):
    VOLUMES.detaching_s = 30
    held = server.volumes["D:"]
    assert ec2.detach_volume(VolumeId=held)["State"] == "detaching"
    assert described(ec2, server, held) == ("in-use", ["detaching"], ["detaching"])
    assert refused(attach, ec2, server, held) == "VolumeInUse"
    assert refused(attach, ec2, server, volume, "xvdf") == "InvalidParameterValue"
    assert refused(ec2.delete_volume, VolumeId=held) == "VolumeInUse"
    RULES.skip(30)
    assert described(ec2, server, held) == ("available", [], [])
    attach(ec2, server, volume, "xvdf")
    ec2.delete_volume(VolumeId=held)


@pytest.mark.parametrize("state", ["detaching", "busy"])
def test_a_detachment_can_be_ordered_never_to_end_before_the_server_does(aws, ec2, server, state):
    VOLUMES.stuck_as, held = state, server.volumes["D:"]
    ec2.detach_volume(VolumeId=held)
    RULES.skip(86_400)
    assert described(ec2, server, held) == ("in-use", [state], [state])
    aws.servers.terminate(server)
    assert ec2.describe_volumes(VolumeIds=[held])["Volumes"][0]["State"] == "available"


@pytest.mark.parametrize("knobs", [{"detaching_s": 30}, {"stuck_as": "busy"}])
def test_what_ec2_answers_to_a_second_detach_is_not_guessed(ec2, server, knobs):
    for name, value in knobs.items():
        setattr(VOLUMES, name, value)
    ec2.detach_volume(VolumeId=server.volumes["D:"])
    assert refused(ec2.detach_volume, VolumeId=server.volumes["D:"]) == "SandboxCannotTell"


def test_a_dry_run_detaches_nothing(ec2, server):
    assert refused(ec2.detach_volume, VolumeId=server.volumes["D:"], DryRun=True) == "DryRunOperation"
    assert described(ec2, server, server.volumes["D:"]) == ("in-use", ["attached"], ["attached"])


@pytest.mark.parametrize("other", [{"Device": "xvdg"}, {"InstanceId": "i-0123456789abcdef0"}])
def test_a_volume_is_detached_only_from_where_it_is(ec2, server, other):
    assert refused(ec2.detach_volume, VolumeId=server.volumes["D:"], **other) == "InvalidAttachment.NotFound"


def set_delete_on_termination(ec2, server, device, value):
    mapping = {"DeviceName": device, "Ebs": {"DeleteOnTermination": value}}
    ec2.modify_instance_attribute(InstanceId=server.instance_id, BlockDeviceMappings=[mapping])


def test_delete_on_termination_is_set_of_what_is_attached_and_described_with_the_volume(ec2, server, volume):
    VOLUMES.attaching_s = 30
    assert refused(set_delete_on_termination, ec2, server, "xvdz", value=True) == "InvalidInstanceAttributeValue"
    attach(ec2, server, volume)
    assert refused(set_delete_on_termination, ec2, server, "xvdz", value=True) == "SandboxCannotTell"
    RULES.skip(30)
    for value in (True, False):
        set_delete_on_termination(ec2, server, "xvdz", value)
        [attachment] = ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Attachments"]
        assert attachment["DeleteOnTermination"] is value
