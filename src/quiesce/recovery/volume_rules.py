"""The limits of EBS's volume types and of instance types, which EC2 tells late or not at all before the launch. Pure.

Source: EC2 API reference, CreateVolume (types, sizes, IOPS, throughput) and DescribeInstanceTypes (attachments); EBS
user guide, volume types (IOPS per GiB) and volume limits (Windows on Xen).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.input import RecoveryRequest
from quiesce.recovery.plan import PlannedVolume, RecoveryPlan

MAX_XEN_WINDOWS = 26


class VolumeLimits(NamedTuple):
    """Sizes in GiB, IOPS (None where the type takes none), IOPS per GiB, and whether a server boots from it."""

    size: tuple[int, int]
    iops: tuple[int, int] | None = None
    iops_per_gib: int = 0
    boots: bool = True


LIMITS = {
    "gp2": VolumeLimits((1, 16_384)),
    "gp3": VolumeLimits((1, 65_536), (3_000, 80_000), 500),
    "io1": VolumeLimits((4, 16_384), (100, 64_000), 50),
    "io2": VolumeLimits((4, 65_536), (100, 256_000), 1_000),
    "st1": VolumeLimits((125, 16_384), boots=False),
    "sc1": VolumeLimits((125, 16_384), boots=False),
    "standard": VolumeLimits((1, 1_024)),
}
# gp3 has these without being asked for more, however small it is.
INCLUDED_IOPS = {"gp3": 3_000}
GP3_IOPS_PER_MIBPS = 4
INCLUDED_MIBPS = 125


@dataclass(frozen=True)
class InstanceTypeLimits:
    """What EC2 says of an instance type: how many EBS volumes it takes, None if EC2 does not say, and its own CPU."""

    volumes: int | None
    on_xen: bool
    cpu_options: Mapping[str, int] = field(default_factory=dict)


def volume_problems(plan: RecoveryPlan, request: RecoveryRequest) -> Iterator[RecoveryRefused]:
    """Give what is wrong with the volumes that the input changes; the others exist as they are recorded."""
    for volume in plan.volumes:
        if wanted := request.overrides.volumes.get(volume.device):
            where, limits = f"overrides.volumes.{volume.device}", LIMITS[volume.volume_type]
            yield from _type_problems(where, volume, limits)
            if wanted.iops is not None and limits.iops is None:
                taking = ", ".join(name for name, each in LIMITS.items() if each.iops)
                problem = f"{volume.volume_type} takes no IOPS"
                yield RecoveryRefused(f"{where}.iops", problem, f"leave it out, or choose one of {taking}")
            if wanted.throughput_mibps is not None and volume.volume_type != "gp3":
                problem = f"{volume.volume_type} takes no throughput"
                yield RecoveryRefused(f"{where}.throughput_mibps", problem, "leave it out, or choose gp3")


def _type_problems(where: str, volume: PlannedVolume, limits: VolumeLimits) -> Iterator[RecoveryRefused]:
    kind, size = volume.volume_type, volume.size_gib
    if volume.root and not limits.boots:
        booting = ", ".join(name for name, each in LIMITS.items() if each.boots)
        yield RecoveryRefused(f"{where}.volume_type", f"no server boots from {kind}", f"choose one of {booting}")
    if not limits.size[0] <= size <= limits.size[1]:
        problem = f"{kind} has {limits.size[0]} to {limits.size[1]} GiB, and the volume {size}"
        yield RecoveryRefused(f"{where}.volume_type", problem, "choose another type")
    if limits.iops:
        yield from _iops_problems(where, volume, limits.iops, limits.iops_per_gib)


def _iops_problems(
    where: str, volume: PlannedVolume, bounds: tuple[int, int], per_gib: int
) -> Iterator[RecoveryRefused]:
    kind, included = volume.volume_type, INCLUDED_IOPS.get(volume.volume_type)
    most = max(min(bounds[1], per_gib * volume.size_gib), included or bounds[0])
    if volume.iops is None and included is None:
        problem = f"{kind} needs IOPS, and neither the input nor the recovery point has any for it"
        yield RecoveryRefused(f"{where}.iops", problem, f"add iops, {bounds[0]} to {most} for its size")
    if volume.iops is not None and not bounds[0] <= volume.iops <= most:
        problem = f"{kind} of {volume.size_gib} GiB takes {bounds[0]} to {most} IOPS, not {volume.iops}"
        yield RecoveryRefused(f"{where}.iops", problem, "write a number within these bounds")
    mibps = volume.throughput_mibps or 0
    if mibps > max(INCLUDED_MIBPS, (volume.iops or included or 0) // GP3_IOPS_PER_MIBPS):
        problem = f"gp3 needs {GP3_IOPS_PER_MIBPS} IOPS for each MiB/s, which is {mibps * GP3_IOPS_PER_MIBPS} here"
        yield RecoveryRefused(f"{where}.throughput_mibps", problem, "write more iops, or a smaller throughput")


def cpu_options(plan: RecoveryPlan, point: RecoveryPoint, limits: InstanceTypeLimits | None) -> dict[str, int]:
    """Return the CPU options of the old server if they are not its type's own, and the new one has that type."""
    source = point.source
    if source is None or limits is None or source.instance_type != plan.instance_type:
        return {}
    own = dict(limits.cpu_options)
    return dict(source.cpu_options) if own and source.cpu_options and source.cpu_options != own else {}


def attachment_problems(plan: RecoveryPlan, limits: InstanceTypeLimits | None) -> Iterator[RecoveryRefused]:
    """Give what is wrong with the number of volumes for the instance type; EC2 tells it when the last is attached."""
    if limits is None:
        problem = f"EC2 knows no instance type {plan.instance_type} in this Region"
        yield RecoveryRefused("overrides.instance_type", problem, "name another in overrides.instance_type")
        return
    most = min((n for n in (limits.volumes, MAX_XEN_WINDOWS if limits.on_xen else None) if n), default=None)
    if most and len(plan.volumes) > most:
        problem = f"{plan.instance_type} takes {most} volumes, and the server had {len(plan.volumes)}"
        remedy = "name a type that takes more in overrides.instance_type"
        yield RecoveryRefused("overrides.instance_type", problem, remedy)
