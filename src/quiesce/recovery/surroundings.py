"""What is around a recovered server: the old one, its clones, the address that is wanted, the way to Systems Manager.

Pure. What would do harm or fail is a problem before the launch; what a person should know is a note.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.input import RecoveryRequest
from quiesce.recovery.obstacles import FoundSubnet
from quiesce.recovery.plan import RecoveryPlan
from quiesce.recovery.servers import full_name

RUNNING = {"pending", "running"}
NAMED_CLONES = 5
# AWS's images of these have EC2Launch v1 (EC2 user guide), which keeps routes by the gateway (amazon-ssm-agent 348).
KEEPS_ROUTES = re.compile(r"Windows Server (2016|2019)")


@dataclass(frozen=True)
class OtherServer:
    """The old server, or one that an earlier recovery made of it; ``recovery_id`` is empty for the old one."""

    instance_id: str
    state: str
    vpc_id: str
    private_ip: str = ""
    public_ip: str = ""
    recovery_id: str = ""


@dataclass(frozen=True)
class Holder:
    """The network interface that has an address; ``instance_id`` and ``description`` may be empty."""

    interface_id: str
    instance_id: str
    description: str


@dataclass(frozen=True)
class Surroundings:
    """What EC2 has around the server that a recovery is to make.

    ``reaches_out``: a route leads out of the subnet's VPC, or an endpoint of Systems Manager is in it.
    """

    old: OtherServer | None
    clones: Sequence[OtherServer]
    holder: Holder | None
    reaches_out: bool


def problems_around(
    plan: RecoveryPlan, request: RecoveryRequest, subnet: FoundSubnet | None, around: Surroundings
) -> Iterator[RecoveryRefused]:
    """Give each reason against launching the server among what is around it, with its remedy."""
    old, name = around.old, full_name(plan.from_instance_id, plan.instance_name)
    if old and old.state in RUNNING and old.vpc_id == plan.vpc_id and not request.beside_the_old_one:
        problem = (
            f"the old server {name} is {old.state} in the same VPC {old.vpc_id}: two servers of one name, with one "
        )
        problem += "account in the domain, disturb each other"
        remedy = 'stop the old server, recover into another VPC, or write "beside_the_old_one": true if you want both'
        yield RecoveryRefused("beside_the_old_one", problem, remedy)
    if plan.private_ip and subnet:
        yield from _address_problems(plan.private_ip, subnet, around.holder, plan)


def notes_around(plan: RecoveryPlan, point: RecoveryPoint, around: Surroundings) -> list[str]:
    """Return what a person should know of what is around the server."""
    return [*_old_notes(plan, around), *_thaw_notes(plan, around), *_way_notes(plan, point, around)]


def awaits_status_checks(plan: RecoveryPlan, point: RecoveryPoint, around: Surroundings) -> bool:
    """Say whether Systems Manager may never hear from the server, so that EC2's status checks have to decide."""
    return plan.agent == "ssm" and bool(_way_notes(plan, point, around))


def _address_problems(
    wanted: str, subnet: FoundSubnet, holder: Holder | None, plan: RecoveryPlan
) -> Iterator[RecoveryRefused]:
    field, remedy = (
        "overrides.private_ip",
        f"name a free address of {subnet.subnet_id} ({subnet.cidr}), or leave it out",
    )
    try:
        address = ipaddress.IPv4Address(wanted)
    except ValueError:
        yield RecoveryRefused(field, f"{wanted} is no IPv4 address", remedy)
        return
    network = ipaddress.IPv4Network(subnet.cidr)
    if address not in network:
        yield RecoveryRefused(field, f"{wanted} is outside of {subnet.subnet_id} ({subnet.cidr})", remedy)
    elif address in (*(network[n] for n in range(4)), network[-1]):
        yield RecoveryRefused(field, f"EC2 keeps {wanted}, as the first four and the last of each subnet", remedy)
    elif holder:
        by = f"{holder.instance_id}, by {holder.interface_id}" if holder.instance_id else holder.interface_id
        what = f" ({holder.description})" if holder.description else ""
        own = " It is the old server: terminate it first, since a stopped one keeps its address."
        after = own if holder.instance_id == plan.from_instance_id else ""
        yield RecoveryRefused(field, f"{wanted} is taken by {by}{what}.{after}".rstrip("."), remedy)


def _old_notes(plan: RecoveryPlan, around: Surroundings) -> list[str]:
    old, name = around.old, full_name(plan.from_instance_id, plan.instance_name)
    if old is None:
        first = f"the old server {name} does not exist any more"
    else:
        where = "the same VPC" if old.vpc_id == plan.vpc_id else f"another VPC ({old.vpc_id or 'none'})"
        held = f", and holds {old.private_ip}" if old.private_ip else ""
        first = f"the old server {name} is {old.state} in {where}{held}"
    if not around.clones:
        return [first]
    each = [f"{c.instance_id} ({c.state}, {c.recovery_id})" for c in around.clones[:NAMED_CLONES]]
    more = f" and {len(around.clones) - NAMED_CLONES} more" if around.clones[NAMED_CLONES:] else ""
    number = len(around.clones)
    words = "one earlier recovery of it exists" if number == 1 else f"{number} earlier recoveries of it exist"
    return [first, f"{words}: {', '.join(each)}{more}"]


def _thaw_notes(plan: RecoveryPlan, around: Surroundings) -> list[str]:
    """Say what the after script may do on the new server, where the input asks for it."""
    if not plan.thaw_after_recovery:
        return []
    if not plan.froze:
        return ["thaw_after_recovery changes nothing: the backup froze nothing, so that no after script is owed"]
    notes = []
    if around.old and around.old.state in RUNNING:
        notes.append(
            "danger: thaw_after_recovery runs the after script on the new server while the old one, "
            f"{full_name(plan.from_instance_id, plan.instance_name)}, is {around.old.state}: it may register the "
            "application a second time, take over an address or join a cluster; read it before, or leave the field out"
        )
    return notes


def _way_notes(plan: RecoveryPlan, point: RecoveryPoint, around: Surroundings) -> list[str]:
    notes = []
    decides = "; EC2's status checks decide whether it is recovered" if plan.agent == "ssm" else ""
    found = KEEPS_ROUTES.search(point.windows)
    if found and point.source and point.source.subnet_id != plan.subnet_id:
        notes.append(
            f"Windows Server {found[1]} keeps its routes to the metadata service through the gateway of the old subnet "
            f"(EC2Launch v1), so that Systems Manager may never hear from it in {plan.subnet_id}{decides}"
        )
    if not around.reaches_out:
        notes.append(
            f"{plan.subnet_id} has no way to Systems Manager: no route leads out of its VPC, and the VPC has no "
            f"endpoints of ssm and ssmmessages{decides}"
        )
    return notes
