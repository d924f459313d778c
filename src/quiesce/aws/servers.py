"""A server and its volumes, as EC2 describes them: whether a backup can take them, and what a recovery needs."""

from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from quiesce import tags
from quiesce.aws.clients import code_of, repeatable, tags_of
from quiesce.backup.planning import Server
from quiesce.backup.volumes import AttachedVolume
from quiesce.errors import ServerRefused
from quiesce.points.parts import Source, Volume

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, VolumeTypeDef


def source_of(instance: "InstanceTypeDef") -> Source:
    """Return what a recovery needs of a server; what EC2 does not report is empty, and a recovery then asks for it."""
    return Source(
        instance_type=instance.get("InstanceType", ""),
        architecture=instance.get("Architecture", ""),
        boot_mode=instance.get("CurrentInstanceBootMode", ""),
        image_id=instance.get("ImageId", ""),
        root_device=instance.get("RootDeviceName", ""),
        vpc_id=instance.get("VpcId", ""),
        subnet_id=instance.get("SubnetId", ""),
        availability_zone=instance.get("Placement", {}).get("AvailabilityZone", ""),
        security_group_ids=[group["GroupId"] for group in instance.get("SecurityGroups", [])],
        key_name=instance.get("KeyName"),
        instance_profile_arn=instance.get("IamInstanceProfile", {}).get("Arn"),
    )


def describe_server(client: "EC2Client", instance_id: str, region: str) -> "InstanceTypeDef":
    """Return the instance as EC2 describes it.

    Raises:
        ServerRefused: EC2 does not know it in this region and account.
    """
    try:
        with repeatable("ec2:DescribeInstances"):
            reservations = client.describe_instances(InstanceIds=[instance_id])["Reservations"]
    except ClientError as error:
        if code_of(error) not in ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"):
            raise
        reservations = []
    instances = [instance for reservation in reservations for instance in reservation["Instances"]]
    if not instances:
        raise ServerRefused(
            "instance_id",
            f"{instance_id} does not exist in {region} in this account",
            "correct the id; a server in another region is backed up by a stack there",
        )
    return instances[0]


def server_of(instance: "InstanceTypeDef") -> Server:
    """Return what the plan needs to know of a server that can be backed up now.

    Raises:
        ServerRefused: it is neither running nor stopped, or a recovery is making it.
    """
    found = tags_of(instance)
    if recovery := found.get(tags.RECOVERING):
        problem = f"recovery {recovery} is still making the server"
        raise ServerRefused("instance_id", problem, "back it up once the recovery has ended")
    state, platform = _usable_state(instance), instance.get("PlatformDetails", "")
    return Server(name=found.get("Name", ""), state=state, platform=platform, source=source_of(instance))


def _usable_state(instance: "InstanceTypeDef") -> Literal["running", "stopped"]:
    match state := instance["State"]["Name"]:
        case "running" | "stopped":
            return state
        case "terminated" | "shutting-down":
            problem, remedy = f"the server is {state}: its volumes are gone or going", "take it out of the policy"
        case _:
            problem, remedy = f"the server is {state}", "start the run again once it is running or stopped"
    raise ServerRefused("instance_id", problem, remedy)


def describe_volumes(client: "EC2Client", instance: "InstanceTypeDef") -> list[AttachedVolume]:
    """Return the EBS volumes of a server, the root first, then by device."""
    devices = {m["Ebs"]["VolumeId"]: m["DeviceName"] for m in instance.get("BlockDeviceMappings", []) if "Ebs" in m}
    filters: Any = [{"Name": "attachment.instance-id", "Values": [instance["InstanceId"]]}]
    with repeatable("ec2:DescribeVolumes"):
        pages = client.get_paginator("describe_volumes").paginate(Filters=filters, PaginationConfig={"PageSize": 200})
        volumes = [volume for page in pages for volume in page["Volumes"] if volume["VolumeId"] in devices]
    root = instance.get("RootDeviceName", "")
    attached = [_attached(volume, devices[volume["VolumeId"]], root, instance["InstanceId"]) for volume in volumes]
    return sorted(attached, key=lambda each: (not each.volume.root, each.volume.device))


def _attached(volume: "VolumeTypeDef", device: str, root: str, instance_id: str) -> AttachedVolume:
    attachment: Any = next((a for a in volume.get("Attachments", []) if a.get("InstanceId") == instance_id), {})
    described = Volume(
        volume_id=volume["VolumeId"],
        device=device,
        root=device == root,
        size_gib=volume["Size"],
        volume_type=volume["VolumeType"],
        iops=volume.get("Iops"),
        throughput_mibps=volume.get("Throughput"),
        encrypted=volume.get("Encrypted", False),
        kms_key_id=volume.get("KmsKeyId"),
        delete_on_termination=attachment.get("DeleteOnTermination", False),
    )
    return AttachedVolume(described, tags_of(volume))
