"""EBS attachments as on EC2, where moto differs: attaching and detaching take time, with refusals meanwhile.

`install` changes moto for the whole process, as that of `snapshots` does.
"""

from collections.abc import Callable
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidVolumeDetachmentError
from moto.ec2.models import elastic_block_store as moto_ebs
from moto.ec2.models.instances import Instance
from moto.ec2.responses import EC2Response
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.responses.instances import InstanceResponse

from sandbox.aws.snapshots import RULES
from sandbox.aws.volumes import VOLUMES


class EbsAttachment(moto_ebs.VolumeAttachment):
    """An attachment whose state depends on the time passed; volume and device are in use until it is detached.

    Source: EC2 API reference, VolumeAttachment, state: attaching, attached, detaching, detached, busy; DetachVolume: a
    volume may become "stuck in the `busy` state while detaching", and the detachment "be delayed indefinitely".
    """

    detaching_since_s: float | None = None

    def __init__(self, volume: moto_ebs.Volume, instance: Any, device: str, status: str) -> None:
        self.attaching_since_s = RULES.now_s()
        super().__init__(volume, instance, device, status)

    @property
    def status(self) -> str:
        """The state, as DescribeVolumes names it."""
        if self.detaching_since_s is None:
            return "attaching" if RULES.now_s() - self.attaching_since_s < VOLUMES.attaching_s else "attached"
        if VOLUMES.stuck_as:
            return VOLUMES.stuck_as
        return "detaching" if RULES.now_s() - self.detaching_since_s < VOLUMES.detaching_s else "detached"

    @status.setter
    def status(self, _by_moto: str) -> None:
        """Ignore moto's value: the state depends on the time."""

    @property
    def delete_on_termination(self) -> bool:
        """DeleteOnTermination for DescribeVolumes; moto keeps it with the instance only."""
        return bool(self.instance.block_device_mapping[self.device].delete_on_termination)


def _free_detached_volumes(backend: Any) -> None:
    """Free the volumes and devices whose detachment has ended by now."""
    for volume in list(backend.volumes.values()):
        if volume.attachment and volume.attachment.status == "detached":
            backend.detach_volume(volume.id, volume.attachment.instance.id, volume.attachment.device)


def _call_action(original: Callable[[EC2Response], Any]) -> Callable[[EC2Response], Any]:
    def call(self: EC2Response) -> Any:
        _free_detached_volumes(self.ec2_backend)
        return original(self)

    return call


def _refuse_attachment(self: ElasticBlockStore) -> None:
    """Refuse what EC2 refuses to attach.

    Source: EC2 API reference, errors: VolumeInUse, IncorrectState, InvalidVolume.ZoneMismatch. For a device in use EC2
    answers `InvalidParameterValue`, "Attachment point /dev/sdb is already in use" (reported by many users).
    """
    volume = self.ec2_backend.get_volume(self._get_param("VolumeId"))
    instance, device = self.ec2_backend.get_instance(self._get_param("InstanceId")), self._get_param("Device")
    if volume.attachment:
        raise EC2ClientError("VolumeInUse", f"{volume.id} is already attached to an instance")
    if volume.status != "available":
        raise EC2ClientError("IncorrectState", f"{volume.id} is not 'available'.")
    if instance.state not in {"running", "stopped"}:
        raise EC2ClientError("IncorrectState", f"Instance '{instance.id}' is not 'running'.")
    if volume.zone.name != instance.placement.zone:
        message = f"The volume '{volume.id}' is not in the same availability zone as instance '{instance.id}'"
        raise EC2ClientError("InvalidVolume.ZoneMismatch", message)
    if device in instance.block_device_mapping:
        message = f"Invalid value '{device}' for unixDevice. Attachment point {device} is already in use"
        raise EC2ClientError("InvalidParameterValue", message)


def _attach_volume(
    original: Callable[[ElasticBlockStore], ActionResult],
) -> Callable[[ElasticBlockStore], ActionResult]:
    def attach(self: ElasticBlockStore) -> ActionResult:
        _refuse_attachment(self)
        return original(self)

    return attach


