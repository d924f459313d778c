"""Whether a subnet has a way to Systems Manager, by the routes and endpoints that EC2 describes."""

from types import SimpleNamespace
from typing import Any

import pytest

from quiesce.aws.surroundings import look_around
from tests.support.factories.recovery import SUBNET, VPC, a_recovery_plan

LOCAL = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
ALL = {"DestinationCidrBlock": "0.0.0.0/0", "State": "active"}
# A gateway endpoint of S3: most isolated subnets have one, and an agent's traffic can't take it.
S3 = {"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "State": "active"}
NAT, GONE = {**ALL, "NatGatewayId": "nat-1"}, {**ALL, "NatGatewayId": "nat-1", "State": "blackhole"}
PEER = {"DestinationCidrBlock": "10.9.0.0/16", "VpcPeeringConnectionId": "pcx-1", "State": "active"}


def an_ec2(own: Any, main: Any, endpoints: Any) -> Any:
    """Return an EC2 with a route table of the subnet, None for none, the VPC's main one, and endpoints."""

    def paginate(name: str, filters: Any) -> list[dict[str, Any]]:
        if name == "describe_vpc_endpoints":
            return [{"VpcEndpoints": [{"ServiceName": f"com.amazonaws.eu-central-1.{each}"} for each in endpoints]}]
        if name == "describe_instances":
            return [{"Reservations": []}]
        wanted = {each["Name"]: each["Values"] for each in filters}
        routes = own if wanted.get("association.subnet-id") == [SUBNET] else main if "vpc-id" in wanted else None
        return [{"RouteTables": [{"Routes": routes}] if routes is not None else []}]

    return SimpleNamespace(
        get_paginator=lambda name: SimpleNamespace(paginate=lambda Filters: paginate(name, Filters))  # noqa: N803
    )


@pytest.mark.parametrize(
    ("own", "main", "endpoints", "reaches"),
    [
        ([LOCAL], [LOCAL, NAT], [], False),
        ([LOCAL, S3], [LOCAL], ["s3"], False),
        ([LOCAL, GONE], [LOCAL], [], False),
        ([LOCAL], [LOCAL], ["ssm"], False),
        ([LOCAL], [LOCAL], ["ssm", "ssmmessages"], True),
        ([LOCAL, NAT], [LOCAL], [], True),
        ([LOCAL, PEER], [LOCAL], [], True),
        (None, [LOCAL, NAT], [], True),
        (None, [LOCAL], [], False),
    ],
    ids=[
        "own table",
        "S3 alone",
        "target gone",
        "one endpoint",
        "both endpoints",
        "NAT",
        "peering",
        "main",
        "no table",
    ],
)
def test_a_subnet_has_a_way_if_a_route_leads_out_or_both_endpoints_are_there(
    own: Any, main: Any, endpoints: list[str], reaches: bool
) -> None:
    plan = a_recovery_plan().model_copy(update={"vpc_id": VPC, "zone": "eu-west-1a"})
    assert look_around(an_ec2(own, main, endpoints), plan, "stack").reaches_out is reaches
