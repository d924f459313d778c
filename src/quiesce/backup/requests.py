"""The requests by which a backup creates snapshots and images, with the run's tags."""

from collections.abc import Sequence
from typing import Any

from quiesce import tags
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import Plan


def snapshots_request(plan: Plan, *, vss: bool) -> dict[str, Any]:
    """Return the arguments of a run's one CreateSnapshots: Plan tries them with DryRun, Snapshot sends them.

    ``vss``: whether the volumes are known to hold good shadow copies; the description states it and can't be changed.
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
    """Return the arguments of CreateImage: the root volume alone, without a reboot.

    Args:
        run: its id is in the image's name, which EC2 does not create twice: sending the request again is safe.
        plan: the image gets its tags, the image's snapshot all but the run's: only recovery points carry that one.
        root: the server's root device.
        devices: all of the server's devices now.
    """
    snapshot_tags = {key: value for key, value in plan.tags.items() if key != tags.RUN}
    return {
        "InstanceId": run.instance_id,
        "Name": f"quiesce {run.instance_id} {run.run_id}",
        "Description": "Initial AMI: a recovery launches from it and swaps its root volume",
        "NoReboot": True,
        "BlockDeviceMappings": [{"DeviceName": device, "NoDevice": ""} for device in devices if device != root],
        "TagSpecifications": [
            tags.tag_specification("image", plan.tags),
            tags.tag_specification("snapshot", snapshot_tags),
        ],
    }
