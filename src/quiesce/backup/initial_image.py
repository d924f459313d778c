"""The initial AMI of a server: a recovery launches from it, since no Windows server starts from a snapshot. Pure.

What is on its root volume is nobody's: a recovery swaps it before the server is used. What counts is what EC2 keeps
with an image and not with a snapshot: platform and billing, architecture, boot mode, root device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from quiesce import tags
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import Plan, RunState
from quiesce.backup.verdict import judge_snapshots
from quiesce.executions import cause_of
from quiesce.policy.policy import ImageRenewal

# States of an image that exists, or will: it takes as long as a snapshot of the root does.
ALIVE = {"available", "pending"}
RENEWED_AT_MOST_EVERY = timedelta(days=1)
CAME_TO_NOTHING = {"failed", "error", "invalid"}


@dataclass(frozen=True)
class FoundImage:
    """An image as EC2 has it; ``by_backup`` if a backup made it, and not a person who tagged it."""

    image_id: str
    created_at: datetime
    state: str
    root_device: str
    architecture: str
    boot_mode: str
    platform: str
    billing: str = ""
    by_backup: bool = False

    @property
    def traits(self) -> tuple[str, ...]:
        """What a recovery point asks of an image: two with the same traits serve the same recovery points."""
        return (self.root_device, self.architecture, self.boot_mode, self.platform, self.billing)


@dataclass(frozen=True)
class Upkeep:
    """What a backup does about a server's images: ``latest`` is what a recovery takes, and ``retired`` are to go."""

    latest: str
    make: bool
    retired: tuple[str, ...]
    failed: tuple[str, ...]
    misfits: tuple[str, ...] = ()


def decide(
    setting: ImageRenewal | Literal["once", "off"],
    images: Sequence[FoundImage],
    misfits: Mapping[str, Sequence[str]],
    now: datetime,
) -> Upkeep:
    """Decide whether a backup makes an image, and which of its older ones are deregistered.

    Args:
        setting: the policy's ``initial_image``, not ``off``.
        images: those of the server, in any order.
        misfits: in words, by image, what keeps it from being launched for the server as it is now.
        now: in UTC.

    Returns:
        ``retired`` has only images that a backup made, each with a newer, available one of the same traits: an older
        one is needed as long as it may fit a recovery point that the newer ones do not.
    """
    alive = [image for image in images if image.state in ALIVE]
    # One that fits, however old, is the one that a recovery takes.
    latest = max(alive, key=lambda image: (not misfits.get(image.image_id), image.created_at), default=None)
    wrong = misfits.get(latest.image_id, ()) if latest else ()
    retired = [i.image_id for i in alive if i.by_backup and any(_replaces(newer, i) for newer in alive)]
    failed = [i.image_id for i in images if i.by_backup and i.state in CAME_TO_NOTHING]
    return Upkeep(
        latest=latest.image_id if latest else "",
        make=latest is None or ((bool(wrong) or _is_due(setting, now - latest.created_at)) and not _is_new(alive, now)),
        retired=tuple(retired),
        failed=tuple(failed),
        misfits=tuple(wrong),
    )


def is_wanted(state: RunState) -> bool:
    """Say whether the policy has an image, and the run left what it is for: good snapshots, the root's among them."""
    plan = state.plan
    if plan is None or plan.settings.initial_image == "off" or not any(volume.root for volume in plan.volumes):
        return False
    return judge_snapshots(plan, state.await_snapshots, state.snapshot_failure).status == "Successful"


def image_request(run: RunIdentity, plan: Plan, root: str, devices: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of CreateImage: the root volume alone, and without a reboot.

    Args:
        run: EC2 makes no second image of a name, and this name is the run's: sending it again is safe.
        plan: its tags go on the image, and on its snapshot without the run's, which is on recovery points only.
        root: the server's root device.
        devices: all its devices, as they are now.
    """
    of_snapshot = {key: value for key, value in plan.tags.items() if key != tags.RUN}
    return {
        "InstanceId": run.instance_id,
        "Name": f"quiesce {run.instance_id} {run.run_id}",
        "Description": "Initial AMI: a recovery launches from it and swaps its root volume",
        "NoReboot": True,
        "BlockDeviceMappings": [{"DeviceName": device, "NoDevice": ""} for device in devices if device != root],
        "TagSpecifications": [_tagged("image", plan.tags), _tagged("snapshot", of_snapshot)],
    }


def image_notes(state: RunState) -> list[str]:
    """Return what a record should say of the image; no failure of it is one of the backup."""
    if state.make_image_failure:
        cause = cause_of(state.make_image_failure)
        words = f"{cause.error}: {cause.words.rstrip('.')}"
        return [f"the initial AMI could not be looked after: {words}; the next backup tries again"]
    return state.make_image.notes if state.make_image else []


def misfit_note(upkeep: Upkeep) -> str:
    """Say that the server has changed, and its image has not."""
    then = "another one was made" if upkeep.make else "another one is made a day after the last"
    return f"the initial AMI {upkeep.latest} no longer fits the server: it {', '.join(upkeep.misfits)}; {then}"


def failed_note(image_id: str) -> str:
    """Say that an image came to nothing."""
    return f"the initial AMI {image_id} came to nothing and was deregistered"


def _is_due(setting: ImageRenewal | Literal["once", "off"], age: timedelta) -> bool:
    return isinstance(setting, ImageRenewal) and age >= timedelta(days=setting.every_days)


def _is_new(images: Sequence[FoundImage], now: datetime) -> bool:
    """Say whether one was made within a day: what keeps all of them from fitting may be nothing that another mends."""
    return any(image.by_backup and now - image.created_at < RENEWED_AT_MOST_EVERY for image in images)


def _replaces(newer: FoundImage, image: FoundImage) -> bool:
    return newer.created_at > image.created_at and newer.state == "available" and newer.traits == image.traits


def _tagged(kind: str, tag_set: dict[str, str]) -> dict[str, Any]:
    return {"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tag_set.items()]}
