"""EC2's images: those of a server, and how to create and deregister one."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce import tags
from quiesce.aws.clients import code_of, repeatable, tags_of
from quiesce.aws.snapshots import TOO_SOON
from quiesce.errors import ImageRefused, SnapshotTooSoon
from quiesce.points.image import FoundImage

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import ImageTypeDef

TAKEN = "InvalidAMIName.Duplicate"
NOT_FOUND = {"InvalidAMIID.NotFound", "InvalidAMIID.Unavailable", "InvalidAMIID.Malformed"}


def find_images(client: "EC2Client", stack: str, instance_id: str) -> list[FoundImage]:
    """Return the images of a server by their tags; EC2 may not list one yet right after its creation."""
    ours = {tags.STACK: stack, tags.INSTANCE: instance_id}
    filters = [{"Name": f"tag:{key}", "Values": [value]} for key, value in ours.items()]
    with repeatable("ec2:DescribeImages"):
        pages = client.get_paginator("describe_images").paginate(Owners=["self"], Filters=filters)  # type: ignore[arg-type]
        return [_found(image) for page in pages for image in page["Images"]]


def describe_image(client: "EC2Client", image_id: str) -> FoundImage | None:
    """Return an image of whatever owner by its id; None if there is none, or this account may not use it.

    By id, because EC2 goes through every public image for a filter without owners. A deprecated image can be launched.
    """
    try:
        with repeatable("ec2:DescribeImages"):
            found = client.describe_images(ImageIds=[image_id], IncludeDeprecated=True)["Images"]
            return _found(found[0]) if found else None
    except ClientError as error:
        if code_of(error) in NOT_FOUND:
            return None
        raise


def create_image(client: "EC2Client", request: dict[str, Any]) -> str:
    """Ask EC2 for an image, without waiting for it; EC2 makes no second image of the name in the request.

    Returns:
        Its id, empty if an earlier call made it, whose answer was lost, and EC2 does not list it yet.

    Raises:
        SnapshotTooSoon: nothing was created; retried after EBS's 15 seconds.
        AwsThrottled, AwsUnavailable, AccessDenied: as ``repeatable`` raises them.
        ImageRefused: nothing was created; not retried.
    """
    try:
        with repeatable("ec2:CreateImage"):
            return client.create_image(**request)["ImageId"]
    except ClientError as error:
        if code_of(error) == TAKEN:
            return ""
        if code_of(error) in TOO_SOON:
            raise SnapshotTooSoon(f"ec2:CreateImage: {error}") from error
        raise ImageRefused("CreateImage", f"EC2 refused it: {error}", "mend what EC2 names") from error


def deregister(client: "EC2Client", image_id: str) -> list[str]:
    """Deregister an image and delete its snapshots; IAM allows it only for those that a backup of this stack made.

    Returns:
        A note on each snapshot that EC2 did not delete.

    Raises:
        ImageRefused: EC2 refuses it; an image that is gone already is success.
    """
    try:
        with repeatable("ec2:DeregisterImage"):
            answer = client.deregister_image(ImageId=image_id, DeleteAssociatedSnapshots=True)
            results = [(r["SnapshotId"], r["ReturnCode"]) for r in answer.get("DeleteSnapshotResults", [])]
    except ClientError as error:
        if code_of(error) in NOT_FOUND:
            return []
        raise ImageRefused("DeregisterImage", f"EC2 refused it: {error}", "mend what EC2 names") from error
    left = [(snapshot_id, code) for snapshot_id, code in results if code != "success"]
    return [f"{snapshot_id} of the deregistered image {image_id} is still there: {code}" for snapshot_id, code in left]


def _found(image: "ImageTypeDef") -> FoundImage:
    found = tags_of(image)
    return FoundImage(
        image_id=image["ImageId"],
        created_at=datetime.fromisoformat(image["CreationDate"]),
        state=image["State"],
        root_device=image.get("RootDeviceName", ""),
        architecture=image.get("Architecture", ""),
        boot_mode=image.get("BootMode", ""),
        platform=image.get("Platform", "").lower(),
        billing=image.get("UsageOperation", ""),
        by_backup=tags.RUN in found,
        product_codes=tuple(code["ProductCodeId"] for code in image.get("ProductCodes", [])),
        devices=tuple(m["DeviceName"] for m in image.get("BlockDeviceMappings", []) if "Ebs" in m),
    )
