"""AMIs as on EC2, where moto differs: creation takes time, names are unique, volumes and snapshots follow the request.

`install` changes moto for the whole process, as that of `snapshots` does.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import amis as moto_amis
from moto.ec2.models.amis import AmiBackend
from moto.ec2.responses.amis import AmisResponse

from sandbox.aws.snapshots import RULES, refuse_by_state_and_rate


@dataclass
class ImageRules:
    """The knobs of simulated images; without them each is available at once, and listed."""

    creating_s: float = 0.0
    fails: bool = False
    hidden_lookups: int = 0
    """How many look-ups by tag miss a new image."""
    ignores_no_device: bool = False
    """Whether CreateImage takes all volumes, as users of it have reported."""

    def reset(self) -> None:
        """Restore the defaults."""
        self.__init__()  # type: ignore[misc]


IMAGES = ImageRules()


class EbsImage(moto_amis.Ami):
    """An image whose state depends on the time passed; `devices` are its snapshots by device."""

    devices: dict[str, Any] | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.created_s, self.hidden_lookups, self.registered = RULES.now_s(), IMAGES.hidden_lookups, "available"
        self.fails = IMAGES.fails
        super().__init__(*args, **kwargs)
        self.creation_date = datetime.fromtimestamp(self.created_s, UTC).replace(tzinfo=None)

    @property
    def state(self) -> str:
        """The state, as DescribeImages names it."""
        if self.instance_id and RULES.now_s() - self.created_s < IMAGES.creating_s:
            return "pending"
        return "failed" if self.fails else self.registered

    @state.setter
    def state(self, registered: str) -> None:
        self.registered = registered

    @property
    def block_device_mappings(self) -> list[dict[str, Any]]:
        """The volumes that a server launched from this image gets."""
        if self.devices is None:
            return super().block_device_mappings
        return [
            {"DeviceName": device, "Ebs": {"SnapshotId": snapshot.id, "VolumeSize": snapshot.volume_size}}
            for device, snapshot in self.devices.items()
        ]


def _create_image(self: AmisResponse) -> ActionResult:
    """CreateImage without the volumes left out, with AWS's order of checks: parameters, DryRun, then what exists.

    Source: EC2 API reference, CreateImage: without NoReboot the server is shut down first; BlockDeviceMapping,
    NoDevice: "the device is removed from the block device mapping". For a name in use EC2 answers
    `InvalidAMIName.Duplicate`, "AMI name x is already in use by AMI ami-..." (reported by users of Packer).
    """
    backend, name = self.ec2_backend, self._get_param("Name")
    instance = backend.get_instance(self._get_param("InstanceId"))
    left_out = (
        set()
        if IMAGES.ignores_no_device
        else {m["DeviceName"] for m in self._get_param("BlockDeviceMappings", []) if "NoDevice" in m}
    )
    if str(self._get_param("NoReboot")).lower() != "true":
        raise EC2ClientError("SandboxCannotTell", "CreateImage would reboot the server, which is not simulated")
    self.error_on_dryrun()
    for image in list(backend.amis.values()):
        if image.name == name:
            raise EC2ClientError("InvalidAMIName.Duplicate", f"AMI name {name} is already in use by AMI {image.id}")
    attached = {d: m.volume_id for d, m in instance.get_block_device_mapping if d not in left_out}
    refuse_by_state_and_rate(backend, instance.id, list(attached.values()))
    tags = self._parse_tag_specification()
    image = backend.create_image(instance.id, name, self._get_param("Description", ""), [])
    _add_snapshots(backend, image, instance, attached)
    image.add_tags(tags.get("image", {}))
    for snapshot in image.devices.values():
        snapshot.add_tags(tags.get("snapshot", {}))
    return ActionResult({"ImageId": image.id})


def _add_snapshots(backend: Any, image: EbsImage, instance: Any, attached: dict[str, str]) -> None:
    """Give an image the server's properties and snapshots of its volumes, instead of the one that moto invents."""
    invented = backend.snapshots.pop(image.ebs_snapshot.id)
    description = invented.description
    image.devices = {d: backend.create_snapshot(v, description, from_ami=image.id) for d, v in attached.items()}
    image.ebs_snapshot = image.devices.get(instance.root_device_name, invented)
    image.root_device_name, image.boot_mode = instance.root_device_name, None
    image.architecture = instance.architecture or "x86_64"
    image.platform_details, image.usage_operation = "Windows", "RunInstances:0002"  # type: ignore[attr-defined]


def _deregister_image(self: AmisResponse) -> ActionResult:
    """DeregisterImage with DeleteAssociatedSnapshots, which moto ignores. Source: EC2 API reference."""
    self.error_on_dryrun()
    image = self.ec2_backend.amis.get(self._get_param("ImageId"))
    self.ec2_backend.deregister_image(self._get_param("ImageId"))
    answer: dict[str, Any] = {"Return": True}
    if str(self._get_param("DeleteAssociatedSnapshots")).lower() == "true":
        snapshots = [mapping["Ebs"]["SnapshotId"] for mapping in image.block_device_mappings]
        for snapshot_id in snapshots:
            self.ec2_backend.delete_snapshot(snapshot_id)
        answer["DeleteSnapshotResults"] = [{"SnapshotId": s, "ReturnCode": "success"} for s in snapshots]
    return ActionResult(answer)


def _describe_images(original: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """Hide new images from look-ups by tag. Source: EC2 developer guide, eventual consistency."""

    def describe(self: Any, ami_ids: Sequence[str] | None = None, filters: Any = None, **more: Any) -> list[Any]:
        by_tag = any(name.startswith("tag") for name in filters or {})
        return [i for i in original(self, ami_ids, filters, **more) if not (by_tag and _is_hidden(i))]

    return describe


def _is_hidden(image: EbsImage) -> bool:
    image.hidden_lookups -= 1
    return image.hidden_lookups >= 0


def install() -> None:
    """Put these rules into moto; calling it again changes nothing."""
    if moto_amis.Ami is EbsImage:
        return
    moto_amis.Ami = EbsImage  # type: ignore[misc]
    AmiBackend.describe_images = _describe_images(AmiBackend.describe_images)  # type: ignore[method-assign]
    AmisResponse.create_image = _create_image  # type: ignore[method-assign]
    AmisResponse.deregister_image = _deregister_image  # type: ignore[method-assign]
