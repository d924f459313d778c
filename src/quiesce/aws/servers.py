"""A server and its volumes, as EC2 describes them: whether a backup can take them, and what a recovery needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from quiesce import tags
from quiesce.aws.clients import code_of, repeatable, tags_of
from quiesce.backup.planning import Server
from quiesce.backup.volumes import AttachedVolume
from quiesce.errors import ServerRefused
from quiesce.points.parts import Source, Volume
from quiesce.policy.selection import Candidate

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, VolumeTypeDef


METADATA_OPTIONS = ("HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "HttpProtocolIpv6", "InstanceMetadataTags")


@dataclass(frozen=True)
class Instance:
    """A server as EC2 describes it: its volumes' devices, all devices that it maps, and what a recovery needs."""

    instance_id: str
    state: str
    platform: str
    root_device: str
    tags: Mapping[str, str]
    devices: Mapping[str, str]
    mapped: tuple[str, ...]
    source: Source


def instance_of(described: "InstanceTypeDef") -> Instance:
    """Read a server."""
    mappings = described["BlockDeviceMappings"]
    return Instance(
        instance_id=described["InstanceId"],
        state=described["State"]["Name"],
        platform=described.get("PlatformDetails", ""),
        root_device=described.get("RootDeviceName", ""),
        tags=tags_of(described),
        devices={mapping["Ebs"]["VolumeId"]: mapping["DeviceName"] for mapping in mappings if "Ebs" in mapping},
        mapped=tuple(mapping["DeviceName"] for mapping in mappings),
        source=_source(described),
    )


def _source(instance: "InstanceTypeDef") -> Source:
    """Return what a recovery needs of a server; what EC2 does not report is empty, and a recovery then asks for it."""
    placement = instance.get("Placement", {})
    return Source(
        instance_type=instance.get("InstanceType", ""),
        architecture=instance.get("Architecture", ""),
        boot_mode=instance.get("CurrentInstanceBootMode", ""),
        image_id=instance.get("ImageId", ""),
        root_device=instance.get("RootDeviceName", ""),
        vpc_id=instance.get("VpcId", ""),
        subnet_id=instance.get("SubnetId", ""),
        availability_zone=placement.get("AvailabilityZone", ""),
        security_group_ids=[group["GroupId"] for group in instance.get("SecurityGroups", [])],
        key_name=instance.get("KeyName"),
        instance_profile_arn=instance.get("IamInstanceProfile", {}).get("Arn"),
        usage_operation=instance.get("UsageOperation", ""),
        product_codes=[code["ProductCodeId"] for code in instance.get("ProductCodes", [])],
        private_ip=instance.get("PrivateIpAddress", ""),
        public_ip=instance.get("PublicIpAddress", ""),
        tags={key: value for key, value in tags_of(instance).items() if not key.startswith(("aws:", tags.PREFIX))},
        metadata_options=_metadata_options(instance),
        tenancy=placement.get("Tenancy", ""),
        host_id=placement.get("HostId", ""),
        placement_group=placement.get("GroupName", ""),
        cpu_options=_cpu_options(instance),
        interfaces=[i["NetworkInterfaceId"] for i in instance.get("NetworkInterfaces", []) if not _is_first(i)],
    )


def _metadata_options(instance: "InstanceTypeDef") -> dict[str, str | int]:
    """Return those of the metadata options that RunInstances takes, as EC2 names them."""
    described: Any = instance.get("MetadataOptions", {})
    return {name: described[name] for name in METADATA_OPTIONS if name in described}


def _cpu_options(instance: "InstanceTypeDef") -> dict[str, int]:
    """Return the numbers of cores and threads, as EC2 names them."""
    described: Any = instance.get("CpuOptions", {})
    return {name: described[name] for name in ("CoreCount", "ThreadsPerCore") if name in described}


def _is_first(interface: Any) -> bool:
    attachment: Any = interface.get("Attachment", {})
    return bool(attachment.get("DeviceIndex", 0) == 0)


