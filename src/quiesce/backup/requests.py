"""What a backup asks EC2 to make: snapshots and images, with the run's tags."""

from collections.abc import Sequence
from typing import Any

from quiesce import tags
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import Plan


def snapshots_request(plan: Plan, *, vss: bool) -> dict[str, Any]:
    """Return the arguments of a run's one CreateSnapshots: Plan tries them by DryRun, Snapshot sends them.

    ``vss`` says whether good shadow copies are known to be on the volumes: the description tells it for good.
    """
    specification: dict[str, Any] = {
        "InstanceId": plan.instance_id,
        "ExcludeBootVolume": any(e.root for e in plan.excluded),
    }
    if data := [e.volume_id for e in plan.excluded if not e.root]:
        specification["ExcludeDataVolumeIds"] = data
    return {
        "InstanceSpecification": specification,
        "Description": tags.description(plan.policy, plan.instance_id, vss=vss),
        "TagSpecifications": [tags.tag_specification("snapshot", plan.tags)],
    }


def image_request(run: RunIdentity, plan: Plan, root: str, devices: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of CreateImage: the root volume alone, and without a reboot.

    Args:
        run: EC2 makes no second image of a name, and this name is the run's: sending it again is safe.
        plan: its tags go on the image, and on its snapshot without the run's, which is on recovery points only.
        root: the server's root device.
        devices: all its devices, as they are now.
    """
    of_snapshot = {key: value for key, value in plan.tags.items() if key != tags.RUN}
    return {
        "InstanceId": run.instance_id,
        "Name": f"quiesce {run.instance_id} {run.run_id}",
        "Description": "Initial AMI: a recovery launches from it and swaps its root volume",
        "NoReboot": True,
        "BlockDeviceMappings": [{"DeviceName": device, "NoDevice": ""} for device in devices if device != root],
        "TagSpecifications": [
            tags.tag_specification("image", plan.tags),
            tags.tag_specification("snapshot", of_snapshot),
        ],
    }
