"""A server as EC2 and Systems Manager show it from outside: its profile, its metadata options, its subnet's ways."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from quiesce import tags
from quiesce.aws.clients import repeatable
from quiesce.aws.doctor.roles import rights_of
from quiesce.aws.doctor.security_groups import SecurityGroups, read_groups
from quiesce.aws.servers import Instance, describe_server
from quiesce.aws.ssm import Guest
from quiesce.aws.surroundings import target_of
from quiesce.doctor.outside import OF_AGENT_ENDPOINTS, Outside, Way
from quiesce.doctor.rights import Rights, for_agent, for_aws_vss
from quiesce.errors import ServerRefused
from quiesce.points.parts import Device, Source

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient


def look_outside(client: "EC2Client", iam: "IAMClient", guest: Guest, may_be_changed: str) -> Outside:
    """Return a server from outside; one that EC2 does not know has no state.

    ``may_be_changed`` is the value of the tag of that name on servers whose owners allow a fix.
    """
    try:
        instance = describe_server(client, guest.instance_id, client.meta.region_name)
    except ServerRefused:
        return Outside(guest.instance_id)
    source, agent = instance.source, guest.describe_agent()
    endpoint, is_online = source.metadata_options.get("HttpEndpoint"), agent is not None and agent.online
    agents_rights, aws_vss_rights = _rights(iam, instance, client.meta.region_name, is_online=is_online)
    return Outside(
        instance_id=instance.instance_id,
        name=instance.tags.get("Name", ""),
        state=instance.state,
        platform=instance.platform,
        devices=tuple(Device(volume_id=volume, device=name) for volume, name in instance.devices.items()),
        profile=source.instance_profile_arn or "",
        metadata=None if endpoint is None else endpoint == "enabled",
        way=_way(client, source, is_online=is_online),
        agent=agent,
        may_be_changed=instance.tags.get(tags.MAY_BE_CHANGED) == may_be_changed,
        agents_rights=agents_rights,
        aws_vss_rights=aws_vss_rights,
    )


def _rights(
    iam: "IAMClient", instance: Instance, region: str, *, is_online: bool
) -> tuple[Rights | None, Rights | None]:
    """Return what its role lacks, for its agent and for AWS's VSS; an agent that is connected lacks nothing."""
    profile = instance.source.instance_profile_arn
    if not profile:
        return None, None
    of_snapshots = for_aws_vss(profile, region, instance.instance_id, list(instance.devices))
    return None if is_online else rights_of(iam, profile, for_agent()), rights_of(iam, profile, of_snapshots)


def _way(client: "EC2Client", source: Source, *, is_online: bool) -> Way | None:
    """Return what leads out of a server's subnet; security groups are asked only where no agent shows what they let."""
    if not source.vpc_id or not source.subnet_id:
        return None
    tables = _route_tables(client, {"association.subnet-id": source.subnet_id})
    tables = tables or _route_tables(client, {"vpc-id": source.vpc_id, "association.main": "true"})
    routes_out = any(target != "local" for targets in tables.values() for target in targets)
    endpoints = _endpoints(client, source.vpc_id, {*tables})
    if is_online:
        return Way(routes_out, frozenset(endpoints))
    asked = {name: groups for name, groups in endpoints.items() if name in OF_AGENT_ENDPOINTS and groups}
    groups = read_groups(client, {*source.security_group_ids, *(each for ids in asked.values() for each in ids)})
    let_out, closed = groups.let_out(source.security_group_ids), _closed(groups, asked, source)
    return Way(routes_out, frozenset(endpoints), let_out, closed)


def _closed(groups: SecurityGroups, endpoints: Mapping[str, Sequence[str]], source: Source) -> frozenset[str]:
    """Return the services whose endpoints let nothing in from a server."""
    own = source.private_ip, source.security_group_ids
    return frozenset(name for name, ids in endpoints.items() if groups.let_in(ids, *own) is False)


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


def _endpoints(client: "EC2Client", vpc_id: str, tables: set[str]) -> dict[str, list[str]]:
    """Return the services that a VPC has endpoints of, and these endpoints' security groups; a gateway has none.

    A gateway counts only with a route to it in these tables.
    """
    found: dict[str, list[str]] = {}
    filters: Any = [{"Name": "vpc-id", "Values": [vpc_id]}]
    with repeatable("ec2:DescribeVpcEndpoints"):
        pages = client.get_paginator("describe_vpc_endpoints").paginate(Filters=filters)
        for endpoint in (each for page in pages for each in page["VpcEndpoints"]):
            if endpoint.get("VpcEndpointType") != "Gateway" or tables & {*endpoint.get("RouteTableIds", [])}:
                groups = found.setdefault(endpoint["ServiceName"].rpartition(".")[2], [])
                groups += [group["GroupId"] for group in endpoint.get("Groups", [])]
    return found
