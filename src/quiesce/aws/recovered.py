"""What a recovery made, as EC2 describes it: its server, its volumes and its security group."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.clients import tags_of

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, SecurityGroupTypeDef, VolumeTypeDef


@dataclass(frozen=True)
class RecoveredServer:
    """A server; ``reason`` is why it is in its state, empty if EC2 gives none."""

    server_id: str
    state: str
    reason: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Attachment:
    """Where a volume is attached, or on its way to or from there."""

    device: str
    state: str


@dataclass(frozen=True)
class RecoveredVolume:
    """A volume."""

    volume_id: str
    state: str
    attachments: tuple[Attachment, ...]
    tags: Mapping[str, str]


@dataclass(frozen=True)
class RecoveredGroup:
    """A security group: whether it lets traffic in, and its outgoing rules as EC2 takes them back."""

    group_id: str
    lets_in: bool
    egress: Any


def recovered_server(instance: "InstanceTypeDef") -> RecoveredServer:
    """Read a server."""
    reason = instance.get("StateReason", {}).get("Message", "")
    return RecoveredServer(instance["InstanceId"], instance["State"]["Name"], reason, tags_of(instance))


def recovered_volume(volume: "VolumeTypeDef") -> RecoveredVolume:
    """Read a volume."""
    attachments = tuple(Attachment(each["Device"], each["State"]) for each in volume["Attachments"])
    return RecoveredVolume(volume["VolumeId"], volume["State"], attachments, tags_of(volume))


def recovered_group(group: "SecurityGroupTypeDef") -> RecoveredGroup:
    """Read a security group."""
    return RecoveredGroup(group["GroupId"], bool(group.get("IpPermissions")), group["IpPermissionsEgress"])
