"""What security groups let through of HTTPS, by the rules that EC2 shows of them."""

from typing import Any

import pytest

from quiesce.aws.doctor.security_groups import SecurityGroups

SERVER, ENDPOINT, STRANGE = "sg-0aaaaaaaaaaaaaaaa", "sg-0bbbbbbbbbbbbbbbb", "sg-0cccccccccccccccc"
ADDRESS = "10.1.2.3"
ALL: dict[str, Any] = {"IpProtocol": "-1"}


def https(protocol: str = "tcp", first: int = 443, last: int = 443, **sources: Any) -> dict[str, Any]:
    return {"IpProtocol": protocol, "FromPort": first, "ToPort": last, **sources}


def with_rules(into: list[dict[str, Any]], out: list[dict[str, Any]]) -> SecurityGroups:
    return SecurityGroups(
        {
            SERVER: {"IpPermissions": [], "IpPermissionsEgress": out},
            ENDPOINT: {"IpPermissions": into, "IpPermissionsEgress": []},
        }
    )


@pytest.mark.parametrize(
    ("rules", "out"),
    [
        ([], False),
        ([ALL], True),
        ([https()], True),
        ([https("6", 0, 65535)], True),
        ([https("tcp", 80, 80), https("tcp", 444, 500), https("udp")], False),
        ([{"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1}], False),
    ],
)
def test_https_goes_out_where_one_rule_of_one_group_lets_it(rules: list[dict[str, Any]], out: bool) -> None:
    assert with_rules([], rules).let_out([SERVER]) is out
    assert with_rules([], rules).let_out([ENDPOINT, SERVER]) is out


@pytest.mark.parametrize(
    ("rule", "into"),
    [
        (https(IpRanges=[{"CidrIp": "10.1.0.0/16"}]), True),
        (https(IpRanges=[{"CidrIp": "10.2.0.0/16"}, {"CidrIp": "10.1.2.0/24"}]), True),
        (https(IpRanges=[{"CidrIp": "10.2.0.0/16"}]), False),
        (https(UserIdGroupPairs=[{"GroupId": SERVER}]), True),
        (https(UserIdGroupPairs=[{"GroupId": STRANGE}]), False),
        (https(PrefixListIds=[{"PrefixListId": "pl-1"}]), True),
        (https(first=80, last=80, IpRanges=[{"CidrIp": "0.0.0.0/0"}]), False),
        ({**ALL, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, True),
    ],
)
def test_https_comes_in_from_an_address_or_from_members_of_a_group(rule: dict[str, Any], into: bool) -> None:
    assert with_rules([rule], []).let_in([ENDPOINT], ADDRESS, [SERVER]) is into


def test_of_groups_that_ec2_does_not_know_nothing_is_known() -> None:
    groups = with_rules([], [ALL])
    assert groups.let_out([]) is None
    assert groups.let_out([SERVER, STRANGE]) is None
    assert groups.let_in([STRANGE], ADDRESS, [SERVER]) is None


def test_an_address_that_is_not_known_closes_nothing() -> None:
    groups = with_rules([https(IpRanges=[{"CidrIp": "10.2.0.0/16"}])], [])
    assert groups.let_in([ENDPOINT], "", [SERVER]) is True
