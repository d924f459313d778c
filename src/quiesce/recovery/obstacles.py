"""Which image and subnet a recovery takes, and what prevents it, by what EC2 has now. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from quiesce.errors import RecoveryRefused
from quiesce.points.image import FoundImage, Needs, misfits, needs_of
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.flaws import FoundSnapshot, flaws_of_snapshot
from quiesce.recovery.plan import RecoveryPlan

OTHER_IMAGE = "name another image in image_id"
OTHER_POINT = "choose another recovery point"


@dataclass(frozen=True)
class FoundSubnet:
    """A subnet as EC2 describes it."""

    subnet_id: str
    zone: str
    vpc_id: str
    cidr: str = ""


@dataclass(frozen=True)
class Found:
    """The resources of a plan that EC2 has; those that do not exist are missing or None."""

    snapshots: Mapping[str, FoundSnapshot]
    image: FoundImage | None
    subnet: FoundSubnet | None
    group_vpcs: Mapping[str, str]


def choose_image(images: Sequence[FoundImage], point: RecoveryPoint) -> str | None:
    """Return the latest image of the server that fits a recovery point; if none does, the latest, to say why."""
    root = next((s.volume.device for s in point.snapshots if s.volume and s.volume.root), "")
    needs = needs_of(point.source, root)
    latest_first = sorted(images, key=lambda image: image.created_at, reverse=True)
    fitting = [image for image in latest_first if not misfits(image, needs)]
    return next((image.image_id for image in (*fitting, *latest_first)), None)


def choose_subnet(zone: str, vpc_id: str, subnets: Sequence[FoundSubnet]) -> str:
    """Return the VPC's only subnet in a zone.

    Raises:
        RecoveryRefused: there is none, or more than one, from which a person must choose.
    """
    found = sorted(s.subnet_id for s in subnets if (s.zone, s.vpc_id) == (zone, vpc_id))
    if not found:
        has = ", ".join(sorted({f"{s.subnet_id} in {s.zone}" for s in subnets if s.vpc_id == vpc_id})) or "none at all"
        problem = f"{vpc_id or 'the VPC of the recovery point'} has no subnet in {zone}; it has {has}"
        raise RecoveryRefused("overrides.zone", problem, "name another zone, or a subnet in overrides.subnet_id")
    if found[1:]:
        problem = f"{vpc_id} has {len(found)} subnets in {zone}: {', '.join(found)}"
        raise RecoveryRefused("overrides.zone", problem, "name one of them in overrides.subnet_id")
    return found[0]


def obstacles(
    plan: RecoveryPlan, found: Found, zone: str | None = None, instead: str = OTHER_POINT
) -> list[RecoveryRefused]:
    """Return each reason why the plan is impossible now, with its remedy; empty if there is none.

    Args:
        plan: the recovery's.
        found: what EC2 has of the plan's resources.
        zone: the zone that the input names, None if it names none.
        instead: the remedy that names another recovery point.
    """
    return [
        *_snapshot_obstacles(plan, found, instead),
        *_image_obstacles(plan, found),
        *_network_obstacles(plan, found),
        *_zone_obstacles(found, zone),
    ]


def _snapshot_obstacles(plan: RecoveryPlan, found: Found, instead: str) -> Iterator[RecoveryRefused]:
    for volume in plan.volumes:
        name = f"{volume.snapshot_id} of {volume.device}"
        for flaw in flaws_of_snapshot(name, volume.snapshot_id, found.snapshots.get(volume.snapshot_id)):
            remedy = f"{flaw.remedy}, or {instead}" if flaw.remedy else instead
            yield RecoveryRefused("recovery_point", flaw.problem, remedy)


def _image_obstacles(plan: RecoveryPlan, found: Found) -> Iterator[RecoveryRefused]:
    if found.image is None:
        yield RecoveryRefused("image_id", f"{plan.image_id} does not exist, or was deregistered", OTHER_IMAGE)
        return
    for words in misfits(found.image, Needs(plan.root_device, plan.architecture, plan.boot_mode)):
        remedy = f"wait until it is available, or {OTHER_IMAGE}" if found.image.state == "pending" else OTHER_IMAGE
        yield RecoveryRefused("image_id", f"{plan.image_id} {words}", remedy)


def _network_obstacles(plan: RecoveryPlan, found: Found) -> Iterator[RecoveryRefused]:
    if found.subnet is None:
        problem = f"{plan.subnet_id} does not exist any more"
        yield RecoveryRefused("overrides.subnet_id", problem, "name another subnet in overrides.subnet_id")
        return
    remedy = f"name groups of {found.subnet.vpc_id} in overrides.security_group_ids"
    for group in plan.security_group_ids:
        vpc_id = found.group_vpcs.get(group)
        if vpc_id is None:
            yield RecoveryRefused("overrides.security_group_ids", f"{group} does not exist any more", remedy)
        elif vpc_id != found.subnet.vpc_id:
            problem = f"{group} is in {vpc_id}, and {plan.subnet_id} in {found.subnet.vpc_id}"
            yield RecoveryRefused("overrides.security_group_ids", problem, remedy)


def _zone_obstacles(found: Found, zone: str | None) -> Iterator[RecoveryRefused]:
    if zone and found.subnet and found.subnet.zone != zone:
        problem = f"{found.subnet.subnet_id} is in {found.subnet.zone}, not in {zone}"
        yield RecoveryRefused("overrides.zone", problem, "leave out the zone or the subnet, or name two that fit")
