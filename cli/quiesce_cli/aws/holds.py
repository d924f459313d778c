"""Holds on recovery points: a tag on their snapshots, which retention never removes while it is there."""

from collections.abc import Sequence

from quiesce import tags
from quiesce.aws.clients import repeatable
from quiesce.aws.point_looks import find_snapshots
from quiesce_cli.aws.stack import client


def hold(snapshot_ids: Sequence[str], words: str) -> list[str]:
    """Tag those of these snapshots that EC2 has, and return their ids; to repeat it changes the words."""
    there = sorted(find_snapshots(client("ec2"), snapshot_ids))
    if there:
        with repeatable("ec2:CreateTags"):
            client("ec2").create_tags(Resources=there, Tags=[{"Key": tags.HOLD, "Value": words}])
    return there


def release(snapshot_ids: Sequence[str]) -> list[str]:
    """Take the tag off, whatever it says, and return the ids of those that EC2 has; to repeat it changes nothing."""
    there = sorted(find_snapshots(client("ec2"), snapshot_ids))
    if there:
        with repeatable("ec2:DeleteTags"):
            client("ec2").delete_tags(Resources=there, Tags=[{"Key": tags.HOLD}])
    return there
