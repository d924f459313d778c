"""The requests by which a backup creates snapshots and images, with the run's tags, and has volumes built."""

from collections.abc import Sequence
from typing import Any

from quiesce import tags
from quiesce.backup.awaiting import known_snapshots
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import Plan, RunState
from quiesce.points.evidence import Verified
from quiesce.revert.request import RawSnapshot, RevertRequest, WantedCopy
from quiesce.vss.aws_document import parameters


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


def document_parameters(plan: Plan) -> dict[str, list[str]]:
    """Return what AWS's document is sent for a run: its snapshots get the run's tags, by which they are found."""
    vss = plan.settings.aws_vss
    if vss is None:
        raise ValueError("the plan is not one by AWS's document")
    # The guide names no characters for it: those that it names for tags.
    description = f"quiesce policy {plan.policy}: instance {plan.instance_id}"
    without_root = any(excluded.root for excluded in plan.excluded)
    copy_only = vss.backup_type == "copy"
    return parameters(
        plan.tags, description, limit_s=vss.create_limit_s, copy_only=copy_only, without_root=without_root
    )


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


def revert_request(state: RunState, verified: Verified) -> RevertRequest | None:
    """Return what the revert machine is to build for a run; None if nothing is.

    Nothing is built of a recovery point of which a volume can't be built: it would be of different instants.

    Args:
        state: with the plan, the snapshots and the shadow copies.
        verified: what Verify found in them.
    """
    plan, shadow = state.plan, state.shadow
    if plan is None or shadow is None or plan.settings.revert != "at-backup":
        return None
    if verified.build is None or verified.build.verdict != "buildable":
        return None
    devices = {volume.volume_id: volume.device for volume in plan.volumes}
    return RevertRequest(
        built_for=plan.run_id,
        instance_id=plan.instance_id,
        set_id=shadow.set_id,
        snapshots=[
            RawSnapshot(
                snapshot_id=snapshot.snapshot_id,
                volume_id=snapshot.volume_id,
                device=devices[snapshot.volume_id],
                size_gib=snapshot.size_gib,
            )
            for snapshot in known_snapshots(state)
            if snapshot.volume_id in devices
        ],
        copies=[WantedCopy(shadow_id=c.shadow_id, path=c.path, volume_id=c.volume_id) for c in shadow.copies],
        # No other execution goes on with what this one left.
        on_failure="clean-up",
        extra_tags=_extra(plan),
    )


def _extra(plan: Plan) -> dict[str, str]:
    """Return the policy's own tags, with policy and owner, but not the run's: a search by run finds what EC2 made."""
    return {key: value for key, value in plan.tags.items() if key not in (tags.RUN, tags.STACK, tags.INSTANCE)}
