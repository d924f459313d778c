"""Child snapshots: found by their tags, started, completed, tagged and deleted, and their parents copied with a key.

StartSnapshot has a token, CopySnapshot has none: before it, its intent is kept, and its tags are looked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from quiesce import tags
from quiesce.aws.clients import UNREADABLE, code_of, repeatable, tags_of
from quiesce.errors import NotReady, RevertRefused, RevertUsedUp, SnapshotLimitReached

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

# Which of the first two EBS answers while 100 snapshots are pending is not documented; the third is for copies.
LIMITED = {"ServiceQuotaExceededException", "ConcurrentLimitExceededException", "ResourceLimitExceeded"}
OTHER_ID = "start it again under another id"


@dataclass(frozen=True)
class FoundSnapshot:
    """A snapshot as EC2 describes it."""

    snapshot_id: str
    state: str
    progress: str
    encrypted: bool
    tags: Mapping[str, str]


def find_snapshots(client: "EC2Client", keys: Mapping[str, str]) -> list[FoundSnapshot]:
    """Return the snapshots that carry these tags, the oldest first; EC2 may not list a new one yet."""
    filters: Any = [{"Name": f"tag:{key}", "Values": [value]} for key, value in keys.items()]
    return _described(client, OwnerIds=["self"], Filters=filters)


def describe_snapshots(client: "EC2Client", snapshot_ids: list[str]) -> dict[str, FoundSnapshot]:
    """Return those of some snapshots that EC2 knows, by their ids."""
    filters: Any = [{"Name": "snapshot-id", "Values": snapshot_ids}]
    return {found.snapshot_id: found for found in _described(client, OwnerIds=["self"], Filters=filters)}


def encrypts_by_default(client: "EC2Client") -> bool:
    """Return whether every new snapshot and volume of the account in this Region has to be encrypted."""
    with repeatable("ec2:GetEbsEncryptionByDefault"):
        return client.get_ebs_encryption_by_default()["EbsEncryptionByDefault"]


def start_child(client: "EBSClient", request: dict[str, Any]) -> str:
    """Start a child snapshot, and return its id; a repeated request gives the same.

    Raises:
        SnapshotLimitReached: too many snapshots are pending; retried once fewer are.
        RevertUsedUp: EBS remembers another request under this token; not retried.
        RevertRefused: EBS refuses it, or the parent is gone; not retried.
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """
    try:
        with repeatable("ebs:StartSnapshot"):
            try:
                return client.start_snapshot(**request)["SnapshotId"]
            except ClientError as error:
                _refuse_conflict(error)
                raise
    except ClientError as error:
        raise _refusal("StartSnapshot", error) from error


def complete_child(client: "EBSClient", child_id: str, blocks: int, checksum: str) -> str:
    """Complete a child that has all its blocks.

    Returns:
        Empty, or EBS's words if it refuses the call: a call before, whose answer was lost, may have completed it.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """
    try:
        with repeatable("ebs:CompleteSnapshot"):
            client.complete_snapshot(
                SnapshotId=child_id,
                ChangedBlocksCount=blocks,
                Checksum=checksum,
                ChecksumAlgorithm="SHA256",
                ChecksumAggregationMethod="LINEAR",
            )
    except ClientError as error:
        return str(error)
    return ""


def copy_parent(client: "EC2Client", request: dict[str, Any]) -> None:
    """Copy a snapshot with the default key; send it once.

    Args:
        client: must not retry by itself (``clients.ONCE``): CopySnapshot takes no token.
        request: its arguments.

    Raises:
        NotReady: it was sent, and its answer lost: its tags will show what it did.
        SnapshotLimitReached: too many copies are under way; retried once fewer are.
        RevertRefused: EC2 refuses it; not retried.
        AwsThrottled, AccessDenied: as ``repeatable`` raises them; nothing was created.
    """
    try:
        with repeatable("ec2:CopySnapshot"):
            try:
                client.copy_snapshot(**request)["SnapshotId"]
            except (BotoCoreError, *UNREADABLE) as error:
                raise NotReady(f"ec2:CopySnapshot was sent and its answer lost: {error}") from error
    except ClientError as error:
        raise _refusal("CopySnapshot", error) from error


def tag_child(client: "EC2Client", child_id: str, level: str) -> None:
    """Tag a child that was read back with its consistency."""
    with repeatable("ec2:CreateTags"):
        client.create_tags(Resources=[child_id], Tags=tags.tag_list({tags.CONSISTENCY: level}))


def delete_snapshot(client: "EC2Client", snapshot_id: str) -> None:
    """Delete a child or a copied parent; one that is gone already is no error."""
    try:
        with repeatable("ec2:DeleteSnapshot"):
            client.delete_snapshot(SnapshotId=snapshot_id)
    except ClientError as error:
        if code_of(error) != "InvalidSnapshot.NotFound":
            raise _refusal("DeleteSnapshot", error) from error


def _described(client: "EC2Client", **which: Any) -> list[FoundSnapshot]:
    with repeatable("ec2:DescribeSnapshots"):
        pages = client.get_paginator("describe_snapshots").paginate(**which, PaginationConfig={"PageSize": 1000})
        found = sorted(
            (s for page in pages for s in page["Snapshots"]), key=lambda s: (s["StartTime"], s["SnapshotId"])
        )
        return [
            FoundSnapshot(s["SnapshotId"], s["State"], s.get("Progress", ""), s["Encrypted"], tags_of(s)) for s in found
        ]


def _refuse_conflict(error: ClientError) -> None:
    # Its status is 503: it would count as a fault of the service.
    if code_of(error) == "ConflictException":
        raise RevertUsedUp(f"EBS remembers another request for this child: {error}. Remedy: {OTHER_ID}.") from error


def _refusal(call: str, error: ClientError) -> Exception:
    if code_of(error) in LIMITED:
        return SnapshotLimitReached(f"{call}: EBS begins no other snapshot at the moment: {error}")
    return RevertRefused(call, f"AWS refused it: {error}", "mend what it names, and start it again")
