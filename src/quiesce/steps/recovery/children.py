"""The snapshots that were built for a recovery: found by its tags, and deleted as long as it has not ended."""

from typing import TYPE_CHECKING

from quiesce import tags
from quiesce.aws.child_snapshots import FoundSnapshot, delete_snapshot, find_snapshots
from quiesce.errors import NotReady

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


def find_children(client: "EC2Client", recovery_id: str, stack: str) -> list[FoundSnapshot]:
    """Return the snapshots that were built for a recovery, and the parents that EBS had to copy for them."""
    return find_snapshots(client, {tags.RECOVERY: recovery_id, tags.BUILT_FOR: recovery_id, tags.STACK: stack})


def delete_children(client: "EC2Client", recovery_id: str, stack: str, most: int) -> None:
    """Delete snapshots that were built for a recovery that has not ended; IAM allows no others.

    Raises:
        NotReady: there are more than ``most``.
    """
    built = [found.snapshot_id for found in find_children(client, recovery_id, stack) if tags.RECOVERING in found.tags]
    for snapshot_id in built[: max(most, 0)]:
        delete_snapshot(client, snapshot_id)
    if len(built) > most:
        raise NotReady(f"{len(built) - max(most, 0)} built snapshots are to be deleted yet")
