"""The rules of simulated instances and volumes that a recovery needs, each as AWS documents it."""

import pytest

from sandbox.aws.instances import INSTANCES
from sandbox.aws.snapshots import RULES, Fate
from sandbox.aws.volumes import VOLUMES
from tests.sandbox.refusals import refused


def state(ec2, server):
    [instance] = ec2.describe_instances(InstanceIds=[server.instance_id])["Reservations"][0]["Instances"]
    return instance["State"]["Name"]


def a_snapshot(ec2, server):
    root = ec2.create_snapshots(
        InstanceSpecification={"InstanceId": server.instance_id, "ExcludeDataVolumeIds": [server.volumes["D:"]]}
    )["Snapshots"][0]
    RULES.skip(60)
    return root["SnapshotId"]


def zone_of(ec2, server):
    return ec2.describe_volumes(VolumeIds=[server.volumes["C:"]])["Volumes"][0]["AvailabilityZone"]


def a_volume(ec2, zone, **more):
    return ec2.create_volume(AvailabilityZone=zone, **({"Size": 1} | more))["VolumeId"]


def volume_state(ec2, volume_id):
    return ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]["State"]


def test_a_server_takes_its_time_to_stop_and_to_start(ec2, server):
    INSTANCES.stopping_s, INSTANCES.starting_s = 100, 50
    RULES.skip(60)
    ec2.stop_instances(InstanceIds=[server.instance_id])
    assert state(ec2, server) == "stopping"
    assert refused(ec2.start_instances, InstanceIds=[server.instance_id]) == "IncorrectInstanceState"
    RULES.skip(100)
    assert state(ec2, server) == "stopped"
    ec2.start_instances(InstanceIds=[server.instance_id])
    assert state(ec2, server) == "pending"
    assert refused(ec2.stop_instances, InstanceIds=[server.instance_id]) == "IncorrectInstanceState"
    RULES.skip(50)
    assert state(ec2, server) == "running"


def test_a_launch_with_a_key_pair_that_is_gone_is_refused(aws, ec2):
    launch = {"ImageId": aws.servers.add_image("windows"), "MinCount": 1, "MaxCount": 1}
    ec2.create_key_pair(KeyName="admins")
    assert ec2.run_instances(**launch, KeyName="admins")["Instances"][0]["KeyName"] == "admins"
    ec2.delete_key_pair(KeyName="admins")
    assert refused(ec2.run_instances, **launch, KeyName="admins") == "InvalidKeyPair.NotFound"


def test_a_launch_with_a_group_or_a_profile_that_does_not_exist_is_refused_by_dry_run_too(aws, ec2):
    launch = {"ImageId": aws.servers.add_image("windows"), "MinCount": 1, "MaxCount": 1, "DryRun": True}
    assert refused(ec2.run_instances, **launch) == "DryRunOperation"
    assert refused(ec2.run_instances, **launch, SecurityGroupIds=["sg-00000000000000000"]) == "InvalidGroup.NotFound"
    profile = {"Name": "no-such-profile"}
    assert refused(ec2.run_instances, **launch, IamInstanceProfile=profile) == "InvalidParameterValue"


@pytest.fixture
def profile(aws):
    """An instance profile with a role, as a person makes it; returns the name of both."""
    iam, name = aws.client("iam"), "of-servers"
    iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName=name)
    iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    yield name
    iam.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name)
    iam.delete_instance_profile(InstanceProfileName=name)
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=name)


@pytest.mark.parametrize("let_in", [True, False])
def test_a_server_of_a_public_image_comes_up_and_its_agent_if_the_role_lets_it_in(aws, ec2, profile, let_in):
    if let_in:
        policy = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
        aws.client("iam").attach_role_policy(RoleName=profile, PolicyArn=policy)
    image = aws.servers.add_public_image("windows")
    data = [{"DeviceName": "xvdf", "Ebs": {"VolumeSize": 8}}]
    launch = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "BlockDeviceMappings": data}
    [launched] = ec2.run_instances(**launch, IamInstanceProfile={"Name": profile})["Instances"]
    filters = [{"Key": "InstanceIds", "Values": [launched["InstanceId"]]}]
    found = aws.client("ssm").describe_instance_information(Filters=filters)["InstanceInformationList"]
    assert [info["PingStatus"] for info in found] == ["Online"] * let_in
    server = aws.servers.servers[launched["InstanceId"]]
    # The image's root, and what user data makes of the volume beside it.
    assert list(server.volumes) == ["C:", "D:"]
    [described] = ec2.describe_instances(InstanceIds=[launched["InstanceId"]])["Reservations"][0]["Instances"]
    assert (described["PlatformDetails"], described["UsageOperation"]) == ("Windows", "RunInstances:0002")


def test_stopping_again_neither_fails_nor_begins_anew(ec2, server):
    INSTANCES.stopping_s = 100
    for _ in range(2):
        ec2.stop_instances(InstanceIds=[server.instance_id])
        RULES.skip(50)
    assert state(ec2, server) == "stopped"


def test_a_server_can_be_ordered_never_to_stop(ec2, server):
    INSTANCES.never_stops = True
    ec2.stop_instances(InstanceIds=[server.instance_id])
    RULES.skip(86_400)
    assert state(ec2, server) == "stopping"


def test_status_checks_can_be_ordered_never_to_pass(ec2, server):
    def checks():
        [found] = ec2.describe_instance_status(InstanceIds=[server.instance_id])["InstanceStatuses"]
        return found["InstanceStatus"]["Status"], found["SystemStatus"]["Status"]

    assert checks() == ("ok", "ok")
    INSTANCES.never_passes_checks = True
    assert checks()[0] == "initializing"


