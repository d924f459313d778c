"""What EC2 stores with the stack's tag: all snapshots, page by page, and all images; nothing here changes anything."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from quiesce import tags
from quiesce.aws.clients import repeatable, tags_of
from quiesce.posture.unclaimed import GIB, Image, Stored

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

PAGE = 1000


def stored_snapshots(client: "EC2Client", stack: str) -> Iterator[list[Stored]]:
    """Yield all snapshots of the account that carry the stack's tag, a page of up to 1,000 at a time."""
    filters: Any = [{"Name": f"tag:{tags.STACK}", "Values": [stack]}]
    with repeatable("ec2:DescribeSnapshots"):
        pages = client.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], Filters=filters, PaginationConfig={"PageSize": PAGE}
        )
        for page in pages:
            yield [_stored(snapshot) for snapshot in page["Snapshots"]]


def _stored(snapshot: Any) -> Stored:
    own = tags_of(snapshot)
    return Stored(
        snapshot_id=str(snapshot["SnapshotId"]),
        # Of a snapshot that was built EC2 names no volume.
        volume_id=own.get(tags.VOLUME) or str(snapshot.get("VolumeId", "")),
        instance_id=own.get(tags.INSTANCE, ""),
        run_id=own.get(tags.RUN, ""),
        built_for=own.get(tags.BUILT_FOR, ""),
        started_at=snapshot["StartTime"],
        # Which EC2 does not say of all.
        size=int(snapshot.get("FullSnapshotSizeInBytes") or snapshot["VolumeSize"] * GIB),
        archived=snapshot.get("StorageTier") == "archive",
    )


def stored_images(client: "EC2Client", stack: str) -> list[Image]:
    """Return all images of the account that carry the stack's tag."""
    filters: Any = [{"Name": f"tag:{tags.STACK}", "Values": [stack]}]
    with repeatable("ec2:DescribeImages"):
        pages = client.get_paginator("describe_images").paginate(Owners=["self"], Filters=filters)
        return [_image(image) for page in pages for image in page["Images"]]


def _image(image: Any) -> Image:
    mapped = (mapping.get("Ebs", {}).get("SnapshotId", "") for mapping in image.get("BlockDeviceMappings", []))
    instance_id = tags_of(image).get(tags.INSTANCE, "")
    return Image(str(image["ImageId"]), instance_id, tuple(filter(None, mapped)))
