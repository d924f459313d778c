"""What EC2 and Systems Manager say of a server: no agent, no profile, no way out, and what can not be seen there."""

from dataclasses import replace

import pytest

from quiesce.doctor.findings import LEVELS, SCRIPTS_UP, Finding, bad, best_of, good, levels_of, note, unknown
from quiesce.doctor.outside import Outside, Way, found_outside
from quiesce.doctor.rights import Rights
from quiesce.guest.agent import Agent
from quiesce.points.parts import Device

AGENT = Agent(online=True, version="3.3.3572.0", platform="Windows", windows="Windows Server 2022")
PROFILE = "arn:aws:iam::123456789012:instance-profile/web"
OUT = Way(routes_out=True)
DEVICES = (Device(volume_id="vol-0aaaaaaaaaaaaaaa0", device="/dev/sda1"),)
SERVER = "i-0123456789abcdef0"
WELL = Outside(
    SERVER,
    "WEB",
    "running",
    "Windows",
    DEVICES,
    PROFILE,
    metadata=True,
    way=OUT,
    agent=AGENT,
    aws_vss_rights=Rights("w"),
)
ENDPOINTS = frozenset({"ssm", "ssmmessages"})


def found(server: Outside) -> dict[str, Finding]:
    return {each.check: each for each in found_outside(server)}


def statuses(server: Outside) -> dict[str, str]:
    return {check: each.status for check, each in found(server).items()}


def test_of_a_server_that_lacks_nothing_every_line_is_good() -> None:
    assert set(statuses(WELL).values()) == {"good"}


@pytest.mark.parametrize(
    ("server", "check", "status"),
    [
        (replace(WELL, agent=None, profile=""), "instance profile", "bad"),
        (replace(WELL, agent=None), "instance profile", "unknown"),
        (replace(WELL, agent=None, agents_rights=Rights("web")), "instance profile", "good"),
        (replace(WELL, agent=None, agents_rights=Rights("web", ("ssm:X",))), "instance profile", "bad"),
        (replace(WELL, agent=None, agents_rights=Rights(why="IAM gave no answer")), "instance profile", "unknown"),
        (replace(WELL, aws_vss_rights=None), "rights for AWS's VSS", "unknown"),
        (replace(WELL, aws_vss_rights=Rights("web", ("ec2:X",))), "rights for AWS's VSS", "bad"),
        (replace(WELL, aws_vss_rights=Rights(why="IAM gave no answer")), "rights for AWS's VSS", "unknown"),
        (replace(WELL, profile=""), "instance profile", "good"),
        (replace(WELL, profile=""), "rights for AWS's VSS", "bad"),
        (replace(WELL, agent=None), "agent", "bad"),
        (replace(WELL, agent=replace(AGENT, online=False)), "agent", "bad"),
        (replace(WELL, agent=replace(AGENT, version="2.3.0.0")), "agent", "bad"),
        (replace(WELL, state="stopped"), "agent", "unknown"),
        (replace(WELL, metadata=False), "metadata options", "bad"),
        (replace(WELL, metadata=None), "metadata options", "unknown"),
        (replace(WELL, platform="Linux/UNIX"), "platform", "bad"),
        (replace(WELL, devices=()), "volumes", "bad"),
        (replace(WELL, state="pending"), "server", "bad"),
        (replace(WELL, way=None), "ways", "unknown"),
    ],
)
def test_what_a_server_lacks_from_outside_is_bad_and_what_is_not_seen_is_unknown(
    server: Outside, check: str, status: str
) -> None:
    line = found(server)[check]
    assert line.status == status
    assert status == "good" or (line.remedy and line.page)


@pytest.mark.parametrize(
    ("way", "online", "ssm", "s3", "ec2"),
    [
        (OUT, True, "good", "good", "good"),
        (OUT, False, "unknown", "note", "note"),
        (Way(routes_out=False), False, "bad", "bad", "bad"),
        # Connected although nothing leads out: through a proxy.
        (Way(routes_out=False), True, "good", "unknown", "unknown"),
        (Way(False, ENDPOINTS), True, "good", "bad", "bad"),
        (Way(False, ENDPOINTS), False, "unknown", "bad", "bad"),
        (Way(False, ENDPOINTS | {"s3"}), True, "good", "good", "bad"),
        (Way(False, ENDPOINTS | {"s3", "ec2"}), True, "good", "good", "good"),
        (Way(False, frozenset({"ssm", "s3"})), False, "bad", "note", "bad"),
    ],
)
def test_the_ways_are_judged_by_routes_endpoints_and_whether_the_agent_is_connected(
    way: Way, online: bool, ssm: str, s3: str, ec2: str
) -> None:
    server = replace(WELL, way=way, agent=AGENT if online else None)
    seen = statuses(server)
    assert (seen["way to Systems Manager"], seen["way to S3"], seen["way to EC2"]) == (ssm, s3, ec2)


@pytest.mark.parametrize(
    ("way", "status", "words"),
    [
        (Way(True, let_out=False), "bad", "its security groups let no HTTPS (443) out"),
        (
            Way(True, ENDPOINTS, let_out=True, closed=frozenset({"ssm"})),
            "bad",
            "the security groups of its VPC's endpoints of ssm let no HTTPS (443) in from it",
        ),
        (Way(True, let_out=True), "unknown", "whether network ACLs or a proxy let the agent through is not known"),
        (Way(True), "unknown", "whether security groups, network ACLs or a proxy let the agent through is not known"),
    ],
)
def test_a_security_group_that_lets_nothing_through_is_named_and_one_that_nobody_saw_is_not_known(
    way: Way, status: str, words: str
) -> None:
    line = found(replace(WELL, way=way, agent=None))["way to Systems Manager"]
    assert (line.status, words in line.words) == (status, True)
    assert found(replace(WELL, way=way))["way to Systems Manager"].status == "good"


@pytest.mark.parametrize("state", ["", "terminated", "pending", "shutting-down"])
def test_what_can_not_be_backed_up_now_is_ready_for_nothing_and_is_not_asked(state: str) -> None:
    server = replace(WELL, state=state)
    assert server.obstacle
    assert {each.ready for each in levels_of(found_outside(server))} == {"no"}


def test_a_level_is_yes_only_if_nothing_that_it_needs_is_bad_or_unknown() -> None:
    lines = [
        good("a", "", LEVELS),
        unknown("b", "", "do", "x", ("vss",)),
        bad("c", "", "do", "x", ("aws-vss",)),
        note("d", "", "do", "x"),
        unknown("e", "", "do", "x"),
    ]
    levels = {each.level: each for each in levels_of(lines)}
    assert {name: each.ready for name, each in levels.items()} == {
        "crash": "yes",
        "scripts": "yes",
        "vss": "not known",
        "aws-vss": "no",
    }
    assert (levels["vss"].unknown, levels["aws-vss"].lacks) == (["b"], ["c"])
    assert best_of([*levels.values()]) == "scripts"


def test_a_level_of_which_nothing_was_looked_at_is_not_known() -> None:
    assert {each.ready for each in levels_of([])} == {"not known"}
    assert best_of(levels_of([])) == ""
    assert best_of(levels_of([good("a", "", ("crash",)), bad("b", "", "do", "x", SCRIPTS_UP)])) == "crash"
