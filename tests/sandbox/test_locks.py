"""EBS snapshot locks as EC2's reference has them: what is locked, what is refused, and what a lock can become."""

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.snapshot_use import DAY_S, HOUR_S, LOCKS
from sandbox.aws.snapshots import RULES

FINAL = {"LockMode": "compliance", "LockDuration": 10}


@pytest.fixture
def snapshot_id(aws):
    server = aws.servers.add("files")
    return aws.client("ec2").create_snapshot(VolumeId=server.volumes["C:"])["SnapshotId"]


@pytest.fixture
def lock(aws, snapshot_id):
    return lambda **given: aws.client("ec2").lock_snapshot(SnapshotId=snapshot_id, **given)


def test_a_lock_is_listed_by_its_state_until_it_expires(aws, snapshot_id, lock):
    assert lock(LockMode="governance", LockDuration=3)["LockState"] == "governance"

    def listed(*states):
        filters = [{"Name": "lock-state", "Values": states}]
        return [
            each["SnapshotId"] for each in aws.client("ec2").describe_locked_snapshots(Filters=filters)["Snapshots"]
        ]

    assert listed("governance", "compliance") == [snapshot_id]
    assert listed("compliance", "expired") == []
    RULES.skip(3 * DAY_S)
    assert listed("governance") == []
    assert listed("expired") == [snapshot_id]
    aws.client("ec2").delete_snapshot(SnapshotId=snapshot_id)


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_what_is_locked_is_not_deleted(aws, snapshot_id, lock, mode):
    lock(LockMode=mode, LockDuration=3)
    with pytest.raises(ClientError, match="is locked"):
        aws.client("ec2").delete_snapshot(SnapshotId=snapshot_id)


@pytest.mark.parametrize(
    "given",
    [
        {"LockMode": "governance"},
        {"LockMode": "forever", "LockDuration": 3},
        {"LockMode": "governance", "LockDuration": 3, "CoolOffPeriod": 1},
        {"LockMode": "compliance", "LockDuration": 3, "CoolOffPeriod": 73},
        {"LockMode": "governance", "LockDuration": 36_501},
    ],
)
def test_what_the_reference_does_not_take_is_refused(lock, given):
    with pytest.raises(ClientError, match="SandboxCannotTell"):
        lock(**given)
    assert LOCKS.held == {}


def test_a_lock_that_cools_off_may_become_any_other_and_then_only_longer(lock):
    assert lock(**FINAL, CoolOffPeriod=2)["LockState"] == "compliance-cooloff"
    assert lock(LockMode="governance", LockDuration=1)["LockState"] == "governance"
    lock(**FINAL, CoolOffPeriod=2)
    RULES.skip(2 * HOUR_S)
    for given in (
        {"LockMode": "governance", "LockDuration": 99},
        {"LockMode": "compliance", "LockDuration": 9},
        {**FINAL, "LockDuration": 99, "CoolOffPeriod": 1},
    ):
        with pytest.raises(ClientError, match="can only be extended"):
            lock(**given)
    assert lock(LockMode="compliance", LockDuration=11)["LockState"] == "compliance"


def test_a_snapshot_that_does_not_exist_is_not_locked(aws):
    with pytest.raises(ClientError, match="does not exist"):
        aws.client("ec2").lock_snapshot(SnapshotId="snap-0123456789abcdef0", **FINAL)
