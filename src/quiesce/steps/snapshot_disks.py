"""The disks in a recovery point's snapshots, opened to be looked into."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.snapshot_blocks import Allowance, SnapshotBlocks
from quiesce.aws.snapshots import describe_snapshots
from quiesce.disks.raw import NotRead
from quiesce.disks.shadow_copies import Disk, read_disk, unread_disk
from quiesce.points.parts import Snapshot

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client


@dataclass(frozen=True)
class OpenDisk:
    """A snapshot with what was read of it; ``blocks`` is None if it could not be opened."""

    snapshot_id: str
    disk: Disk
    blocks: SnapshotBlocks | None

    @property
    def problem(self) -> str:
        """What kept the disk or some of its volumes from being read."""
        faults = [self.disk.fault, *(volume.fault for volume in self.disk.volumes)]
        return "; ".join(str(fault) for fault in faults if fault)


def open_disks(
    ec2_client: "EC2Client", ebs_client: "EBSClient", snapshot_ids: Sequence[str], allowance: Allowance
) -> list[OpenDisk]:
    """Open the disks of some snapshots; one that can't be read is a disk with a fault.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
    """
    now = {snapshot.snapshot_id: snapshot for snapshot in describe_snapshots(ec2_client, snapshot_ids)}
    return [_open(ebs_client, snapshot_id, now.get(snapshot_id), allowance) for snapshot_id in snapshot_ids]


def _open(client: "EBSClient", snapshot_id: str, now: Snapshot | None, allowance: Allowance) -> OpenDisk:
    try:
        _check_at_hand(now)
        blocks = SnapshotBlocks(client, snapshot_id, allowance)
    except NotRead as fault:
        return OpenDisk(snapshot_id, unread_disk(snapshot_id, fault), None)
    return OpenDisk(snapshot_id, read_disk(snapshot_id, blocks.read, blocks.size_bytes), blocks)


def _check_at_hand(now: Snapshot | None) -> None:
    """Refuse a snapshot that the EBS direct APIs do not serve: their answer is undocumented and could be misread."""
    if now is None:
        raise NotRead("EC2 does not know it any more")
    if now.state != "completed":
        raise NotRead(f"it is {now.state} by now")
    if now.archived:
        raise NotRead("it is archived: its blocks can't be read")
