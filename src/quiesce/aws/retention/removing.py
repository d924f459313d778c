"""The deletion of snapshots: marked first, then deleted one by one; IAM allows only this stack's that no one holds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quiesce import tags
from quiesce.aws.clients import code_of, repeatable
from quiesce.errors import AccessDenied

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

GONE = "InvalidSnapshot.NotFound"


def mark(client: "EC2Client", snapshot_ids: Sequence[str]) -> list[str]:
    """Mark snapshots as being removed, so that no recovery chooses them and IAM allows their deletion.

    Returns:
        A problem for each that could not be marked; it can't be deleted then.
    """
    problems = []
    for snapshot_id in snapshot_ids:
        try:
            with repeatable("ec2:CreateTags"):
                client.create_tags(Resources=[snapshot_id], Tags=tags.tag_list({tags.REMOVING: "yes"}))
        except (AccessDenied, ClientError) as error:
            if not isinstance(error, ClientError) or code_of(error) != GONE:
                problems.append(f"{snapshot_id} can't be marked: {error}")
    return problems


def delete(client: "EC2Client", snapshot_id: str) -> str:
    """Ask EC2 to delete a snapshot; one that is gone already is success.

    Returns:
        Why EC2 refuses it, else nothing. Whether it is gone has to be looked at.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
    """
    try:
        with repeatable("ec2:DeleteSnapshot"):
            client.delete_snapshot(SnapshotId=snapshot_id)
    except (AccessDenied, ClientError) as error:
        if not isinstance(error, ClientError) or code_of(error) != GONE:
            return f"{snapshot_id} is still there: {error}"
    return ""
