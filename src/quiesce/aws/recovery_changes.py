"""EC2 and EBS for a recovery: what it looks at, what it changes, and quiesce's errors for what EC2 refuses.

A change that takes a token gets one made of the recovery's id; before every other one, the recovery looks at what is
there. Everything that it makes carries its tags from the creation on.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce import tags
from quiesce.aws.clients import code_of, repeatable
from quiesce.aws.recovered import (
    RecoveredGroup,
    RecoveredServer,
    RecoveredVolume,
    recovered_group,
    recovered_server,
    recovered_volume,
)
from quiesce.errors import ChangeRefused, NotReady, RecoveryUsedUp
from quiesce.recovery.account import OTHER_ID
from quiesce.recovery.plan import RecoveryPlan
from quiesce.recovery.requests import tags_for

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# EC2's codes for what is too early, or was done already by a call whose answer was lost: the next look shows which.
NOT_YET = {
    "DependencyViolation",
    "IncorrectInstanceState",
    "IncorrectState",
    "InvalidGroup.Duplicate",
    "InvalidGroup.InUse",
    "InvalidGroup.NotFound",
    "InvalidInstanceID.NotFound",
    "InvalidPermission.NotFound",
    "InvalidVolume.NotFound",
    "VolumeInUse",
}
# One call of the function makes at most this many changes in turn: even at 3 seconds each it ends in time.
CHANGES_PER_TRY = 16
# Plan refuses another input under the same id.
IN_OVERRIDES = " in overrides, under a new recovery_id"
# After these, EC2 gives the same answer to every further try under the recovery's id.
USED_UP = {
    "InvalidVolume.ZoneMismatch": f"{OTHER_ID}: a volume of this one is in another zone than its server",
    "IdempotentParameterMismatch": f"{OTHER_ID}: this one's server is gone",
    "IdempotentInstanceTerminated": f"{OTHER_ID}: this one's server is gone",
}
REMEDIES = {
    "InsufficientInstanceCapacity": f"start it again later, or with another instance_type or zone{IN_OVERRIDES}",
    "InstanceLimitExceeded": f"raise the account's quota, or choose another instance_type{IN_OVERRIDES}",
    "VcpuLimitExceeded": f"raise the account's quota, or choose another instance_type{IN_OVERRIDES}",
    "InsufficientFreeAddressesInSubnet": f"name another subnet_id{IN_OVERRIDES}",
    "Unsupported": f"choose another instance_type, zone or subnet_id{IN_OVERRIDES}",
    "AttachmentLimitExceeded": f"choose an instance_type that takes more volumes{IN_OVERRIDES}",
    "InvalidAMIID.NotFound": "name another image in image_id, under a new recovery_id",
    "InvalidAMIID.Unavailable": "name another image in image_id, under a new recovery_id",
    "InvalidSnapshot.NotFound": "start it under a new recovery_id: its plan says what can be recovered without it",
    "InvalidKeyPair.NotFound": f"name another key_name, or '' for none{IN_OVERRIDES}",
    "InvalidIPAddress.InUse": f"name a free private_ip{IN_OVERRIDES}",
}
OTHERWISE = "mend what EC2 names, and start it again under the same recovery_id"


@contextmanager
def change(call: str, *too_early: str) -> Iterator[None]:
    """Translate the errors of a change that is safe to repeat.

    Args:
        call: for the message, as IAM spells it.
        too_early: further error codes that mean, for this call, that it is too early.

    Raises:
        NotReady: EC2's code means that it is too early, or done already.
        RecoveryUsedUp: EC2 refuses it, and will refuse it again under the recovery's id.
        ChangeRefused: EC2 refuses it, in its words and with a remedy; also lacking capacity, which it calls a fault.
        AwsThrottled, AwsUnavailable, AccessDenied: as ``repeatable`` raises them.
    """
    try:
        with repeatable(call):
            try:
                yield
            except ClientError as error:
                if code_of(error) in {*NOT_YET, *too_early}:
                    raise NotReady(f"{call}: {error}") from error
                if code_of(error) in USED_UP or code_of(error) in REMEDIES:
                    raise _refused(call, error) from error
                raise
    except ClientError as error:
        raise _refused(call, error) from error


def _refused(call: str, error: ClientError) -> ChangeRefused | RecoveryUsedUp:
    if remedy := USED_UP.get(code_of(error)):
        return RecoveryUsedUp(f"{call}: EC2 refused it: {error}. Remedy: {remedy}.")
    return ChangeRefused(call, f"EC2 refused it: {error}", REMEDIES.get(code_of(error), OTHERWISE))


def find_server(client: "EC2Client", recovery_id: str, stack: str) -> RecoveredServer | None:
    """Return the server of a recovery by its tags, None if EC2 lists none, as may be right after its launch."""
    with repeatable("ec2:DescribeInstances"):
        pages = client.get_paginator("describe_instances").paginate(Filters=_filters(recovery_id, stack))
        found = [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]
        return recovered_server(found[0]) if found else None


def describe_server(client: "EC2Client", instance_id: str) -> RecoveredServer:
    """Return the server as EC2 describes it.

    Raises:
        NotReady: EC2 does not know it yet.
    """
    with change("ec2:DescribeInstances"):
        reservations = client.describe_instances(InstanceIds=[instance_id])["Reservations"]
        return recovered_server(reservations[0]["Instances"][0])


def find_volumes(client: "EC2Client", recovery_id: str, stack: str) -> list[RecoveredVolume]:
    """Return the volumes that carry a recovery's tags, the image's own included."""
    return _volumes(client, _filters(recovery_id, stack))


def attached_volumes(client: "EC2Client", instance_id: str) -> list[RecoveredVolume]:
    """Return the volumes that are attached to a server now."""
    return _volumes(client, [{"Name": "attachment.instance-id", "Values": [instance_id]}])


def find_group(client: "EC2Client", recovery_id: str, stack: str) -> RecoveredGroup | None:
    """Return the security group without traffic that a recovery made, None if there is none."""
    with repeatable("ec2:DescribeSecurityGroups"):
        found = client.describe_security_groups(Filters=_filters(recovery_id, stack))["SecurityGroups"]
        return recovered_group(found[0]) if found else None


def make_group(client: "EC2Client", plan: RecoveryPlan, stack: str) -> None:
    """Make the recovery's security group; its name has stack and recovery, so that EC2 makes no second one."""
    with change("ec2:CreateSecurityGroup"):
        client.create_security_group(
            GroupName=f"{stack} recovery {plan.recovery_id}",
            Description="No traffic: a server in recovery before its volumes are in place",
            VpcId=plan.vpc_id,
            TagSpecifications=[tags.tag_specification("security-group", tags_for(plan, stack))],
        )


