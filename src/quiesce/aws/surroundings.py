"""What EC2 has around a server that a recovery is to make: other servers, addresses, routes, limits of its type."""

from typing import TYPE_CHECKING, Any

from quiesce import tags
from quiesce.aws.clients import repeatable, tags_of
from quiesce.recovery.hand_over import Handed
from quiesce.recovery.plan import RecoveryPlan
from quiesce.recovery.surroundings import Holder, OtherServer, Surroundings
from quiesce.recovery.volume_rules import InstanceTypeLimits

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# Of a subnet, an agent must reach both (Systems Manager user guide, VPC endpoints).
ENDPOINTS = ("ssm", "ssmmessages")


def look_around(client: "EC2Client", plan: RecoveryPlan, stack: str) -> Surroundings:
    """Return what is around the server of a plan; what is gone raises no error."""
    old = _servers(client, [{"Name": "instance-id", "Values": [plan.from_instance_id]}])
    ours = {tags.STACK: stack, tags.INSTANCE: plan.from_instance_id}
    clones = _servers(client, [{"Name": f"tag:{key}", "Values": [value]} for key, value in ours.items()])
    others = [c for c in clones if c.recovery_id not in ("", plan.recovery_id)]
    holder = _holder(client, plan.private_ip, plan.subnet_id) if plan.private_ip and plan.vpc_id else None
    return Surroundings(
        old=old[0] if old else None, clones=others, holder=holder, reaches_out=_reaches_out(client, plan)
    )


def look_at_end(client: "EC2Client", plan: RecoveryPlan, instance_id: str) -> Handed:
    """Return what there is at the hand-over of a server, except the policies."""
    servers = _servers(client, [{"Name": "instance-id", "Values": [instance_id, plan.from_instance_id]}])
    by_id = {server.instance_id: server for server in servers}
    source = plan.source
    holder = _holder(client, source.private_ip, source.subnet_id) if source and source.private_ip else None
    new = by_id.get(instance_id) or OtherServer(instance_id, "gone", "")
    return Handed(new=new, old=by_id.get(plan.from_instance_id), holder=holder)


def type_limits(client: "EC2Client", instance_type: str) -> InstanceTypeLimits | None:
    """Return the limits of an instance type, None if the Region does not have it."""
    filters: Any = [{"Name": "instance-type", "Values": [instance_type]}]
    with repeatable("ec2:DescribeInstanceTypes"):
        found = client.describe_instance_types(Filters=filters)["InstanceTypes"]
        limits = [_limits(each) for each in found]
    return limits[0] if limits else None


def _limits(described: Any) -> InstanceTypeLimits:
    cpu, names = described.get("VCpuInfo", {}), {"CoreCount": "DefaultCores", "ThreadsPerCore": "DefaultThreadsPerCore"}
    return InstanceTypeLimits(
        volumes=described.get("EbsInfo", {}).get("MaximumEbsAttachments"),
        on_xen=described.get("Hypervisor") == "xen",
        cpu_options={option: cpu[name] for option, name in names.items() if name in cpu},
    )


def _servers(client: "EC2Client", filters: Any) -> list[OtherServer]:
    """Return the servers that match, except terminated ones."""
    with repeatable("ec2:DescribeInstances"):
        pages = client.get_paginator("describe_instances").paginate(Filters=filters)
        found = [i for page in pages for reservation in page["Reservations"] for i in reservation["Instances"]]
        servers = [
            OtherServer(
                instance_id=instance["InstanceId"],
                state=instance["State"]["Name"],
                vpc_id=instance.get("VpcId", ""),
                private_ip=instance.get("PrivateIpAddress", ""),
                public_ip=instance.get("PublicIpAddress", ""),
                recovery_id=tags_of(instance).get(tags.RECOVERY, ""),
            )
            for instance in found
        ]
    return [server for server in servers if server.state not in ("terminated", "shutting-down")]


def _holder(client: "EC2Client", private_ip: str, subnet_id: str) -> Holder | None:
    """Return the network interface in a subnet that has an address."""
    wanted = {"addresses.private-ip-address": private_ip, "subnet-id": subnet_id}
    filters: Any = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    with repeatable("ec2:DescribeNetworkInterfaces"):
        found = client.describe_network_interfaces(Filters=filters)["NetworkInterfaces"]
        holders = [
            Holder(i["NetworkInterfaceId"], i.get("Attachment", {}).get("InstanceId", ""), i.get("Description", ""))
            for i in found
        ]
    return holders[0] if holders else None


def _reaches_out(client: "EC2Client", plan: RecoveryPlan) -> bool:
    """Say whether a route leads out of the plan's VPC, or the VPC has the endpoints that an agent needs."""
    if not plan.vpc_id:
        return True  # the subnet is gone, which is a problem of its own
    tables = _route_tables(client, {"association.subnet-id": plan.subnet_id})
    tables = tables or _route_tables(client, {"vpc-id": plan.vpc_id, "association.main": "true"})
    if any(target != "local" for targets in tables for target in targets):
        return True
    return _endpoints(client, plan.vpc_id).issuperset(ENDPOINTS)


def _endpoints(client: "EC2Client", vpc_id: str) -> set[str]:
    """Return the services that a VPC has endpoints of, by the last part of their names."""
    filters: Any = [{"Name": "vpc-id", "Values": [vpc_id]}]
    with repeatable("ec2:DescribeVpcEndpoints"):
        pages = client.get_paginator("describe_vpc_endpoints").paginate(Filters=filters)
        return {endpoint["ServiceName"].rpartition(".")[2] for page in pages for endpoint in page["VpcEndpoints"]}


def _route_tables(client: "EC2Client", wanted: dict[str, str]) -> list[list[str]]:
    """Return for each route table that matches the targets of its routes, endpoints of other services left out."""
    filters: Any = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    with repeatable("ec2:DescribeRouteTables"):
        pages = client.get_paginator("describe_route_tables").paginate(Filters=filters)
        return [[target_of(route) for route in table["Routes"]] for page in pages for table in page["RouteTables"]]


def target_of(route: Any) -> str:
    """Return where a route leads, ``local`` for one that an agent's traffic can't take."""
    if "DestinationPrefixListId" in route or route.get("State", "active") != "active":
        return "local"  # a gateway endpoint, of S3 or DynamoDB, or a route whose target is gone
    targets = [value for name, value in route.items() if name.endswith(("Id", "Arn"))]
    return str(targets[0])
