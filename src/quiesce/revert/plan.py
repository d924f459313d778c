"""The children to build: each a planned child snapshot, by whose plan alone its content, tags and token are fixed."""

import hashlib
from datetime import datetime
from typing import Any

from quiesce import tags
from quiesce.executions import Crossing
from quiesce.revert.request import RevertRequest

# Changes whenever the same plan would give other bytes, so that no child of another version is taken for the planned.
VERSION = 1
# EBS cancels a child that nothing was written to for so long, or that was not completed: as long as a recovery may run.
TIMEOUT_MINUTES = 720
# Instead of a digest, on the encrypted copy of a raw snapshot.
COPY = "copy"
# StartSnapshot takes no longer description.
MAX_DESCRIPTION = 255
DESCRIPTION = "quiesce built"


class PlannedView(Crossing):
    """A volume of a child: as of a shadow copy, or as it is.

    Attributes:
        start: of the volume on its disk, in bytes.
        length: of the volume, in bytes.
        shadow_id: empty where the volume stays as it is and only names no catalog of shadow copies any more.
        path: what Windows called the volume, as far as it is known.
        store_id: by which the catalogs know the shadow copy.
        as_of: when the shadow copy was made, by the server's clock.
    """

    start: int
    length: int
    shadow_id: str = ""
    store_id: str = ""
    path: str = ""
    as_of: datetime | None = None


class Part(Crossing):
    """A range of a child's blocks for one call: from ``first`` to before ``after``; at most ``blocks`` are written."""

    first: int
    after: int
    blocks: int


class PlannedChild(Crossing):
    """A child snapshot to build.

    Attributes:
        snapshot_id: the raw snapshot, whose blocks it keeps but for those that differ.
        disks: the raw snapshots that hold what it is built of, its own among them.
        views: the volumes that differ from the raw snapshot's.
        parts: cover the whole disk, in order.
        copied_first: whether EBS has to copy the raw snapshot with a key first, and the copy is the child's parent.
    """

    snapshot_id: str
    volume_id: str
    device: str
    size_gib: int
    disks: list[str]
    views: list[PlannedView]
    parts: list[Part]
    blocks_read: int
    blocks_written: int
    copied_first: bool = False

    @property
    def digest(self) -> str:
        """What the child's bytes depend on: two plans with the same digest have the same bytes."""
        views = ";".join(f"{view.start}={view.shadow_id}" for view in self.views)
        what = f"{VERSION}/{self.snapshot_id}/{self.copied_first}/{views}"
        return hashlib.sha256(what.encode()).hexdigest()[:32]

    @property
    def as_of(self) -> datetime | None:
        """The latest shadow copy that a volume of it is as of; None if all stay as they are."""
        return max((view.as_of for view in self.views if view.as_of), default=None)


def start_request(child: PlannedChild, request: RevertRequest, stack: str, parent_id: str) -> dict[str, Any]:
    """Return the arguments of StartSnapshot for a child: made of the plan only, so that a repeated one is the same."""
    own = tags_of_child(child, request.built_for, stack, request.instance_id)
    return {
        "VolumeSize": child.size_gib,
        "ParentSnapshotId": parent_id,
        "Tags": tags.tag_list({**request.extra_tags, **own}),
        "Description": description_of(child, request.built_for),
        "ClientToken": token_of(child, request.built_for, stack),
        "Timeout": TIMEOUT_MINUTES,
    }


def copy_request(child: PlannedChild, request: RevertRequest, stack: str, region: str) -> dict[str, Any]:
    """Return the arguments of CopySnapshot for the raw snapshot, with the account's default key."""
    own = {**request.extra_tags, **keys_of_copy(child, request.built_for, stack), tags.INSTANCE: request.instance_id}
    return {
        "SourceSnapshotId": child.snapshot_id,
        "SourceRegion": region,
        "Encrypted": True,
        "Description": f"{DESCRIPTION} for {request.built_for}: an encrypted copy of {child.snapshot_id}"[
            :MAX_DESCRIPTION
        ],
        "TagSpecifications": [tags.tag_specification("snapshot", own)],
    }


def keys_of_copy(child: PlannedChild, built_for: str, stack: str) -> dict[str, str]:
    """Return the tags by which the encrypted copy of a raw snapshot is found again."""
    return {tags.STACK: stack, tags.BUILT_FOR: built_for, tags.BUILT_FROM: child.snapshot_id, tags.BUILT_AS: COPY}


def token_of(child: PlannedChild, built_for: str, stack: str) -> str:
    """Return the client token of a child: the same in a repeated request, and another for anything else."""
    return hashlib.sha256(f"{stack}/{built_for}/{child.digest}".encode()).hexdigest()


def description_of(child: PlannedChild, built_for: str) -> str:
    """Return a child's description: EC2 can't change it once the child exists, and so it claims no check."""
    state = f"as of its shadow copy of {child.as_of:%Y-%m-%d %H:%M:%S} UTC" if child.as_of else "without shadow copies"
    return f"{DESCRIPTION} of {child.snapshot_id} for {built_for}: {child.volume_id} {state}"[:MAX_DESCRIPTION]


def tags_of_child(child: PlannedChild, built_for: str, stack: str, instance_id: str) -> dict[str, str]:
    """Return quiesce's own tags of a child; EBS names no volume that a child comes from, so a tag does."""
    return {
        **keys_of_child(child, built_for, stack),
        tags.INSTANCE: instance_id,
        tags.DEVICE: child.device,
        tags.VOLUME: child.volume_id,
    }


def keys_of_child(child: PlannedChild, built_for: str, stack: str) -> dict[str, str]:
    """Return the tags by which a child is found again."""
    return {
        tags.STACK: stack,
        tags.BUILT_FOR: built_for,
        tags.BUILT_FROM: child.snapshot_id,
        tags.BUILT_AS: child.digest,
    }
