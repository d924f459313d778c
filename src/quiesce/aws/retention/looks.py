"""What EC2 has of a server's recovery points, and what else uses their snapshots; nothing here changes anything."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce import tags
from quiesce.aws.clients import code_of, repeatable, tags_of
from quiesce.aws.retention.locks import locked
from quiesce.policy.selection import Candidate
from quiesce.retention.gather import Existing

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# Filters take at most this many values (EC2 API reference).
FILTER_VALUES = 200


def existing(client: "EC2Client", stack: str, instance_id: str) -> dict[str, Existing]:
    """Return the snapshots of a server that carry this stack's tag, by id; none from the Recycle Bin."""
    return _described(client, {f"tag:{tags.STACK}": [stack], f"tag:{tags.INSTANCE}": [instance_id]})


def of_volumes(client: "EC2Client", volume_ids: Sequence[str]) -> dict[str, Existing]:
    """Return all snapshots of some volumes that EC2 has in this account, by id, whoever made them."""
    found: dict[str, Existing] = {}
    for start in range(0, len(volume_ids), FILTER_VALUES):
        found |= _described(client, {"volume-id": volume_ids[start : start + FILTER_VALUES]})
    return found


def uses(client: "EC2Client", snapshot_ids: Sequence[str]) -> dict[str, str]:
    """Return why some snapshots must not be deleted: an image uses them, they are locked, or other accounts may.

    Args:
        client: its calls may be repeated.
        snapshot_ids: they exist.
    """
    found: dict[str, str] = {}
    for start in range(0, len(snapshot_ids), FILTER_VALUES):
        some = list(snapshot_ids[start : start + FILTER_VALUES])
        found |= _shared(client, some) | locked(client, some) | _in_images(client, some)
    return found


def find_server(client: "EC2Client", instance_id: str) -> tuple[Candidate | None, datetime | None]:
    """Return a server if EC2 has it and it is not terminated, and the Date of EC2's answer, None if it has none."""
    filters: Any = [{"Name": "instance-id", "Values": [instance_id]}]
    with repeatable("ec2:DescribeInstances"):
        answer = client.describe_instances(Filters=filters)
        found = [i for r in answer["Reservations"] for i in r["Instances"] if i["State"]["Name"] != "terminated"]
        date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        at = parsedate_to_datetime(date) if date else None
        return (Candidate(instance_id, tags_of(found[0])) if found else None), at


def _described(client: "EC2Client", which: Mapping[str, Sequence[str]]) -> dict[str, Existing]:
    filters: Any = [{"Name": name, "Values": list(values)} for name, values in which.items()]
    with repeatable("ec2:DescribeSnapshots"):
        pages = client.get_paginator("describe_snapshots").paginate(
            OwnerIds=["self"], Filters=filters, PaginationConfig={"PageSize": 1000}
        )
        return {s["SnapshotId"]: _existing(s) for page in pages for s in page["Snapshots"]}


def _existing(snapshot: Any) -> Existing:
    found = tags_of(snapshot)
    return Existing(
        run_id=found.get(tags.RUN, ""),
        built_for=found.get(tags.BUILT_FOR, ""),
        state=str(snapshot["State"]),
        hold=found.get(tags.HOLD),
        removing=tags.REMOVING in found,
        size_gib=int(snapshot["VolumeSize"]),
        started_at=snapshot["StartTime"],
        volume_id=str(snapshot.get("VolumeId", "")),
        archived=snapshot.get("StorageTier") == "archive" or "RestoreExpiryTime" in snapshot,
        full_bytes=int(snapshot.get("FullSnapshotSizeInBytes") or 0),
        stack=found.get(tags.STACK, ""),
        built_from=found.get(tags.BUILT_FROM, ""),
    )


def _in_images(client: "EC2Client", snapshot_ids: Sequence[str]) -> dict[str, str]:
    filters: Any = [{"Name": "block-device-mapping.snapshot-id", "Values": snapshot_ids}]
    with repeatable("ec2:DescribeImages"):
        pages = client.get_paginator("describe_images").paginate(
            Owners=["self"], Filters=filters, IncludeDeprecated=True, IncludeDisabled=True
        )
        images = {image["ImageId"]: image["BlockDeviceMappings"] for page in pages for image in page["Images"]}
        return {
            # A volume that an image makes empty has no snapshot.
            mapping.get("Ebs", {}).get("SnapshotId", ""): f"in use by {image_id}"
            for image_id, mappings in images.items()
            for mapping in mappings
            if mapping.get("Ebs", {}).get("SnapshotId") in snapshot_ids
        }


def _shared(client: "EC2Client", snapshot_ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for snapshot_id in snapshot_ids:
        try:
            with repeatable("ec2:DescribeSnapshotAttribute"):
                answer = client.describe_snapshot_attribute(SnapshotId=snapshot_id, Attribute="createVolumePermission")
                who = [str(each.get("UserId") or each["Group"]) for each in answer["CreateVolumePermissions"]]
        except ClientError as error:
            if code_of(error) != "InvalidSnapshot.NotFound":
                raise
            continue
        if who:
            found[snapshot_id] = f"shared with {', '.join(sorted(who))}"
    return found
