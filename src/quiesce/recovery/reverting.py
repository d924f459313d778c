"""What a recovery builds of its recovery point, or takes from the backup that built it already. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from quiesce import tags
from quiesce.points.point import PointBuilt, PointCopy, RecoveryPoint
from quiesce.recovery.flaws import FoundSnapshot, flaws_of_snapshot, told
from quiesce.recovery.input import RecoveryRequest
from quiesce.revert.request import RawSnapshot, RevertRequest, WantedCopy


class FromBackup(NamedTuple):
    """The snapshots that the backup built and a recovery uses; if none, ``note`` says why, where there were some."""

    built: Sequence[PointBuilt] = ()
    note: str = ""


NOT_BUILT = FromBackup()


def consistent_copies(point: RecoveryPoint) -> list[PointCopy]:
    """Return the shadow copies that hold a recovery point's application-consistent state; empty if none do."""
    if point.shadow is None or not point.shadow.good or point.consistency.level != "application":
        return []
    return point.shadow.copies


def reverts(request: RecoveryRequest, point: RecoveryPoint) -> bool:
    """Say whether the volumes shall be as of their shadow copies.

    A request without ``revert`` follows the policy of the backup, where only ``off`` says that they shall not.
    """
    wanted = request.revert or ("off" if point.revert == "off" else "yes")
    return wanted != "off" and bool(consistent_copies(point))


def from_backup(request: RecoveryRequest, point: RecoveryPoint, found: Mapping[str, FoundSnapshot]) -> FromBackup:
    """Return what the backup built, if all of it can be used: together with others it would be of two builds.

    Args:
        request: what the person wrote.
        point: the recovery point.
        found: the snapshots in its ``built`` that EC2 has, by id.
    """
    if not point.built or not reverts(request, point):
        return NOT_BUILT
    flaws = [
        flaw
        for each in point.built
        for flaw in flaws_of_snapshot(
            f"{each.snapshot_id} of {each.device}", each.snapshot_id, found.get(each.snapshot_id)
        )
    ]
    held = {path for each in point.built for path in each.paths}
    missing = [copy.path or copy.shadow_id for copy in consistent_copies(point) if copy.path not in held]
    if not flaws and not missing:
        return FromBackup(point.built)
    why = told(flaws) if flaws else f"none of them has {', '.join(missing)} as of its shadow copy"
    return FromBackup(note=f"the snapshots that the backup built can't be used, and they are built again: {why}")


def build_request(recovery_id: str, request: RecoveryRequest, point: RecoveryPoint) -> RevertRequest | None:
    """Return what to build as of its shadow copies, for the revert machine; None if nothing is.

    Args:
        recovery_id: the recovery's, which the snapshots that are built carry as a tag.
        request: what the person wrote.
        point: the recovery point, whose record may be of any version.
    """
    copies = consistent_copies(point)
    if point.shadow is None or not reverts(request, point):
        return None
    return RevertRequest(
        built_for=recovery_id,
        instance_id=point.instance_id,
        set_id=point.shadow.set_id,
        snapshots=[
            RawSnapshot(
                snapshot_id=snapshot.snapshot_id,
                volume_id=snapshot.volume.volume_id,
                device=snapshot.volume.device,
                size_gib=snapshot.size_gib,
            )
            for snapshot in point.snapshots
            if snapshot.volume
        ],
        copies=[WantedCopy(shadow_id=c.shadow_id, path=c.path, volume_id=c.volume_id) for c in copies],
        where_possible=request.revert == "where-possible",
        on_failure=request.on_failure,
        # As on everything that a recovery makes: found by the first, deleted only as long as the second is there.
        extra_tags={**request.overrides.tags, tags.RECOVERY: recovery_id, tags.RECOVERING: recovery_id},
    )
