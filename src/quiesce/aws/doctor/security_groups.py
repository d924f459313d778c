"""Whether security groups let a server's HTTPS through: out of the server, and into endpoints of its VPC."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

from quiesce.aws.clients import repeatable

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

HTTPS = 443


@dataclass(frozen=True)
class SecurityGroups:
    """The rules of some security groups, by the groups' ids; EC2's own words."""

    groups: Mapping[str, Any]

    def let_out(self, group_ids: Sequence[str]) -> bool | None:
        """Say whether these groups let HTTPS out to anywhere; None if EC2 does not know one of them."""
        if not group_ids or not self.groups.keys() >= {*group_ids}:
            return None
        return any(_is_of_https(rule) for each in group_ids for rule in self.groups[each]["IpPermissionsEgress"])

    def let_in(self, group_ids: Collection[str], address: str, sources: Collection[str]) -> bool | None:
        """Say whether these groups may let HTTPS in from an address, or from members of other groups.

        A rule by a prefix list may; None if EC2 does not know one of the groups.
        """
        if not group_ids or not self.groups.keys() >= {*group_ids}:
            return None
        rules = [rule for each in group_ids for rule in self.groups[each]["IpPermissions"] if _is_of_https(rule)]
        return any(_may_come_from(rule, address, sources) for rule in rules)


def read_groups(client: "EC2Client", group_ids: Collection[str]) -> SecurityGroups:
    """Return the security groups with these ids; one that EC2 does not know is left out."""
    if not group_ids:
        return SecurityGroups({})
    filters: Any = [{"Name": "group-id", "Values": sorted(group_ids)}]
    with repeatable("ec2:DescribeSecurityGroups"):
        pages = client.get_paginator("describe_security_groups").paginate(Filters=filters)
        return SecurityGroups({group["GroupId"]: group for page in pages for group in page["SecurityGroups"]})


def _is_of_https(rule: Any) -> bool:
    if rule["IpProtocol"] == "-1":
        return True
    return rule["IpProtocol"] in ("tcp", "6") and rule["FromPort"] <= HTTPS <= rule["ToPort"]


def _may_come_from(rule: Any, address: str, sources: Collection[str]) -> bool:
    if rule.get("PrefixListIds"):
        return True
    if any(pair.get("GroupId") in sources for pair in rule.get("UserIdGroupPairs", [])):
        return True
    ranges = [ip_network(each["CidrIp"], strict=False) for each in rule.get("IpRanges", [])]
    return not address or any(ip_address(address) in each for each in ranges)
