"""The EBS locks of snapshots: which have one, and a new one; nothing here can end or change one."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import repeatable
from quiesce.errors import AccessDenied
from quiesce.policy.lock import Lock

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


def locked(client: "EC2Client", snapshot_ids: Collection[str]) -> dict[str, str]:
    """Return those of these snapshots that are locked now, with the words for it."""
    # A lock that has expired no longer holds its snapshot.
    filters: Any = [{"Name": "lock-state", "Values": ["compliance", "governance", "compliance-cooloff"]}]
    found: dict[str, str] = {}
    token: dict[str, Any] = {}
    with repeatable("ec2:DescribeLockedSnapshots"):
        while True:
            answer = client.describe_locked_snapshots(Filters=filters, MaxResults=1000, **token)
            for lock in answer["Snapshots"]:
                if lock["SnapshotId"] in snapshot_ids:
                    until = f" until {lock['LockExpiresOn']:%Y-%m-%d}" if "LockExpiresOn" in lock else ""
                    found[lock["SnapshotId"]] = f"locked{until}"
            if not answer.get("NextToken"):
                return found
            token = {"NextToken": answer["NextToken"]}


def lock_snapshot(client: "EC2Client", snapshot_id: str, lock: Lock, days: int) -> str:
    """Lock a snapshot that has no lock.

    Returns:
        Why EC2 refuses it, else nothing. Whether it is locked has to be looked at.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
    """
    cool_off: dict[str, Any] = {"CoolOffPeriod": lock.cool_off_hours} if lock.cool_off_hours else {}
    try:
        with repeatable("ec2:LockSnapshot"):
            client.lock_snapshot(SnapshotId=snapshot_id, LockMode=lock.mode, LockDuration=days, **cool_off)
    except (AccessDenied, ClientError) as error:
        return f"{snapshot_id} is not locked: {error}"
    return ""
