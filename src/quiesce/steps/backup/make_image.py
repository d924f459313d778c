"""MakeImage: create the server's initial AMI if it needs one; never wait for it, and deregister none."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.images import create_image, find_images
from quiesce.aws.servers import describe_server
from quiesce.backup import initial_image
from quiesce.backup.requests import image_request
from quiesce.backup.state import ImageKept, Plan
from quiesce.clock import Clock
from quiesce.points.image import misfits_once_available, needs_of
from quiesce.settings import Settings
from quiesce.steps.backup.entry import enter, leave
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


@dataclass(frozen=True)
class MakeImageStep:
    """What MakeImage needs."""

    ec2: "EC2Client"
    settings: Settings
    clock: Clock

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """Maintain the server's initial AMI, if the policy wants one and the snapshots are good.

        Returns:
            The ``ImageKept``.

        Raises:
            SnapshotTooSoon: retried after EBS's 15 seconds.
            ImageRefused: not retried; a note in the record.
        """
        state, run = enter("make_image", document)
        if not initial_image.is_wanted(state):
            return leave(ImageKept(image_id="", notes=[], calls={}))
        plan = state.needed_plan()
        upkeep = upkeep_of(self.ec2, self.settings.stack_name, plan, self.clock.now())
        image_id = upkeep.latest
        if upkeep.make:
            server = describe_server(self.ec2, run.instance_id, self.ec2.meta.region_name)
            image_id = create_image(self.ec2, image_request(run, plan, server.root_device, server.mapped))
        logger.info("looked after the initial AMI", image_id=image_id, made=upkeep.make)
        return leave(ImageKept(image_id=image_id, notes=initial_image.notes_of(upkeep), calls={}))


def upkeep_of(ec2: "EC2Client", stack: str, plan: Plan, now: datetime) -> initial_image.Upkeep:
    """Look at a server's images, and decide on their upkeep."""
    found = find_images(ec2, stack, plan.instance_id)
    needs = needs_of(plan.source, next((volume.device for volume in plan.volumes if volume.root), ""))
    misfits = {image.image_id: misfits_once_available(image, needs) for image in found}
    return initial_image.decide(plan.settings.initial_image, found, misfits, now)
