"""The archive of EBS as its guide has it: what is archived, restored, refused, and when it goes back by itself."""

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.snapshot_tiers import DAY_S, MAX_ARCHIVING, MAX_RESTORING, TIERS, Archived
from sandbox.aws.snapshots import RULES

HOUR_S = 3600


@pytest.fixture(autouse=True)
def slow(server):
    TIERS.archiving_s, TIERS.restoring_s = 4 * HOUR_S, 50 * HOUR_S
    RULES.volume_interval_s = 0


@pytest.fixture
def snapshot_id(ec2, server):
    return a_snapshot(ec2, server)


def a_snapshot(ec2, server, drive="C:"):
    made = ec2.create_snapshot(VolumeId=server.volumes[drive])["SnapshotId"]
    RULES.skip(1)
    return made


def status(ec2, snapshot_id):
    filters = [{"Name": "snapshot-id", "Values": [snapshot_id]}]
    [found] = ec2.describe_snapshot_tier_status(Filters=filters)["SnapshotTierStatuses"]
    return found["StorageTier"], found["LastTieringOperationStatus"]


def described(ec2, snapshot_id):
    [found] = ec2.describe_snapshots(SnapshotIds=[snapshot_id])["Snapshots"]
    return found


def archived(ec2, snapshot_id):
    ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    RULES.skip(TIERS.archiving_s)
    return snapshot_id


def test_a_snapshot_can_be_used_until_it_is_archived_and_keeps_its_tags(ec2, server, snapshot_id):
    ec2.create_tags(Resources=[snapshot_id], Tags=[{"Key": "a", "Value": "b"}])
    ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    assert status(ec2, snapshot_id) == ("standard", "archival-in-progress")
    ec2.create_volume(SnapshotId=snapshot_id, AvailabilityZone="eu-central-1a")
    RULES.skip(TIERS.archiving_s)
    assert status(ec2, snapshot_id) == ("archive", "archival-completed")
    found = described(ec2, snapshot_id)
    assert (found["StorageTier"], found["State"], found["Tags"]) == (
        "archive",
        "completed",
        [{"Key": "a", "Value": "b"}],
    )
    assert "RestoreExpiryTime" not in found
    with pytest.raises(ClientError, match="not known"):
        ec2.create_volume(SnapshotId=snapshot_id, AvailabilityZone="eu-central-1a")


def test_what_was_never_archived_has_no_status(ec2, snapshot_id):
    assert ec2.describe_snapshot_tier_status()["SnapshotTierStatuses"] == []


def test_a_restore_takes_its_time_and_ends_by_itself_after_its_days(ec2, snapshot_id):
    archived(ec2, snapshot_id)
    answer = ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=2)
    assert (answer["RestoreDuration"], answer["IsPermanentRestore"]) == (2, False)
    assert status(ec2, snapshot_id) == ("archive", "temporary-restore-in-progress")
    RULES.skip(TIERS.restoring_s)
    assert status(ec2, snapshot_id) == ("standard", "temporary-restore-completed")
    assert described(ec2, snapshot_id)["RestoreExpiryTime"].timestamp() == pytest.approx(
        RULES.now_s() + 2 * DAY_S, abs=9
    )
    ec2.create_volume(SnapshotId=snapshot_id, AvailabilityZone="eu-central-1a")
    RULES.skip(2 * DAY_S)
    assert described(ec2, snapshot_id)["StorageTier"] == "archive"


def test_the_days_of_a_restore_can_be_changed_and_count_from_then(ec2, snapshot_id):
    archived(ec2, snapshot_id)
    ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=2)
    RULES.skip(TIERS.restoring_s + DAY_S)
    ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=2)
    RULES.skip(DAY_S + HOUR_S)
    assert described(ec2, snapshot_id)["StorageTier"] == "standard"


def test_a_restore_for_good_ends_the_archive(ec2, snapshot_id):
    archived(ec2, snapshot_id)
    ec2.restore_snapshot_tier(SnapshotId=snapshot_id, PermanentRestore=True)
    RULES.skip(TIERS.restoring_s + 999 * DAY_S)
    assert status(ec2, snapshot_id) == ("standard", "permanent-restore-completed")


def test_what_fails_says_why_and_can_be_tried_again(ec2, snapshot_id):
    TIERS.failing[snapshot_id] = "Internal error."
    archived(ec2, snapshot_id)
    assert status(ec2, snapshot_id) == ("standard", "archival-failed")
    archived(ec2, snapshot_id)
    TIERS.failing[snapshot_id] = "Internal error."
    ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=1)
    RULES.skip(TIERS.restoring_s)
    [found] = ec2.describe_snapshot_tier_status()["SnapshotTierStatuses"]
    assert (found["StorageTier"], found["LastTieringOperationStatus"], found["LastTieringOperationStatusDetail"]) == (
        "archive",
        "temporary-restore-failed",
        "Internal error.",
    )