def _detach_volume(self: ElasticBlockStore) -> ActionResult:
    """Begin to detach a volume, but not the root volume of a running server.

    Source: EC2 API reference, DetachVolume: a root device "can't be detached while the instance is running"; EC2
    answers `IncorrectState`, "Unable to detach root volume" (reported by users of Terraform). `IncorrectState`, "is in
    the 'available' state", for a volume that is not attached (reported by users of the EBS driver of Kubernetes).
    """
    volume, instance_id = self.ec2_backend.get_volume(self._get_param("VolumeId")), self._get_param("InstanceId")
    attachment = volume.attachment
    if not attachment:
        raise EC2ClientError("IncorrectState", f"Volume '{volume.id}' is in the 'available' state.")
    instance, device = attachment.instance, self._get_param("Device") or attachment.device
    if instance_id not in (None, instance.id) or device != attachment.device:
        raise InvalidVolumeDetachmentError(volume.id, instance_id, device)
    if device == instance.root_device_name and instance.state != "stopped":
        message = f"Unable to detach root volume '{volume.id}' from instance '{instance.id}'"
        raise EC2ClientError("IncorrectState", message)
    if attachment.status != "attached":
        message = f"not known: EC2's answer to DetachVolume of a volume that is {attachment.status}"
        raise EC2ClientError("SandboxCannotTell", message)
    self.error_on_dryrun()
    attachment.detaching_since_s = RULES.now_s()
    return ActionResult(
        {"VolumeId": volume.id, "InstanceId": instance.id, "Device": device, "State": "detaching"}
        | {"AttachTime": attachment.attach_time}
    )


def _set_delete_on_termination(original: Callable[[InstanceResponse], bool]) -> Callable[[InstanceResponse], bool]:
    """Let DeleteOnTermination be set for attached volumes only.

    Source: `InvalidInstanceAttributeValue`, "No device is currently mapped at", the answer of EC2-compatible clouds.
    """

    def set_delete_on_termination(self: InstanceResponse) -> bool:
        for device in [mapping["DeviceName"] for mapping in self._get_param("BlockDeviceMappings", [])]:
            instance = self.ec2_backend.get_instance(self._get_param("InstanceId"))
            if device not in instance.block_device_mapping:
                message = f"No device is currently mapped at {device}"
                raise EC2ClientError("InvalidInstanceAttributeValue", message)
            if (state := _state_at(instance, device)) != "attached":
                message = f"not known: EC2's answer to DeleteOnTermination of a volume that is {state}"
                raise EC2ClientError("SandboxCannotTell", message)
        return original(self)

    return set_delete_on_termination


def _state_at(instance: Any, device: str) -> str:
    volume = instance.ec2_backend.get_volume(instance.block_device_mapping[device].volume_id)
    return str(volume.attachment.status)


def _mappings(original: Any) -> property:
    """Let DescribeInstances show each attachment's state. Source: EC2 API reference, EbsInstanceBlockDevice, status."""

    def mappings(self: Instance) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = original.fget(self)
        for mapping in found:
            mapping["Ebs"].status = _state_at(self, mapping["DeviceName"])
        return found

    return property(mappings)


def install() -> None:
    """Put these rules into moto; calling it again changes nothing."""
    if moto_ebs.VolumeAttachment is EbsAttachment:
        return
    moto_ebs.VolumeAttachment = EbsAttachment  # type: ignore[misc]
    EC2Response.call_action = _call_action(EC2Response.call_action)  # type: ignore[method-assign, assignment]
    ElasticBlockStore.attach_volume = _attach_volume(ElasticBlockStore.attach_volume)  # type: ignore[method-assign]
    ElasticBlockStore.detach_volume = _detach_volume  # type: ignore[method-assign]
    InstanceResponse._block_device_mapping_handler = _set_delete_on_termination(  # type: ignore[method-assign]
        InstanceResponse._block_device_mapping_handler
    )
    Instance.block_device_mappings = _mappings(Instance.block_device_mappings)  # type: ignore[assignment, method-assign]
