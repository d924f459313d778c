"""MakeImage: see to it that the server has an initial AMI, and that old ones go; never waits for one."""

from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws import images, snapshots
from quiesce.aws.clients import ONCE
from quiesce.backup import initial_image
from quiesce.backup.run import identity_of
from quiesce.backup.state import ImageKept, RunState
from quiesce.calls import counted, take_calls
from quiesce.recovery.obstacles import misfits_once_available, needs_of
from quiesce.settings import Settings
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ec2_client = counted(boto3.client("ec2", config=ONCE))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    take_calls()
    state, now = RunState.model_validate(event), datetime.now(UTC)
    run, plan = identity_of(state), state.needed_plan()
    begin("make_image", run)
    if not initial_image.is_wanted(state):
        return ImageKept(image_id="", notes=[], calls={}).model_dump(mode="json")
    found = images.find_images(ec2_client, settings.stack_name, run.instance_id)
    root = next((volume.device for volume in plan.volumes if volume.root), "")
    needs = needs_of(plan.source, root)
    misfits = {image.image_id: misfits_once_available(image, needs) for image in found}
    upkeep = initial_image.decide(plan.settings.initial_image, found, misfits, now)
    image_id = upkeep.latest
    if upkeep.make:
        server = snapshots.describe_server(ec2_client, run.instance_id, ec2_client.meta.region_name)
        devices = [mapping["DeviceName"] for mapping in server["BlockDeviceMappings"]]
        request = initial_image.image_request(run, plan, server["RootDeviceName"], devices)
        image_id = images.create_image(ec2_client, request)
    # Last: a server without an image is worse than one with two.
    left = [note for old in (*upkeep.retired, *upkeep.failed) for note in images.deregister(ec2_client, old)]
    logger.info("looked after the initial AMI", image_id=image_id, made=upkeep.make, retired=upkeep.retired)
    misfit = [initial_image.misfit_note(upkeep)] if upkeep.misfits else []
    notes = [*map(initial_image.failed_note, upkeep.failed), *misfit, *left]
    return ImageKept(image_id=image_id, notes=notes, calls=take_calls()).model_dump(mode="json")
