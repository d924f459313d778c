"""Snapshots that are written through the EBS direct APIs: each rule as AWS documents it, or the strictest guess."""

import base64
import hashlib

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.snapshot_copies import COPIES
from sandbox.aws.snapshots import NO_VOLUME, RULES
from sandbox.servers import Disk

BLOCK = 524_288
CHANGED = bytes(range(256)) * (BLOCK // 256)


@pytest.fixture
def ebs(aws):
    return aws.client("ebs", retries={"total_max_attempts": 1})


@pytest.fixture
def parent(aws, ec2):
    """A completed snapshot of a server's only volume."""
    RULES.duration_s = 0
    server = aws.servers.add("files", (Disk("/dev/sda1", 8, "C:"),), application=False)
    return ec2.create_snapshots(InstanceSpecification={"InstanceId": server.instance_id})["Snapshots"][0]["SnapshotId"]


def start(ebs, parent, **changes):
    request = {
        "VolumeSize": 8,
        "ParentSnapshotId": parent,
        "Tags": [{"Key": "run", "Value": "1"}],
        "Description": "a child",
        "ClientToken": "token-1",
        "Timeout": 10,
    }
    return ebs.start_snapshot(**{**request, **changes})["SnapshotId"]


def checksum_of(data):
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def put(ebs, child, index, data=CHANGED, **changes):
    request = {"DataLength": len(data), "Checksum": checksum_of(data), "ChecksumAlgorithm": "SHA256"}
    return ebs.put_snapshot_block(SnapshotId=child, BlockIndex=index, **{"BlockData": data, **request, **changes})


def complete(ebs, child, blocks, **checksum):
    return ebs.complete_snapshot(SnapshotId=child, ChangedBlocksCount=blocks, **checksum)["Status"]


def linear(*blocks):
    digests = b"".join(hashlib.sha256(block).digest() for block in blocks)
    return {
        "Checksum": checksum_of(digests),
        "ChecksumAlgorithm": "SHA256",
        "ChecksumAggregationMethod": "LINEAR",
    }


def refused(call, *args, **changes):
    with pytest.raises(ClientError) as error:
        call(*args, **changes)
    response = error.value.response
    return response["Error"]["Code"], response.get("Reason", "")


def described(ec2, child):
    return ec2.describe_snapshots(SnapshotIds=[child])["Snapshots"][0]


def test_a_child_is_its_parent_but_for_the_blocks_that_were_put(aws, ec2, ebs, parent):
    child = start(ebs, parent)
    before = described(ec2, child)
    assert (before["State"], before["VolumeId"], before["VolumeSize"]) == ("pending", NO_VOLUME, 8)
    assert before["Tags"] == [{"Key": "run", "Value": "1"}]
    put(ebs, child, 5, bytes(BLOCK))
    put(ebs, child, 7)
    put(ebs, child, 5)
    assert complete(ebs, child, 2, **linear(CHANGED, CHANGED)) == "completed"
    assert described(ec2, child)["State"] == "completed"
    changed = ebs.list_changed_blocks(FirstSnapshotId=parent, SecondSnapshotId=child)["ChangedBlocks"]
    assert [block["BlockIndex"] for block in changed] == [5, 7]
    data = ebs.get_snapshot_block(SnapshotId=child, BlockIndex=5, BlockToken=changed[0]["SecondBlockToken"])
    assert data["BlockData"].read() == CHANGED
    assert aws.servers.disks[child].read(0, 4096) == aws.servers.disks[parent].read(0, 4096)
    assert aws.servers.disks[parent].read(5 * BLOCK, BLOCK) == bytes(BLOCK)


def test_a_volume_of_a_child_is_as_large_as_its_parent(ec2, ebs, parent):
    child = start(ebs, parent)
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    with pytest.raises(ClientError, match="pending"):
        ec2.create_volume(SnapshotId=child, AvailabilityZone=zone)
    complete(ebs, child, 0)
    assert ec2.create_volume(SnapshotId=child, AvailabilityZone=zone)["Size"] == 8


# One child for one token.


def test_a_token_gives_one_snapshot_and_refuses_another_request(ec2, ebs, parent):
    child = start(ebs, parent)
    assert start(ebs, parent) == child
    for changes in ({"Description": "b"}, {"Timeout": 11}, {"Tags": []}):
        assert refused(start, ebs, parent, **changes)[0] == "ConflictException"
    # Not documented: the strictest is that EBS remembers a snapshot that is gone.
    ec2.delete_snapshot(SnapshotId=child)
    assert start(ebs, parent) == child
    assert refused(put, ebs, child, 0) == ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")


@pytest.mark.parametrize(
    "changes",
    [
        {"VolumeSize": 9},
        {"Encrypted": True},
        {"Description": "x" * 256},
        {"ClientToken": "x" * 65},
        {"Timeout": 9},
        {"Timeout": 4321},
        {"Tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]},
        {"Tags": [{"Key": "aws:mine", "Value": ""}]},
    ],
    ids=str,
)
def test_a_request_outside_of_the_bounds_is_refused(aws, parent, changes):
    unchecked = aws.client("ebs", retries={"total_max_attempts": 1}, parameter_validation=False)
    assert refused(start, unchecked, parent, **changes)[0] == "ValidationException"


def test_a_parent_that_is_not_there_or_not_completed_is_refused(aws, ec2, ebs, parent):
    assert refused(start, ebs, "snap-0123456789abcdef0")[1] == "SNAPSHOT_NOT_FOUND"
    child = start(ebs, parent)
    assert refused(start, ebs, child, ClientToken="other")[0] == "SandboxCannotTell"


def test_pending_snapshots_are_limited_in_a_region(aws, ebs, parent):
    aws.direct_apis.writes.max_pending = 2
    children = [start(ebs, parent, ClientToken=f"t{n}") for n in range(2)]
    assert refused(start, ebs, parent, ClientToken="t2")[0] == "ServiceQuotaExceededException"
    complete(ebs, children[0], 0)
    assert start(ebs, parent, ClientToken="t2")


# Blocks.


@pytest.mark.parametrize(
    ("index", "changes"),
    [
        (8 * 2048, {}),
        (0, {"BlockData": CHANGED[1:], "DataLength": BLOCK - 1, "Checksum": checksum_of(CHANGED[1:])}),
        (0, {"DataLength": 1}),
        (0, {"Checksum": checksum_of(bytes(BLOCK))}),
        (0, {"Progress": 101}),
    ],
    ids=["behind the end", "too short", "another length", "another checksum", "progress"],
)
def test_a_block_that_does_not_fit_is_refused(aws, parent, index, changes):
    unchecked = aws.client("ebs", retries={"total_max_attempts": 1}, parameter_validation=False)
    child = start(unchecked, parent)
    assert refused(put, unchecked, child, index, **changes)[0] in ("ValidationException", "500")
    assert complete(unchecked, child, 0) == "completed"


def test_blocks_go_into_a_pending_snapshot_that_was_started_here_and_no_other(ebs, parent):
    assert refused(put, ebs, parent, 0) == ("ValidationException", "INVALID_SNAPSHOT_ID")
    child = start(ebs, parent)
    complete(ebs, child, 0)
    assert refused(put, ebs, child, 0)[0] == "ValidationException"
    assert refused(complete, ebs, child, 0)[0] == "ValidationException"


def test_a_new_snapshot_may_be_unknown_for_a_moment(aws, ebs, parent):
    aws.direct_apis.writes.unseen_calls = 2
    child = start(ebs, parent)
    for _ in range(2):
        assert refused(put, ebs, child, 0) == ("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND")
    put(ebs, child, 0)


def test_a_snapshot_that_nothing_is_written_to_ends_in_an_error(ec2, ebs, parent):
    child = start(ebs, parent)
    RULES.skip(599)
    put(ebs, child, 0)
    RULES.skip(599)
    assert described(ec2, child)["State"] == "pending"
    RULES.skip(2)
    assert described(ec2, child)["State"] == "error"
    assert refused(put, ebs, child, 1) == ("ValidationException", "WRITE_REQUEST_TIMEOUT")
    assert refused(complete, ebs, child, 1)[0] == "ValidationException"


@pytest.mark.parametrize("blocks", [0, 1, 3])
def test_a_wrong_count_of_blocks_completes_nothing(ec2, ebs, parent, blocks):
    child = start(ebs, parent)
    for index in (1, 2):
        put(ebs, child, index)
    assert refused(complete, ebs, child, blocks)[0] == "ValidationException"
    assert described(ec2, child)["State"] == "pending"


def test_a_wrong_checksum_of_checksums_completes_nothing(ebs, parent):
    child = start(ebs, parent)
    put(ebs, child, 2)
    put(ebs, child, 1, bytes(BLOCK))
    assert refused(complete, ebs, child, 2, **linear(CHANGED, bytes(BLOCK)))[0] == "ValidationException"
    assert complete(ebs, child, 2, **linear(bytes(BLOCK), CHANGED)) == "completed"


def test_changes_are_listed_between_completed_snapshots_of_one_line_only(ebs, parent):
    child = start(ebs, parent)
    assert refused(ebs.list_changed_blocks, FirstSnapshotId=parent, SecondSnapshotId=child)[0] == "SandboxCannotTell"
    complete(ebs, child, 0)
    other = start(ebs, parent, ClientToken="other")
    complete(ebs, other, 0)
    changes = refused(ebs.list_changed_blocks, FirstSnapshotId=other, SecondSnapshotId=child)
    assert changes == ("ValidationException", "UNRELATED_SNAPSHOTS")


# Encryption.


def test_encryption_by_default_refuses_a_parent_that_is_not_encrypted_until_it_is_copied(ec2, ebs, parent):
    ec2.enable_ebs_encryption_by_default()
    assert refused(start, ebs, parent)[0] == "ValidationException"
    COPIES.duration_s = 100
    copy = ec2.copy_snapshot(SourceSnapshotId=parent, SourceRegion="eu-central-1", Encrypted=True)["SnapshotId"]
    assert (described(ec2, copy)["State"], described(ec2, copy)["Encrypted"]) == ("pending", True)
    RULES.skip(100)
    child = start(ebs, copy)
    put(ebs, child, 0)
    complete(ebs, child, 1)
    assert described(ec2, child)["Encrypted"] is True
    ec2.disable_ebs_encryption_by_default()


def test_a_key_that_may_not_be_used_refuses_start_and_blocks(aws, ebs, parent):
    child = start(ebs, parent)
    aws.direct_apis.keyless.add(parent)
    assert refused(start, ebs, parent, ClientToken="other") == ("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED")
    assert refused(put, ebs, child, 0) == ("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED")


def test_copies_are_limited_and_come_from_completed_snapshots(ec2, ebs, parent):
    COPIES.duration_s, COPIES.max_copies = 100, 1
    copy = ec2.copy_snapshot(SourceSnapshotId=parent, SourceRegion="eu-central-1")["SnapshotId"]
    with pytest.raises(ClientError, match="ResourceLimitExceeded"):
        ec2.copy_snapshot(SourceSnapshotId=parent, SourceRegion="eu-central-1")
    with pytest.raises(ClientError, match="IncorrectState"):
        ec2.copy_snapshot(SourceSnapshotId=copy, SourceRegion="eu-central-1")
