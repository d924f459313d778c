"""What EC2 and Systems Manager say of a server, without a question to the server itself."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from quiesce.doctor.findings import SCRIPTS_UP, Finding, Level, bad, good, note, unknown
from quiesce.doctor.rights import OF_AGENTS, OF_AWS_VSS, Rights
from quiesce.guest.agent import Agent, obstacle
from quiesce.points.parts import Device

RUNNING, STOPPED = "running", "stopped"
# Of a subnet, an agent must reach both (Systems Manager user guide, VPC endpoints).
OF_AGENT_ENDPOINTS = frozenset({"ssm", "ssmmessages"})
ASK_AGAIN = "start the server, then ask again"


@dataclass(frozen=True)
class Way:
    """What leads out of a server's subnet: a route, or endpoints by the last part of their names.

    Attributes:
        let_out: whether the server's security groups let HTTPS out at all; None if nobody has looked.
        closed: services of the agent whose endpoints' security groups let nothing in from the server.
    """

    routes_out: bool
    endpoints: frozenset[str] = frozenset()
    let_out: bool | None = None
    closed: frozenset[str] = frozenset()

    def leads_to(self, *services: str) -> bool:
        """Say whether something leads to all of these services."""
        return self.routes_out or self.endpoints.issuperset(services)


@dataclass(frozen=True)
class Outside:
    """A server from outside.

    Attributes:
        state: EC2's; empty if EC2 does not know the server.
        devices: its EBS volumes.
        profile: the ARN of its instance profile, empty for none.
        metadata: whether EC2 offers it the metadata service; None if EC2 does not say.
        way: None if it is not known.
        agent: None if Systems Manager does not know the server.
        may_be_changed: whether its owner allows a fix, by the tag ``quiesce:may-be-changed``.
        agents_rights: what its role lacks for an agent to register; None if nobody has asked: one is connected.
        aws_vss_rights: what its role lacks for AWS's VSS components; None if nobody has asked.
    """

    instance_id: str
    name: str = ""
    state: str = ""
    platform: str = ""
    devices: tuple[Device, ...] = ()
    profile: str = ""
    metadata: bool | None = True
    way: Way | None = None
    agent: Agent | None = None
    may_be_changed: bool = False
    agents_rights: Rights | None = None
    aws_vss_rights: Rights | None = None

    @property
    def obstacle(self) -> str | None:
        """Why the server can't be asked; None if nothing is known against it."""
        if self.state not in (RUNNING, STOPPED):
            return f"the server is {self.state or 'not known to EC2'}"
        state: Literal["running", "stopped"] = "running" if self.state == RUNNING else "stopped"
        return obstacle(state, self.platform, self.agent)

    @property
    def is_windows(self) -> bool:
        """Whether EC2 says that Windows runs on it."""
        return self.platform.startswith("Windows")

    @property
    def is_online(self) -> bool:
        """Whether its agent is connected."""
        return self.agent is not None and self.agent.online


def found_outside(server: Outside) -> list[Finding]:
    """Return the lines of a server that need no answer of its own."""
    if not server.state:
        words = f"EC2 does not know {server.instance_id} in this Region and account"
        return [bad("server", words, "correct the id", "the-server", ("crash", *SCRIPTS_UP))]
    rows = (_server, _volumes, _agent, _profile, _aws_rights, _metadata, _ways)
    return [finding for row in rows for finding in row(server)]


def _server(server: Outside) -> Iterator[Finding]:
    if server.state in (RUNNING, STOPPED):
        yield good("server", f"it is {server.state}", ("crash",))
    else:
        remedy = "ask again once it is running or stopped"
        yield bad("server", f"it is {server.state}", remedy, "the-server", ("crash", *SCRIPTS_UP))
    if server.is_windows:
        yield good("platform", f"EC2 says {server.platform}", SCRIPTS_UP)
    else:
        words = f"EC2 says that it is {server.platform or 'of an unknown platform'}, not Windows"
        yield bad("platform", words, "use a policy with consistency: crash for it", "the-server", SCRIPTS_UP)


def _volumes(server: Outside) -> Iterator[Finding]:
    if server.devices:
        yield good("volumes", f"it has {len(server.devices)} EBS volumes", ("crash",))
    else:
        remedy = "an instance store can't be backed up: give it EBS volumes"
        yield bad("volumes", "it has no EBS volume", remedy, "the-server", ("crash", *SCRIPTS_UP))


def _agent(server: Outside) -> Iterator[Finding]:
    agent = server.agent
    if server.state != RUNNING:
        yield unknown("agent", f"the server is {server.state}: no agent runs", ASK_AGAIN, "systems-manager", SCRIPTS_UP)
    elif reason := obstacle("running", "Windows", agent):
        old = agent is not None and agent.online
        remedy = "update SSM Agent on it" if old else "see the lines on its instance profile, metadata service and ways"
        yield bad("agent", reason, remedy, "systems-manager", SCRIPTS_UP)
    elif agent is not None:
        yield good("agent", f"SSM Agent {agent.version} is online", SCRIPTS_UP)


def _profile(server: Outside) -> Iterator[Finding]:
    check, remedy = "instance profile", f"give it an instance profile whose role has {OF_AGENTS}"
    if server.is_online:
        by = "the role of its instance profile" if server.profile else "Default Host Management"
        yield good(check, f"its agent is registered, by {by}", SCRIPTS_UP)
    elif not server.profile:
        words = "it has no instance profile, and Default Host Management has not registered it"
        remedy = f"{remedy}, or turn on Default Host Management in this Region"
        yield bad(check, words, remedy, "systems-manager", SCRIPTS_UP)
    else:
        what = "let an agent register", f"attach {OF_AGENTS} to its role"
        yield _of_rights(server, server.agents_rights, check, what, "systems-manager", SCRIPTS_UP)


