"""The rules of simulated images of servers, each as AWS documents it."""

import pytest

from sandbox.aws.images import IMAGES
from sandbox.aws.snapshots import RULES
from tests.sandbox.refusals import refused

OURS = [{"Key": "run", "Value": "1"}]
ROOT_ONLY = [{"DeviceName": device, "NoDevice": ""} for device in ("xvdf", "xvdg")]


def create(ec2, server, name="first", **more):
    specifications = [{"ResourceType": kind, "Tags": OURS} for kind in ("image", "snapshot")]
    request = {"NoReboot": True, "TagSpecifications": specifications} | more
    return ec2.create_image(InstanceId=server.instance_id, Name=name, **request)["ImageId"]


def described(ec2, image_id):
    [image] = ec2.describe_images(ImageIds=[image_id])["Images"]
    return image


def by_tag(ec2):
    return [i["ImageId"] for i in ec2.describe_images(Filters=[{"Name": "tag:run", "Values": ["1"]}])["Images"]]


def snapshots_of(ec2, image_id):
    return {m["DeviceName"]: m["Ebs"]["SnapshotId"] for m in described(ec2, image_id)["BlockDeviceMappings"]}


def existing(ec2, snapshot_ids):
    """Return which of these snapshots exist."""
    found = ec2.describe_snapshots(Filters=[{"Name": "snapshot-id", "Values": list(snapshot_ids)}])["Snapshots"]
    return {snapshot["SnapshotId"] for snapshot in found}


@pytest.mark.parametrize("end", ["available", "failed"])
def test_an_image_is_pending_for_a_while_and_ends_well_or_not(ec2, server, end):
    IMAGES.creating_s, IMAGES.fails = 100, end == "failed"
    image_id = create(ec2, server)
    RULES.skip(99)
    assert described(ec2, image_id)["State"] == "pending"
    RULES.skip(1)
    assert described(ec2, image_id)["State"] == end


def test_an_image_says_when_it_was_created_by_the_sandboxs_clock(ec2, server):
    first = create(ec2, server)
    RULES.skip(86_400)
    second = create(ec2, server, "second")
    assert described(ec2, first)["CreationDate"][:10] < described(ec2, second)["CreationDate"][:10]


def test_a_name_that_is_taken_is_refused_until_its_image_has_gone(ec2, server):
    image_id = create(ec2, server)
    RULES.skip(15)
    assert refused(create, ec2, server) == "InvalidAMIName.Duplicate"
    assert by_tag(ec2) == [image_id]
    ec2.deregister_image(ImageId=image_id)
    create(ec2, server)


def test_an_image_holds_a_tagged_snapshot_of_each_volume_and_the_servers_traits(ec2, server):
    image = described(ec2, create(ec2, server))
    assert image["Tags"] == OURS
    traits = ("RootDeviceName", "Architecture", "Platform", "PlatformDetails", "UsageOperation")
    assert [image[trait] for trait in traits] == ["/dev/sda1", "x86_64", "windows", "Windows", "RunInstances:0002"]
    by_device = snapshots_of(ec2, image["ImageId"])
    snapshots = ec2.describe_snapshots(SnapshotIds=list(by_device.values()))["Snapshots"]
    devices = {server.volumes[drive]: device for drive, device in (("C:", "/dev/sda1"), ("D:", "xvdf"), ("E:", "xvdg"))}
    assert {devices[s["VolumeId"]]: s["SnapshotId"] for s in snapshots} == by_device
    assert all(snapshot["Tags"] == OURS for snapshot in snapshots)


def test_a_volume_with_no_device_is_left_out_and_a_server_launched_from_it_has_none(ec2, server):
    image_id = create(ec2, server, BlockDeviceMappings=ROOT_ONLY)
    assert list(snapshots_of(ec2, image_id)) == ["/dev/sda1"]
    [launched] = ec2.run_instances(ImageId=image_id, MinCount=1, MaxCount=1)["Instances"]
    assert [mapping["DeviceName"] for mapping in launched["BlockDeviceMappings"]] == ["/dev/sda1"]


@pytest.mark.parametrize("more", [{"NoReboot": False}, {}])
def test_an_image_that_would_reboot_the_server_is_not_simulated(ec2, server, more):
    assert refused(ec2.create_image, InstanceId=server.instance_id, Name="first", **more) == "SandboxCannotTell"
    assert by_tag(ec2) == []


def test_an_image_within_15_seconds_of_the_servers_last_snapshots_is_refused_as_these_are(ec2, server):
    ec2.create_snapshots(InstanceSpecification={"InstanceId": server.instance_id})
    assert refused(create, ec2, server) == "SnapshotCreationPerVolumeRateExceeded"
    RULES.skip(15)
    create(ec2, server)


def test_no_image_is_made_of_a_terminated_server(aws, ec2, server):
    aws.servers.terminate(server)
    assert refused(create, ec2, server) == "IncorrectInstanceState"


def test_a_new_image_may_stay_hidden_from_lookups_by_tag_only(ec2, server):
    IMAGES.hidden_lookups = 2
    image_id = create(ec2, server)
    assert described(ec2, image_id)["ImageId"] == image_id
    assert [by_tag(ec2) for _ in range(3)] == [[], [], [image_id]]


@pytest.mark.parametrize("together", [True, False])
def test_an_images_snapshots_go_with_it_only_if_that_is_asked_for(ec2, server, together):
    image_id = create(ec2, server)
    snapshots = set(snapshots_of(ec2, image_id).values())
    answer = ec2.deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=together)
    assert existing(ec2, snapshots) == (set() if together else snapshots)
    results = {result["SnapshotId"]: result["ReturnCode"] for result in answer.get("DeleteSnapshotResults", [])}
    assert results == (dict.fromkeys(snapshots, "success") if together else {})
    assert by_tag(ec2) == []


def test_a_dry_run_makes_nothing(ec2, server):
    assert refused(create, ec2, server, DryRun=True) == "DryRunOperation"
    assert by_tag(ec2) == []
    create(ec2, server)


def test_a_dry_run_deregisters_nothing(ec2, server):
    image_id = create(ec2, server)
    request = {"ImageId": image_id, "DeleteAssociatedSnapshots": True, "DryRun": True}
    assert refused(ec2.deregister_image, **request) == "DryRunOperation"
    assert described(ec2, image_id)["State"] == "available"
    snapshots = set(snapshots_of(ec2, image_id).values())
    assert existing(ec2, snapshots) == snapshots