def describe_server(client: "EC2Client", instance_id: str, region: str) -> Instance:
    """Return the instance as EC2 describes it.

    Raises:
        ServerRefused: EC2 does not know it in this region and account.
    """
    try:
        with repeatable("ec2:DescribeInstances"):
            reservations = client.describe_instances(InstanceIds=[instance_id])["Reservations"]
            instances = [instance_of(each) for reservation in reservations for each in reservation["Instances"]]
    except ClientError as error:
        if code_of(error) not in ("InvalidInstanceID.NotFound", "InvalidInstanceID.Malformed"):
            raise
        instances = []
    if not instances:
        raise ServerRefused(
            "instance_id",
            f"{instance_id} does not exist in {region} in this account",
            "correct the id; a server in another region is backed up by a stack there",
        )
    return instances[0]


def find_candidates(client: "EC2Client") -> list[Candidate]:
    """Return every server of the account and Region, as a policy chooses among them.

    No filter: EC2's would take ``*`` and ``?`` in a tag's value for signs, and leave out what a note must name.
    """
    with repeatable("ec2:DescribeInstances"):
        pages = client.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 1000})
        return [
            candidate_of(each)
            for page in pages
            for reservation in page["Reservations"]
            for each in reservation["Instances"]
        ]


def candidate_of(described: "InstanceTypeDef") -> Candidate:
    """Return a server as a policy chooses it."""
    own = tags_of(described)
    return Candidate(
        instance_id=described["InstanceId"],
        tags=own,
        state=described["State"]["Name"],
        # PlatformDetails is what EC2 bills, such as "Windows with SQL Server Standard"; Platform also has own licences.
        windows="windows" in (described.get("Platform", "").lower(), described.get("PlatformDetails", "").lower()[:7]),
        recovery=own.get(tags.RECOVERING, ""),
    )


def server_of(instance: Instance) -> Server:
    """Return what the plan needs to know of a server that can be backed up now.

    Raises:
        ServerRefused: it is neither running nor stopped, or a recovery is making it.
    """
    if recovery := instance.tags.get(tags.RECOVERING):
        problem = f"recovery {recovery} is still making the server"
        raise ServerRefused("instance_id", problem, "back it up once the recovery has ended")
    name, state = instance.tags.get("Name", ""), _usable_state(instance)
    return Server(name=name, state=state, platform=instance.platform, source=instance.source)


def _usable_state(instance: Instance) -> Literal["running", "stopped"]:
    match state := instance.state:
        case "running" | "stopped":
            return state
        case "terminated" | "shutting-down":
            problem, remedy = f"the server is {state}: its volumes are gone or going", "take it out of the policy"
        case _:
            problem, remedy = f"the server is {state}", "start the run again once it is running or stopped"
    raise ServerRefused("instance_id", problem, remedy)


def describe_volumes(client: "EC2Client", instance: Instance) -> list[AttachedVolume]:
    """Return the EBS volumes of a server, the root first, then by device."""
    filters: Any = [{"Name": "attachment.instance-id", "Values": [instance.instance_id]}]
    with repeatable("ec2:DescribeVolumes"):
        pages = client.get_paginator("describe_volumes").paginate(Filters=filters, PaginationConfig={"PageSize": 200})
        volumes = [volume for page in pages for volume in page["Volumes"]]
        attached = [_attached(volume, instance) for volume in volumes if volume["VolumeId"] in instance.devices]
    return sorted(attached, key=lambda each: (not each.volume.root, each.volume.device))


def _attached(volume: "VolumeTypeDef", instance: Instance) -> AttachedVolume:
    device = instance.devices[volume["VolumeId"]]
    attachment: Any = next((a for a in volume["Attachments"] if a["InstanceId"] == instance.instance_id), {})
    described = Volume(
        volume_id=volume["VolumeId"],
        device=device,
        root=device == instance.root_device,
        size_gib=volume["Size"],
        volume_type=volume["VolumeType"],
        iops=volume.get("Iops"),
        throughput_mibps=volume.get("Throughput"),
        encrypted=volume.get("Encrypted", False),
        kms_key_id=volume.get("KmsKeyId"),
        delete_on_termination=attachment.get("DeleteOnTermination", False),
    )
    return AttachedVolume(described, tags_of(volume))
