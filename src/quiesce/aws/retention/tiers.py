"""The tiers of snapshots: where EBS has them, their move into the archive, and their restore for a time."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import repeatable
from quiesce.errors import AccessDenied
from quiesce.points.tier import Tier

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# Filters take at most this many values (EC2 API reference).
FILTER_VALUES = 200
ARCHIVING = ("archival-in-progress",)
RESTORING = ("temporary-restore-in-progress", "permanent-restore-in-progress")


def tiers(client: "EC2Client", snapshot_ids: Collection[str]) -> dict[str, Tier]:
    """Return the tier of each of these snapshots; of one that was never archived EC2 need not know anything."""
    wanted = sorted(snapshot_ids)
    found: dict[str, Tier] = {}
    for start in range(0, len(wanted), FILTER_VALUES):
        found |= _statuses(client, "snapshot-id", wanted[start : start + FILTER_VALUES])
    return {snapshot_id: found.get(snapshot_id, Tier()) for snapshot_id in wanted}


def running(client: "EC2Client", operations: Collection[str]) -> int:
    """Return of how many snapshots of the account an archival (``ARCHIVING``) or a restore (``RESTORING``) goes on."""
    return len(_statuses(client, "last-tiering-operation", list(operations)))


def archive(client: "EC2Client", snapshot_id: str) -> str:
    """Begin to move a snapshot into the archive, which can't be cancelled.

    Returns:
        Why EC2 refuses it, else nothing. Whether it is moved has to be looked at.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
    """
    try:
        with repeatable("ec2:ModifySnapshotTier"):
            client.modify_snapshot_tier(SnapshotId=snapshot_id, StorageTier="archive")
    except (AccessDenied, ClientError) as error:
        return f"{snapshot_id} is not archived: {error}"
    return ""


def restore(client: "EC2Client", snapshot_id: str, days: int) -> str:
    """Begin to restore a snapshot for so many days, or let one that is restored stay so for as many from now.

    Returns:
        Why EC2 refuses it, else nothing. Whether it is restored has to be looked at.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """
    try:
        with repeatable("ec2:RestoreSnapshotTier"):
            client.restore_snapshot_tier(SnapshotId=snapshot_id, TemporaryRestoreDays=days)
    except ClientError as error:
        return f"{snapshot_id} is not restored: {error}"
    return ""


def _statuses(client: "EC2Client", name: str, values: list[str]) -> dict[str, Tier]:
    filters: Any = [{"Name": name, "Values": values}]
    with repeatable("ec2:DescribeSnapshotTierStatus"):
        pages = client.get_paginator("describe_snapshot_tier_status").paginate(
            Filters=filters, PaginationConfig={"PageSize": 1000}
        )
        return {status["SnapshotId"]: _tier(status) for page in pages for status in page["SnapshotTierStatuses"]}


def _tier(status: Any) -> Tier:
    return Tier(
        name=str(status["StorageTier"]),
        operation=str(status.get("LastTieringOperationStatus", "")),
        detail=str(status.get("LastTieringOperationStatusDetail", "")),
        progress=int(status.get("LastTieringProgress", 0)),
        began_at=status.get("LastTieringStartTime"),
        archived_at=status.get("ArchivalCompleteTime"),
        restored_until=status.get("RestoreExpiryTime"),
    )
