"""What a failed recovery left, and its deletion if the input asks for that.

This code and IAM allow the deletion only of what carries the tag of a recovery that has not ended.
"""

from typing import TYPE_CHECKING

from quiesce import tags
from quiesce.aws import recovery_changes
from quiesce.aws.recovery_changes import CHANGES_PER_TRY, tag_of
from quiesce.errors import NotReady
from quiesce.recovery.account import Remains
from quiesce.steps.recovery.children import delete_children, find_children

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


def remains(client: "EC2Client", recovery_id: str, stack: str) -> list[Remains]:
    """Return everything that a recovery made and that exists, found by its tags."""
    found: list[Remains] = []
    server = recovery_changes.find_server(client, recovery_id, stack)
    if server and server.state != "terminated":
        found.append(Remains(kind="server", resource_id=server.server_id, state=server.state, what="the server"))
    for volume in recovery_changes.find_volumes(client, recovery_id, stack):
        what = tag_of(volume, tags.DEVICE) or "the image's own root volume"
        found.append(Remains(kind="volume", resource_id=volume.volume_id, state=volume.state, what=what))
    if group := recovery_changes.find_group(client, recovery_id, stack):
        found.append(
            Remains(kind="security group", resource_id=group.group_id, state="available", what="without traffic")
        )
    for child in find_children(client, recovery_id, stack):
        what = f"built from {child.tags.get(tags.BUILT_FROM, tags.BUILT_FOR)}"
        found.append(Remains(kind="snapshot", resource_id=child.snapshot_id, state=child.state, what=what))
    return found


def clean_up(client: "EC2Client", recovery_id: str, stack: str) -> None:
    """Delete what a recovery made, but nothing once it has ended: its server is then in use.

    Raises:
        NotReady: the server is still being terminated, or a volume deleted.
    """
    server = recovery_changes.find_server(client, recovery_id, stack)
    if server and tag_of(server, tags.RECOVERING) is None:
        return
    if server and server.state != "terminated":
        if server.state != "shutting-down":
            recovery_changes.terminate_server(client, server.server_id)
        raise NotReady(f"{server.server_id} is being terminated")
    found = recovery_changes.find_volumes(client, recovery_id, stack)
    # A volume that is in use must not keep the others from being deleted.
    ours = [v.volume_id for v in found if tag_of(v, tags.RECOVERING) and v.state in ("available", "error")]
    for volume_id in ours[:CHANGES_PER_TRY]:
        recovery_changes.delete_volume(client, volume_id)
    delete_children(client, recovery_id, stack, CHANGES_PER_TRY - len(ours))
    if group := recovery_changes.find_group(client, recovery_id, stack):
        recovery_changes.delete_group(client, group.group_id)
    if left := remains(client, recovery_id, stack):
        raise NotReady(f"{left[0].resource_id} is being deleted")
