"""What a recovery made, as EC2 describes it: its server, its volumes and its security group."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.clients import tags_of

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef, SecurityGroupTypeDef, VolumeTypeDef


@dataclass(frozen=True)
class RecoveredServer:
    """A server; ``reason`` is why it is in its state and ``reason_code`` EC2's name for it, empty if EC2 gives none.

    ``launched_at`` is when it was last launched or started, in UTC.
    """

    server_id: str
    state: str
    reason: str
    reason_code: str
    launched_at: datetime
    tags: Mapping[str, str]

    @property
    def given_up(self) -> bool:
        """Whether EC2 gave up a launch or start after it had taken the call; mostly a volume's key can't be used.

        Source: EC2 user guide, "Troubleshoot instance launch issues".
        """
        return self.reason_code == "Client.InternalError"

    @property
    def standing(self) -> str:
        """The server and its state in words, with EC2's reason unless a call of the recovery is the reason."""
        asked = self.reason_code in ("", "pending", "Client.UserInitiatedShutdown")
        return f"{self.server_id} is {self.state}" + ("" if asked else f" ({self.reason})")


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
    reason = instance.get("StateReason", {})
    return RecoveredServer(
        server_id=instance["InstanceId"],
        state=instance["State"]["Name"],
        reason=reason.get("Message", ""),
        reason_code=reason.get("Code", ""),
        launched_at=instance["LaunchTime"],
        tags=tags_of(instance),
    )


def recovered_volume(volume: "VolumeTypeDef") -> RecoveredVolume:
    """Read a volume."""
    attachments = tuple(Attachment(each["Device"], each["State"]) for each in volume["Attachments"])
    return RecoveredVolume(volume["VolumeId"], volume["State"], attachments, tags_of(volume))


def recovered_group(group: "SecurityGroupTypeDef") -> RecoveredGroup:
    """Read a security group."""
    return RecoveredGroup(group["GroupId"], bool(group.get("IpPermissions")), group["IpPermissionsEgress"])