def silence_group(client: "EC2Client", group: RecoveredGroup) -> None:
    """Remove every outgoing rule from a group: EC2 gives a new one a rule that lets everything out."""
    with change("ec2:RevokeSecurityGroupEgress"):
        client.revoke_security_group_egress(GroupId=group.group_id, IpPermissions=group.egress)


def create_volume(client: "EC2Client", request: dict[str, Any]) -> str:
    """Create a volume, or return the one that this token has created already; its state shows a later failure."""
    with change("ec2:CreateVolume"):
        return client.create_volume(**request)["VolumeId"]


def run_server(client: "EC2Client", request: dict[str, Any]) -> RecoveredServer:
    """Launch the server, or return the one that this token has launched already, even if it is terminated by now."""
    with change("ec2:RunInstances"):
        return recovered_server(client.run_instances(**request)["Instances"][0])


def stop_server(client: "EC2Client", instance_id: str) -> None:
    """Begin to stop the server."""
    with change("ec2:StopInstances"):
        client.stop_instances(InstanceIds=[instance_id])


def start_server(client: "EC2Client", instance_id: str) -> None:
    """Begin to start the server."""
    with change("ec2:StartInstances"):
        client.start_instances(InstanceIds=[instance_id])


def terminate_server(client: "EC2Client", instance_id: str) -> None:
    """Begin to terminate the server of a recovery that has not ended; IAM allows no other."""
    with change("ec2:TerminateInstances"):
        client.terminate_instances(InstanceIds=[instance_id])


def detach(client: "EC2Client", instance_id: str, volume_id: str) -> None:
    """Begin to detach a volume; EC2 answers ``IncorrectState`` if a call whose answer was lost has done it."""
    with change("ec2:DetachVolume"):
        client.detach_volume(InstanceId=instance_id, VolumeId=volume_id)


def attach(client: "EC2Client", instance_id: str, volume_id: str, device: str) -> None:
    """Attach a volume; EC2 answers ``VolumeInUse`` if a call whose answer was lost has done it."""
    # EC2's code for a device that is still taken, even if Describe, which may lag behind, no longer shows by what.
    with change("ec2:AttachVolume", "InvalidParameterValue"):
        client.attach_volume(InstanceId=instance_id, VolumeId=volume_id, Device=device)


def set_delete_on_termination(client: "EC2Client", instance_id: str, plan: RecoveryPlan) -> None:
    """Set for each attached volume whether EC2 deletes it with the server: attaching sets that it does not."""
    mappings: Any = [
        {"DeviceName": volume.device, "Ebs": {"DeleteOnTermination": volume.delete_on_termination}}
        for volume in plan.volumes
    ]
    with change("ec2:ModifyInstanceAttribute"):
        client.modify_instance_attribute(InstanceId=instance_id, BlockDeviceMappings=mappings)


def set_groups(client: "EC2Client", instance_id: str, group_ids: Sequence[str]) -> None:
    """Give the server these security groups instead of those it has."""
    with change("ec2:ModifyInstanceAttribute"):
        client.modify_instance_attribute(InstanceId=instance_id, Groups=list(group_ids))


def delete_volume(client: "EC2Client", volume_id: str) -> None:
    """Delete a volume of a recovery that has not ended; IAM allows no other."""
    with change("ec2:DeleteVolume"):
        client.delete_volume(VolumeId=volume_id)


def delete_group(client: "EC2Client", group_id: str) -> None:
    """Delete a recovery's security group."""
    with change("ec2:DeleteSecurityGroup"):
        client.delete_security_group(GroupId=group_id)


def end_recovering(client: "EC2Client", resource_ids: Sequence[str]) -> None:
    """Remove the tag that lets a recovery delete what it made."""
    with change("ec2:DeleteTags"):
        client.delete_tags(Resources=list(resource_ids), Tags=[{"Key": tags.RECOVERING}])


def tag_of(resource: RecoveredServer | RecoveredVolume, key: str) -> str | None:
    """Return one tag of a described resource, None if it does not have it."""
    return resource.tags.get(key)


def _volumes(client: "EC2Client", filters: Any) -> list[RecoveredVolume]:
    with repeatable("ec2:DescribeVolumes"):
        pages = client.get_paginator("describe_volumes").paginate(Filters=filters, PaginationConfig={"PageSize": 200})
        return [recovered_volume(volume) for page in pages for volume in page["Volumes"]]


def _filters(recovery_id: str, stack: str) -> Any:
    ours = {tags.RECOVERY: recovery_id, tags.STACK: stack}
    return [{"Name": f"tag:{key}", "Values": [value]} for key, value in ours.items()]
