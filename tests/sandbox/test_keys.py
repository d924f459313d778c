"""Customers' keys in the local AWS: EC2 takes a call with a key that can't be used, and fails later."""

import pytest

from sandbox.aws.instances import INSTANCES
from sandbox.aws.keys import KEYS
from sandbox.aws.snapshots import RULES

KEY = "arn:aws:kms:eu-central-1:210987654321:key/11111111-1111-1111-1111-111111111111"
OTHER = "arn:aws:kms:eu-central-1:123456789012:key/22222222-2222-2222-2222-222222222222"


@pytest.fixture(autouse=True)
def keys(aws):
    KEYS.customers |= {KEY, OTHER}


@pytest.fixture
def snapshot_id(aws, ec2, server):
    """A snapshot of a volume under the key of another account."""
    aws.servers.encrypt(server, KEY)
    taken = ec2.create_snapshots(InstanceSpecification={"InstanceId": server.instance_id})["Snapshots"]
    RULES.skip(60)
    return taken[0]["SnapshotId"]


def volume_of(ec2, snapshot_id, **more):
    [zone, *_] = ec2.describe_availability_zones()["AvailabilityZones"]
    made = ec2.create_volume(AvailabilityZone=zone["ZoneName"], SnapshotId=snapshot_id, **more)
    [volume] = ec2.describe_volumes(VolumeIds=[made["VolumeId"]])["Volumes"]
    return volume["State"], volume.get("KmsKeyId")


def described(ec2, server):
    [instance] = ec2.describe_instances(InstanceIds=[server.instance_id])["Reservations"][0]["Instances"]
    return instance


def test_a_volume_has_its_snapshots_key_or_the_one_that_is_asked_for(ec2, snapshot_id):
    assert volume_of(ec2, snapshot_id) == ("available", KEY)
    assert volume_of(ec2, snapshot_id, Encrypted=True, KmsKeyId=OTHER) == ("available", OTHER)


@pytest.mark.parametrize("denied", [KEY, OTHER])
def test_a_volume_whose_keys_may_not_both_be_used_ends_in_an_error_after_the_call(ec2, snapshot_id, denied):
    KEYS.denied.add(denied)
    assert volume_of(ec2, snapshot_id, Encrypted=True, KmsKeyId=OTHER)[0] == "error"


def test_an_account_that_encrypts_by_default_needs_its_key_for_an_unencrypted_snapshot(ec2, server):
    [snapshot, *_] = ec2.create_snapshots(InstanceSpecification={"InstanceId": server.instance_id})["Snapshots"]
    RULES.skip(60)
    KEYS.default = OTHER
    assert volume_of(ec2, snapshot["SnapshotId"]) == ("available", OTHER)
    KEYS.denied.add(OTHER)
    assert volume_of(ec2, snapshot["SnapshotId"])[0] == "error"


def test_a_server_whose_key_may_not_be_used_stops_again_with_a_reason(aws, ec2, server):
    aws.servers.encrypt(server, KEY)
    ec2.stop_instances(InstanceIds=[server.instance_id])
    KEYS.denied.add(KEY)
    INSTANCES.starting_s = 30
    stopped_at = described(ec2, server)["LaunchTime"]
    RULES.skip(60)
    ec2.start_instances(InstanceIds=[server.instance_id])
    assert described(ec2, server)["State"]["Name"] == "pending"
    RULES.skip(30)
    after = described(ec2, server)
    assert (after["State"]["Name"], after["StateReason"]["Code"]) == ("stopped", "Client.InternalError")
    assert after["LaunchTime"] > stopped_at
    KEYS.denied.clear()
    ec2.start_instances(InstanceIds=[server.instance_id])
    RULES.skip(30)
    assert described(ec2, server)["State"]["Name"] == "running"


def test_a_key_of_kms_is_a_customers_key_and_of_no_use_while_it_is_disabled(aws, ec2, snapshot_id):
    kms, [zone] = aws.client("kms"), {z["ZoneName"] for z in ec2.describe_availability_zones()["AvailabilityZones"][:1]}
    key = kms.create_key()["KeyMetadata"]["Arn"]

    def state():
        made = ec2.create_volume(AvailabilityZone=zone, SnapshotId=snapshot_id, Encrypted=True, KmsKeyId=key)
        return ec2.describe_volumes(VolumeIds=[made["VolumeId"]])["Volumes"][0]["State"]

    states = [state()]
    kms.disable_key(KeyId=key)
    states.append(state())
    kms.enable_key(KeyId=key)
    assert [*states, state()] == ["available", "error", "available"]


def test_a_snapshot_of_one_volume_holds_what_the_volume_was_made_of(aws, ec2, snapshot_id):
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    volume_id = ec2.create_volume(AvailabilityZone=zone, SnapshotId=snapshot_id)["VolumeId"]
    alone = ec2.create_snapshot(VolumeId=volume_id)["SnapshotId"]
    held = [aws.servers.content(each).volume.disk.size_bytes for each in (snapshot_id, alone)]
    assert held[0] == held[1]