@pytest.mark.parametrize(
    "given", [{}, {"PermanentRestore": True, "TemporaryRestoreDays": 1}, {"TemporaryRestoreDays": 181}]
)
def test_a_restore_is_for_1_to_180_days_or_for_good(ec2, snapshot_id, given):
    archived(ec2, snapshot_id)
    with pytest.raises(ClientError, match="InvalidParameter"):
        ec2.restore_snapshot_tier(SnapshotId=snapshot_id, **given)


def test_no_other_tier_can_be_asked_for(ec2, snapshot_id):
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="standard")


def test_what_is_not_archived_is_not_restored_and_nothing_is_begun_twice(ec2, snapshot_id):
    with pytest.raises(ClientError, match="is not archived"):
        ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=1)
    ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    with pytest.raises(ClientError, match="is archival-in-progress"):
        ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    RULES.skip(TIERS.archiving_s)
    ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=1)
    with pytest.raises(ClientError, match="is temporary-restore-in-progress"):
        ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=1)


def test_what_is_pending_used_by_an_image_or_gone_is_not_archived(aws, ec2, server, snapshot_id):
    RULES.duration_s = 60
    pending = ec2.create_snapshot(VolumeId=server.volumes["D:"])["SnapshotId"]
    with pytest.raises(ClientError, match="is pending"):
        ec2.modify_snapshot_tier(SnapshotId=pending, StorageTier="archive")
    image = ec2.create_image(InstanceId=server.instance_id, Name="of-the-server", NoReboot=True)["ImageId"]
    [described_image] = ec2.describe_images(ImageIds=[image])["Images"]
    RULES.skip(120)
    used = described_image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
    with pytest.raises(ClientError, match="is used by"):
        ec2.modify_snapshot_tier(SnapshotId=used, StorageTier="archive")
    with pytest.raises(ClientError, match=r"InvalidSnapshot\.NotFound"):
        ec2.modify_snapshot_tier(SnapshotId="snap-0123456789abcdef0", StorageTier="archive")


def test_who_it_was_shared_with_has_it_no_more(ec2, snapshot_id):
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot_id, Attribute="createVolumePermission", OperationType="add", UserIds=["444455556666"]
    )
    archived(ec2, snapshot_id)
    answer = ec2.describe_snapshot_attribute(SnapshotId=snapshot_id, Attribute="createVolumePermission")
    assert answer["CreateVolumePermissions"] == []


def test_the_quotas_of_the_account_hold(ec2, server, snapshot_id):
    archived(ec2, snapshot_id)
    for number in range(MAX_ARCHIVING):
        TIERS.held[f"snap-{number}"] = Archived(RULES.now_s(), RULES.now_s() + DAY_S)
    with pytest.raises(ClientError, match="25 snapshots of the account are being archived"):
        ec2.modify_snapshot_tier(SnapshotId=a_snapshot(ec2, server), StorageTier="archive")
    for number in range(MAX_RESTORING):
        TIERS.held[f"snap-{number}"] = Archived(0, 0, RULES.now_s() + DAY_S, RULES.now_s() + 2 * DAY_S)
    with pytest.raises(ClientError, match="5 snapshots of the account are being restored"):
        ec2.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=1)


def test_a_dry_run_changes_nothing(ec2, snapshot_id):
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive", DryRun=True)
    assert TIERS.held == {}


def test_changes_between_two_snapshots_of_a_volume_are_the_blocks_that_differ(aws, ec2, server):
    def taken():
        RULES.skip(1)
        made = ec2.create_snapshots(InstanceSpecification={"InstanceId": server.instance_id})["Snapshots"]
        return {each["VolumeId"]: each["SnapshotId"] for each in made}

    volume_id, before = server.volumes["C:"], taken()
    aws.servers.content(volume_id).write("new.txt", "x" * 5000)
    after = taken()
    RULES.skip(1)
    snapshot_id, later, other = before[volume_id], after[volume_id], after[server.volumes["D:"]]
    ebs = aws.client("ebs")
    answer = ebs.list_changed_blocks(FirstSnapshotId=snapshot_id, SecondSnapshotId=later)
    same = ebs.list_changed_blocks(FirstSnapshotId=later, SecondSnapshotId=later)
    assert 0 < len(answer["ChangedBlocks"]) < len(ebs.list_snapshot_blocks(SnapshotId=later)["Blocks"])
    assert same["ChangedBlocks"] == []
    with pytest.raises(ClientError, match="not of the same volume"):
        ebs.list_changed_blocks(FirstSnapshotId=snapshot_id, SecondSnapshotId=other)
