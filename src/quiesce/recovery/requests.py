"""The requests by which a recovery makes resources: a repeated one is the same to the letter. Pure."""

import hashlib
from collections.abc import Sequence
from typing import Any

from quiesce import tags
from quiesce.recovery.plan import PlannedVolume, RecoveryPlan

# EC2 takes so many on a resource.
MAX_TAGS = 50


def tags_for(plan: RecoveryPlan, stack: str) -> dict[str, str]:
    """Return the tags of everything that a recovery makes."""
    ours = {tags.STACK: stack, tags.RECOVERY: plan.recovery_id, tags.RECOVERING: plan.recovery_id}
    return {**plan.tags, **ours, tags.INSTANCE: plan.from_instance_id}


def kept_tags(plan: RecoveryPlan) -> dict[str, str]:
    """Return those of the old server's tags that its recovered server gets: as many as EC2 takes beside the others."""
    if plan.source is None:
        return {}
    taken = {"Name", *plan.tags, tags.STACK, tags.RECOVERY, tags.RECOVERING, tags.INSTANCE}
    kept = [(key, value) for key, value in sorted(plan.source.tags.items()) if key not in taken]
    return dict(kept[: MAX_TAGS - len(taken)])


def token_for(plan: RecoveryPlan, stack: str, what: str) -> str:
    """Return the client token of one resource that a recovery makes: the same in a repeated request."""
    return hashlib.sha256(f"{stack}/{plan.recovery_id}/{what}".encode()).hexdigest()


def launch_request(plan: RecoveryPlan, stack: str, group_ids: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a recovery's one RunInstances."""
    name = {"Name": plan.instance_name} if plan.instance_name else {}
    request: dict[str, Any] = {
        "ImageId": plan.image_id,
        "InstanceType": plan.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "SubnetId": plan.subnet_id,
        "SecurityGroupIds": list(group_ids),
        "ClientToken": token_for(plan, stack, "server"),
        "TagSpecifications": [
            tags.tag_specification("instance", {**kept_tags(plan), **name, **tags_for(plan, stack)}),
            tags.tag_specification("volume", tags_for(plan, stack)),
        ],
    }
    request |= {"KeyName": plan.key_name} if plan.key_name else {}
    request |= {"IamInstanceProfile": {"Arn": plan.instance_profile_arn}} if plan.instance_profile_arn else {}
    request |= {"PrivateIpAddress": plan.private_ip} if plan.private_ip else {}
    return request | _as_it_was(plan)


def _as_it_was(plan: RecoveryPlan) -> dict[str, Any]:
    """Return what the old server had and RunInstances takes; an older plan does not have it."""
    if plan.source is None:
        return {}
    had: dict[str, Any] = {}
    had |= {"MetadataOptions": dict(plan.source.metadata_options)} if plan.source.metadata_options else {}
    had |= {"Placement": {"Tenancy": "dedicated"}} if plan.source.tenancy == "dedicated" else {}
    return had | ({"CpuOptions": dict(plan.cpu_options)} if plan.cpu_options else {})


def volume_request(plan: RecoveryPlan, stack: str, volume: PlannedVolume) -> dict[str, Any]:
    """Return the arguments of CreateVolume for one of a recovery's volumes."""
    optional = {
        "Iops": volume.iops,
        "Throughput": volume.throughput_mibps,
        "KmsKeyId": volume.kms_key_id,
        "Encrypted": True if volume.kms_key_id else None,
        "VolumeInitializationRate": volume.initialization_rate_mibps,
    }
    return {
        "SnapshotId": volume.snapshot_id,
        "AvailabilityZone": plan.zone,
        "VolumeType": volume.volume_type,
        "ClientToken": token_for(plan, stack, volume.device),
        "TagSpecifications": [tags.tag_specification("volume", {**tags_for(plan, stack), tags.DEVICE: volume.device})],
        **{name: value for name, value in optional.items() if value is not None},
    }
