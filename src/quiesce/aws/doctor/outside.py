"""A server as EC2 and Systems Manager show it from outside: its profile, its metadata options, its subnet's ways."""

from typing import TYPE_CHECKING, Any

from quiesce import tags
from quiesce.aws.clients import repeatable
from quiesce.aws.servers import describe_server
from quiesce.aws.ssm import Guest
from quiesce.aws.surroundings import target_of
from quiesce.doctor.outside import Outside, Way
from quiesce.errors import ServerRefused
from quiesce.points.parts import Device

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


def look_outside(client: "EC2Client", guest: Guest, may_be_changed: str) -> Outside:
    """Return a server from outside; one that EC2 does not know has no state.

    ``may_be_changed`` is the value of the tag of that name on servers whose owners allow a fix.
    """
    try:
        instance = describe_server(client, guest.instance_id, client.meta.region_name)
    except ServerRefused:
        return Outside(guest.instance_id)
    source = instance.source
    endpoint = source.metadata_options.get("HttpEndpoint")
    return Outside(
        instance_id=instance.instance_id,
        name=instance.tags.get("Name", ""),
        state=instance.state,
        platform=instance.platform,
        devices=tuple(Device(volume_id=volume, device=name) for volume, name in instance.devices.items()),
        profile=source.instance_profile_arn or "",
        metadata=None if endpoint is None else endpoint == "enabled",
        way=_way(client, source.vpc_id, source.subnet_id) if source.vpc_id and source.subnet_id else None,
        agent=guest.describe_agent(),
        may_be_changed=instance.tags.get(tags.MAY_BE_CHANGED) == may_be_changed,
    )


def _way(client: "EC2Client", vpc_id: str, subnet_id: str) -> Way:
    tables = _route_tables(client, {"association.subnet-id": subnet_id})
    tables = tables or _route_tables(client, {"vpc-id": vpc_id, "association.main": "true"})
    routes_out = any(target != "local" for targets in tables.values() for target in targets)
    return Way(routes_out, _endpoints(client, vpc_id, {*tables}))


def _route_tables(client: "EC2Client", wanted: dict[str, str]) -> dict[str, list[str]]:
    """Return the route tables that match, by their ids, with the targets of their routes."""
    filters: Any = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    with repeatable("ec2:DescribeRouteTables"):
        pages = client.get_paginator("describe_route_tables").paginate(Filters=filters)
        return {
            table["RouteTableId"]: [target_of(route) for route in table["Routes"]]
            for page in pages
            for table in page["RouteTables"]
        }


def _endpoints(client: "EC2Client", vpc_id: str, tables: set[str]) -> frozenset[str]:
    """Return the services that a VPC has endpoints of; a gateway's counts only with a route to it in these tables."""
    filters: Any = [{"Name": "vpc-id", "Values": [vpc_id]}]
    with repeatable("ec2:DescribeVpcEndpoints"):
        pages = client.get_paginator("describe_vpc_endpoints").paginate(Filters=filters)
        return frozenset(
            endpoint["ServiceName"].rpartition(".")[2]
            for page in pages
            for endpoint in page["VpcEndpoints"]
            if endpoint.get("VpcEndpointType") != "Gateway" or tables & {*endpoint.get("RouteTableIds", [])}
        )