def test_a_launch_happens_once_for_a_token_even_after_the_servers_end(ec2):
    image = ec2.register_image(Name="windows", RootDeviceName="/dev/sda1")["ImageId"]
    request = {"ImageId": image, "MinCount": 1, "MaxCount": 1, "ClientToken": "once"}
    first = ec2.run_instances(**request)["Instances"][0]["InstanceId"]
    assert ec2.run_instances(**request)["Instances"][0]["InstanceId"] == first
    ec2.terminate_instances(InstanceIds=[first])
    assert ec2.run_instances(**request)["Instances"][0]["InstanceId"] == first
    assert refused(ec2.run_instances, **request, InstanceType="t3.small") == "IdempotentParameterMismatch"


def test_a_launch_tags_its_volumes_as_it_was_asked_to(ec2):
    image = ec2.register_image(Name="windows", RootDeviceName="/dev/sda1")["ImageId"]
    tags = [{"ResourceType": "volume", "Tags": [{"Key": "run", "Value": "1"}]}]
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=tags)
    assert len(ec2.describe_volumes(Filters=[{"Name": "tag:run", "Values": ["1"]}])["Volumes"]) == 1


def test_a_volume_is_made_once_for_a_token(ec2, server):
    zone = zone_of(ec2, server)
    first = a_volume(ec2, zone, ClientToken="once")
    assert a_volume(ec2, zone, ClientToken="once") == first
    assert refused(a_volume, ec2, zone, ClientToken="once", Size=2) == "IdempotentParameterMismatch"
    assert a_volume(ec2, zone, ClientToken="twice") != first


def test_a_volume_of_a_snapshot_takes_its_time_and_may_end_in_an_error(ec2, server):
    snapshot, zone = a_snapshot(ec2, server), zone_of(ec2, server)
    VOLUMES.creating_s = 20
    good = ec2.create_volume(AvailabilityZone=zone, SnapshotId=snapshot)["VolumeId"]
    assert volume_state(ec2, good) == "creating"
    RULES.skip(20)
    assert volume_state(ec2, good) == "available"
    VOLUMES.unusable.add(snapshot)
    bad = ec2.create_volume(AvailabilityZone=zone, SnapshotId=snapshot)["VolumeId"]
    RULES.skip(20)
    assert volume_state(ec2, bad) == "error"
    assert refused(ec2.attach_volume, InstanceId=server.instance_id, VolumeId=bad, Device="xvdz") == "IncorrectState"


def test_no_volume_is_made_of_a_snapshot_that_is_not_there_yet(ec2, server):
    RULES.order(server.volumes["C:"], Fate.NEVER_COMPLETES)
    snapshot = a_snapshot(ec2, server)
    assert refused(ec2.create_volume, AvailabilityZone=zone_of(ec2, server), SnapshotId=snapshot) == "IncorrectState"


def test_what_ec2_answers_for_an_archived_snapshot_is_not_guessed(ec2, server):
    snapshot = a_snapshot(ec2, server)
    ec2.modify_snapshot_tier(SnapshotId=snapshot, StorageTier="archive")
    code = refused(ec2.create_volume, AvailabilityZone=zone_of(ec2, server), SnapshotId=snapshot)
    assert code == "SandboxCannotTell"


def test_a_volume_hangs_on_one_server_at_a_free_device_in_its_zone(ec2, server):
    zone, on = zone_of(ec2, server), {"InstanceId": server.instance_id}
    volume = a_volume(ec2, zone)
    assert refused(ec2.attach_volume, **on, VolumeId=volume, Device="xvdf") == "InvalidParameterValue"
    ec2.attach_volume(**on, VolumeId=volume, Device="xvdz")
    assert refused(ec2.attach_volume, **on, VolumeId=volume, Device="xvdy") == "VolumeInUse"
    other = next(z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"] if z["ZoneName"] != zone)
    elsewhere = a_volume(ec2, other)
    assert refused(ec2.attach_volume, **on, VolumeId=elsewhere, Device="xvdy") == "InvalidVolume.ZoneMismatch"


def test_a_root_volume_leaves_a_stopped_server_only(aws, ec2, server):
    root = {"InstanceId": server.instance_id, "VolumeId": server.volumes["C:"]}
    assert refused(ec2.detach_volume, **root) == "IncorrectState"
    aws.servers.stop(server)
    ec2.detach_volume(**root)
    assert refused(ec2.detach_volume, **root) == "IncorrectState"


def test_a_server_whose_root_comes_from_a_snapshot_boots_with_what_is_on_it(aws, ec2, server):
    aws.servers.content(server.volumes["C:"]).write("motd.txt", "hello")
    snapshot, zone = a_snapshot(ec2, server), zone_of(ec2, server)
    image = ec2.register_image(Name="windows", RootDeviceName="/dev/sda1")["ImageId"]
    new = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, Placement={"AvailabilityZone": zone})
    instance_id = new["Instances"][0]["InstanceId"]
    [mapping] = new["Instances"][0]["BlockDeviceMappings"]
    ec2.stop_instances(InstanceIds=[instance_id])
    ec2.start_instances(InstanceIds=[instance_id])
    assert instance_id not in aws.servers.managed  # its root volume is of no known server
    ec2.stop_instances(InstanceIds=[instance_id])
    ec2.detach_volume(InstanceId=instance_id, VolumeId=mapping["Ebs"]["VolumeId"])
    volume = ec2.create_volume(AvailabilityZone=zone, SnapshotId=snapshot)["VolumeId"]
    ec2.attach_volume(InstanceId=instance_id, VolumeId=volume, Device="/dev/sda1")
    ec2.start_instances(InstanceIds=[instance_id])
    assert instance_id in aws.servers.managed
    assert aws.servers.content(volume).read("motd.txt") == "hello"
    assert aws.servers.servers[instance_id].volumes == {"C:": volume}
