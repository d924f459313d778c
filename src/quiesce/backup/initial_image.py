"""The initial AMI of a server: a recovery launches from it, since no Windows server starts from a snapshot. Pure.

The data on its root volume does not matter: a recovery swaps that volume before the server is used. What matters is
what EC2 keeps with an image and not with a snapshot: platform and billing, architecture, boot mode, root device.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from quiesce.backup.snapshot_verdict import judge_snapshots
from quiesce.backup.state import RunState
from quiesce.executions import cause_of
from quiesce.points.image import FoundImage
from quiesce.policy.parts import ImageRenewal

# States of an image that exists or will: it is pending until the snapshot of its root has completed.
ALIVE = {"available", "pending"}
RENEWED_AT_MOST_EVERY = timedelta(days=1)
FAILED = {"failed", "error", "invalid"}


@dataclass(frozen=True)
class Upkeep:
    """The upkeep of a server's images: recoveries use ``latest``. Retention alone deregisters any.

    ``failed`` are those that a backup made and that came to nothing.
    ``too_much`` are the devices that ``latest`` holds besides its root, if a backup made it.
    """

    latest: str
    make: bool
    failed: tuple[str, ...]
    misfits: tuple[str, ...] = ()
    too_much: tuple[str, ...] = ()


def decide(
    setting: ImageRenewal | Literal["once", "off"],
    images: Sequence[FoundImage],
    misfits: Mapping[str, Sequence[str]],
    now: datetime,
) -> Upkeep:
    """Decide whether a backup makes an image.

    Args:
        setting: the policy's ``initial_image``, not ``off``.
        images: those of the server, in any order.
        misfits: by image id, why it can't be launched for the server as it is now.
        now: in UTC.
    """
    alive = [image for image in images if image.state in ALIVE]
    # A recovery takes an image that fits, even if a newer one does not.
    latest = max(alive, key=lambda image: (not misfits.get(image.image_id), image.created_at), default=None)
    wrong = misfits.get(latest.image_id, ()) if latest else ()
    failed = [i.image_id for i in images if i.by_backup and i.state in FAILED]
    return Upkeep(
        latest=latest.image_id if latest else "",
        make=latest is None or ((bool(wrong) or _is_due(setting, now - latest.created_at)) and not _is_new(alive, now)),
        failed=tuple(failed),
        misfits=tuple(wrong),
        too_much=latest.beside_root if latest and latest.by_backup and latest.state == "available" else (),
    )


def is_unnamed(state: RunState) -> bool:
    """Say whether no state has named the server's image, though the policy wants one: MakeImage may have made it."""
    wanted = state.plan is not None and state.plan.settings.initial_image != "off"
    return wanted and state.make_image is None and state.make_image_failure is None


def is_wanted(state: RunState) -> bool:
    """Say whether the policy wants an image and the run left good snapshots, the root's among them."""
    plan = state.plan
    if plan is None or plan.settings.initial_image == "off" or not any(volume.root for volume in plan.volumes):
        return False
    return judge_snapshots(plan, state.await_snapshots, state.snapshot_failure).status == "Successful"


def image_notes(state: RunState) -> list[str]:
    """Return the record's notes on the image, whose failure is not one of the backup."""
    if state.make_image_failure:
        cause = cause_of(state.make_image_failure)
        words = f"{cause.error}: {cause.words.rstrip('.')}"
        return [f"the initial AMI could not be maintained: {words}; the next backup tries again"]
    return state.make_image.notes if state.make_image else []


def notes_of(upkeep: Upkeep) -> list[str]:
    """Return notes on the images that failed, and on a latest image that no longer fits the server."""
    notes = [f"the initial AMI {image_id} failed; retention deregisters it" for image_id in upkeep.failed]
    if upkeep.misfits:
        then = "another one was made" if upkeep.make else "another one is made a day after the last"
        misfits = ", ".join(upkeep.misfits)
        notes.append(f"the initial AMI {upkeep.latest} no longer fits the server: it {misfits}; {then}")
    if upkeep.too_much:
        held = ", ".join(upkeep.too_much)
        notes.append(
            f"the initial AMI {upkeep.latest} holds {held} besides the root, although EC2 was asked to leave that out: "
            "the snapshots cost what those volumes hold, and a recovery makes volumes of them only to delete them; "
            "please report it, and set initial_image to off if it costs too much"
        )
    return notes


def _is_due(setting: ImageRenewal | Literal["once", "off"], age: timedelta) -> bool:
    return isinstance(setting, ImageRenewal) and age >= timedelta(days=setting.every_days)


def _is_new(images: Sequence[FoundImage], now: datetime) -> bool:
    """Say whether a backup made one within a day: if that one does not fit, another may not fit either."""
    return any(image.by_backup and now - image.created_at < RENEWED_AT_MOST_EVERY for image in images)
