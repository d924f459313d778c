"""What EC2 has of what a recovery's plan names, and whether it would accept the plan: by Describe and DryRun only."""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.aws.images import describe_image
from quiesce.aws.point_looks import find_snapshots
from quiesce.aws.recovery_changes import REMEDIES, change
from quiesce.errors import AccessDenied, RecoveryRefused
from quiesce.points.image import FoundImage
from quiesce.recovery.obstacles import Found, FoundSubnet
from quiesce.recovery.plan import RecoveryPlan
from quiesce.recovery.requests import launch_request, volume_request

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

MISSING_RIGHT = (
    "for an instance profile name its role in the stack's parameter ServerRoles, "
    "for a key let the function's role use it by the key's policy (docs/use/recover.md, Rights)"
)


def look(client: "EC2Client", plan: RecoveryPlan) -> Found:
    """Return what EC2 has of what the plan names; by filters, so that EC2 raises no error for what is gone."""
    snapshots = find_snapshots(client, [volume.snapshot_id for volume in plan.volumes])
    return Found(snapshots, _image(client, plan), _subnet(client, plan), _group_vpcs(client, plan))


def find_subnets(client: "EC2Client", vpc_id: str) -> list[FoundSubnet]:
    """Return the subnets of a VPC; empty if it no longer exists."""
    return _subnets(client, "vpc-id", vpc_id)


def status_checks(client: "EC2Client", instance_id: str) -> dict[str, str]:
    """Return how EC2's two status checks of a server are; empty while there are none.

    Raises:
        NotReady: EC2 does not know the server yet.
    """
    with change("ec2:DescribeInstanceStatus"):
        found = client.describe_instance_status(InstanceIds=[instance_id])["InstanceStatuses"]
        checks = [(each["InstanceStatus"]["Status"], each["SystemStatus"]["Status"]) for each in found]
    return dict(zip(("InstanceStatus", "SystemStatus"), checks[0], strict=True)) if checks else {}


def try_changes(client: "EC2Client", plan: RecoveryPlan, stack: str) -> list[RecoveryRefused]:
    """Ask EC2 by DryRun whether it would launch the server and create its volumes; return what it would refuse."""
    # What EC2 says to a volume of an archived snapshot is not documented: it is tried when that is restored.
    archived = plan.restoring.snapshot_ids if plan.restoring else []
    ready = [volume for volume in plan.volumes if volume.snapshot_id not in archived]
    attempts: list[tuple[str, Any, dict[str, Any]]] = [
        ("ec2:RunInstances", client.run_instances, launch_request(plan, stack, plan.security_group_ids)),
        *(("ec2:CreateVolume", client.create_volume, volume_request(plan, stack, v)) for v in ready),
    ]
    return [refusal for call, method, request in attempts if (refusal := _try(call, method, request))]


def _try(call: str, method: Any, request: dict[str, Any]) -> RecoveryRefused | None:
    try:
        with repeatable(f"{call} (DryRun)"):
            # The token belongs to the real request, which has another security group.
            method(DryRun=True, **{name: value for name, value in request.items() if name != "ClientToken"})
    except ClientError as error:
        if code_of(error) == "DryRunOperation":
            return None
        return RecoveryRefused(
            call, f"EC2 would refuse it: {error}", REMEDIES.get(code_of(error), "mend what it names")
        )
    except AccessDenied as error:
        return RecoveryRefused(call, f"a right is missing: {error}", MISSING_RIGHT)
    return RecoveryRefused(call, "EC2 answered a DryRun as if it had not been one", "report this to quiesce")


def _image(client: "EC2Client", plan: RecoveryPlan) -> FoundImage | None:
    return describe_image(client, plan.image_id)


def _subnet(client: "EC2Client", plan: RecoveryPlan) -> FoundSubnet | None:
    found = _subnets(client, "subnet-id", plan.subnet_id)
    return found[0] if found else None


def _subnets(client: "EC2Client", name: str, value: str) -> list[FoundSubnet]:
    with repeatable("ec2:DescribeSubnets"):
        pages = client.get_paginator("describe_subnets").paginate(Filters=[{"Name": name, "Values": [value]}])
        found = [subnet for page in pages for subnet in page["Subnets"]]
        return [FoundSubnet(s["SubnetId"], s["AvailabilityZone"], s["VpcId"], s.get("CidrBlock", "")) for s in found]


def _group_vpcs(client: "EC2Client", plan: RecoveryPlan) -> dict[str, str]:
    filters: Any = [{"Name": "group-id", "Values": plan.security_group_ids}]
    with repeatable("ec2:DescribeSecurityGroups"):
        groups = client.describe_security_groups(Filters=filters)["SecurityGroups"]
        return {group["GroupId"]: group.get("VpcId", "") for group in groups}