def _aws_rights(server: Outside) -> Iterator[Finding]:
    check, remedy = "rights for AWS's VSS", f"attach {OF_AWS_VSS} to the role of its instance profile"
    if not server.profile:
        words = "it has no instance profile, without which AWS's VSS components can't take snapshots"
        yield bad(check, words, remedy, "aws-vss", ("aws-vss",))
    else:
        what = "let AWS's VSS components take snapshots", remedy
        yield _of_rights(server, server.aws_vss_rights, check, what, "aws-vss", ("aws-vss",))


def _of_rights(
    server: Outside, rights: Rights | None, check: str, what: tuple[str, str], anchor: str, levels: Sequence[Level]
) -> Finding:
    """Return the line of what its role may do; ``what`` is what the rights are for, and the remedy."""
    allows, remedy = what
    if rights is None or rights.why:
        why = rights.why if rights else "nobody has asked IAM"
        words = f"whether the role of {_short(server.profile)} may {allows} is not known: {why}"
        return unknown(check, words, remedy, anchor, levels)
    if rights.lacks:
        words = f"{rights.role or _short(server.profile)} lacks what would {allows}: {', '.join(rights.lacks)}"
        return bad(check, words, remedy, anchor, levels)
    return good(check, f"{rights.role} has what would {allows}, as IAM's policy simulator says", levels)


def _metadata(server: Outside) -> Iterator[Finding]:
    if server.metadata is None:
        remedy = "aws ec2 describe-instances shows MetadataOptions"
        yield unknown("metadata options", "EC2 does not say", remedy, "metadata-service", SCRIPTS_UP)
    elif server.metadata:
        yield good("metadata options", "EC2 offers it the metadata service", SCRIPTS_UP)
    else:
        remedy = "aws ec2 modify-instance-metadata-options --http-endpoint enabled --http-tokens required"
        yield bad("metadata options", "its metadata service is turned off", remedy, "metadata-service", SCRIPTS_UP)


def _ways(server: Outside) -> Iterator[Finding]:
    way = server.way
    if way is None:
        yield unknown("ways", "its subnet's routes are not known", "look at them in EC2", "ways-out", SCRIPTS_UP)
        return
    yield _way_to_agent(server, way)
    yield _way_to(server, way, "s3", "its run's package", ("scripts", "vss"))
    yield _way_to(server, way, "ec2", "AWS's VSS components' snapshots", ("aws-vss",))
    yield _way_to_kms(way)


def _way_to_agent(server: Outside, way: Way) -> Finding:
    check, remedy = "way to Systems Manager", "give the VPC endpoints of ssm and ssmmessages, or a route out"
    if server.is_online:
        return good(check, "its agent is connected", SCRIPTS_UP)
    if not way.leads_to(*OF_AGENT_ENDPOINTS):
        missing = ", ".join(sorted(OF_AGENT_ENDPOINTS - way.endpoints))
        words = f"no route leads out of its VPC, which has no endpoint of {missing}"
        return bad(check, words, remedy, "ways-out", SCRIPTS_UP)
    if way.let_out is False:
        words = "its security groups let no HTTPS (443) out"
        return bad(check, words, "allow TCP 443 out in one of them", "ways-out", SCRIPTS_UP)
    if way.closed:
        closed = ", ".join(sorted(way.closed))
        words = f"the security groups of its VPC's endpoints of {closed} let no HTTPS (443) in from it"
        return bad(check, words, "allow TCP 443 from the server in one of them", "ways-out", SCRIPTS_UP)
    by = "a route leads out" if way.routes_out else "its VPC has the endpoints"
    groups = "security groups, " if way.let_out is None else ""
    words = f"{by}; whether {groups}network ACLs or a proxy let the agent through is not known"
    return unknown(check, words, "let HTTPS (443) out of the server and into the endpoints", "ways-out", SCRIPTS_UP)


def _way_to(
    server: Outside, way: Way, service: str, what: str, levels: tuple[Literal["scripts", "vss", "aws-vss"], ...]
) -> Finding:
    check, remedy = f"way to {service.upper()}", f"give the VPC an endpoint of {service}, or a route out"
    if not way.leads_to(service):
        words = f"no route leads out of its VPC, which has no endpoint of {service}, for {what}"
        # An agent that is connected all the same goes through a proxy, which may lead there, too.
        if server.is_online and not way.leads_to(*OF_AGENT_ENDPOINTS):
            return unknown(check, f"{words}; its agent uses a proxy, which may lead there", remedy, "proxies", levels)
        return bad(check, words, remedy, "ways-out", levels)
    if not server.is_online:
        return note(check, "something leads there; whether it is let through is not known", "", "ways-out")
    by = (
        "a route leads out, by which its agent is connected"
        if way.routes_out
        else f"its VPC has an endpoint of {service}"
    )
    return good(check, by, levels)


def _way_to_kms(way: Way) -> Finding:
    """Nothing on the server needs it: of a link to an encrypted object, and of a snapshot, S3 and EBS call KMS."""
    words = "something leads there" if way.leads_to("kms") else "nothing leads there"
    return good("way to KMS", f"{words}, and nothing of a backup needs it: S3 and EBS call KMS, the server does not")


def _short(arn: str) -> str:
    return arn.rpartition("/")[2]
