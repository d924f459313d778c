"""What stands in the way of a recovery, told from what EC2 has now; nothing is created before this is empty. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from quiesce.errors import RecoveryRefused
from quiesce.recover_plan import RecoveryPlan

OTHER_POINT = "choose another recovery point"
# An image says which boot modes it bears; a server has one of them.
EITHER_BOOT_MODE = {"", "uefi-preferred"}


@dataclass(frozen=True)
class FoundSnapshot:
    """A snapshot as EC2 has it: its state, and ``standard`` or ``archive``."""

    state: str
    tier: str


@dataclass(frozen=True)
class FoundImage:
    """An image as EC2 has it."""

    state: str
    root_device: str
    architecture: str
    boot_mode: str
    platform: str


@dataclass(frozen=True)
class FoundSubnet:
    """A subnet as EC2 has it."""

    zone: str
    vpc_id: str


@dataclass(frozen=True)
class Found:
    """What EC2 has of what a plan names; what is missing does not exist."""

    snapshots: Mapping[str, FoundSnapshot]
    image: FoundImage | None
    subnet: FoundSubnet | None
    group_vpcs: Mapping[str, str]


def obstacles(plan: RecoveryPlan, found: Found) -> list[RecoveryRefused]:
    """Return everything that makes the plan impossible now, each with its remedy; empty if nothing does."""
    return [*_of_snapshots(plan, found), *_of_image(plan, found), *_of_network(plan, found)]


def _of_snapshots(plan: RecoveryPlan, found: Found) -> Iterator[RecoveryRefused]:
    for volume in plan.volumes:
        snapshot, name = found.snapshots.get(volume.snapshot_id), f"{volume.snapshot_id} of {volume.device}"
        if snapshot is None:
            yield RecoveryRefused("recovery_point", f"the snapshot {name} does not exist any more", OTHER_POINT)
        elif snapshot.tier == "archive":
            remedy = f"restore it (aws ec2 restore-snapshot-tier --snapshot-id {volume.snapshot_id}), or {OTHER_POINT}"
            yield RecoveryRefused("recovery_point", f"the snapshot {name} is archived", remedy)
        elif snapshot.state != "completed":
            yield RecoveryRefused("recovery_point", f"the snapshot {name} is {snapshot.state}", OTHER_POINT)


def _of_image(plan: RecoveryPlan, found: Found) -> Iterator[RecoveryRefused]:
    image, remedy = found.image, "name another image in image_id"
    if image is None:
        yield RecoveryRefused("image_id", f"{plan.image_id} does not exist, or was deregistered", remedy)
        return
    wanted_boot = "" if plan.boot_mode in EITHER_BOOT_MODE or image.boot_mode in EITHER_BOOT_MODE else plan.boot_mode
    differences = [
        ("is", image.state, "available"),
        ("has its root at", image.root_device, plan.root_device),
        ("is for", image.architecture, plan.architecture or image.architecture),
        ("boots by", image.boot_mode, wanted_boot or image.boot_mode),
        ("is of platform", image.platform or "Linux", "windows"),
    ]
    for verb, has, needs in differences:
        if has != needs:
            yield RecoveryRefused("image_id", f"{plan.image_id} {verb} {has or 'nothing'}, not {needs}", remedy)


def _of_network(plan: RecoveryPlan, found: Found) -> Iterator[RecoveryRefused]:
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
            problem = f"{group} is of {vpc_id}, and {plan.subnet_id} of {found.subnet.vpc_id}"
            yield RecoveryRefused("overrides.security_group_ids", problem, remedy)
