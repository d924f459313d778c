"""A recovery's plan: what it makes from which snapshots, where, and at which devices. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from quiesce.errors import RecoveryRefused
from quiesce.executions import Crossing
from quiesce.points.parts import Consistency, Source, Volume
from quiesce.points.point import PointBuilt, PointSnapshot, RecoveryPoint
from quiesce.points.restoring import Restoring
from quiesce.recovery.input import RecoveryRequest
from quiesce.recovery.reverting import NOT_BUILT, FromBackup, build_request, consistent_copies
from quiesce.revert.built import BuiltChild
from quiesce.revert.look import Looked
from quiesce.revert.request import RevertRequest

# EC2 takes IOPS and throughput for these only (EC2 API reference, CreateVolume), and describes them for others, too.
WITH_IOPS = {"gp3", "io1", "io2"}
WITH_THROUGHPUT = {"gp3"}


class PlannedVolume(Crossing):
    """A volume to make from a snapshot, and where to attach it.

    ``snapshot_id`` is the raw one until the volume's child is built, then the child's, and empty if that is gone; the
    child's from the start if the backup built it.
    ``volume_id`` and ``drives`` are of the volume that was backed up.
    """

    snapshot_id: str
    volume_id: str = ""
    drives: list[str] = []
    device: str
    root: bool
    size_gib: int
    volume_type: str
    iops: int | None
    throughput_mibps: int | None
    kms_key_id: str | None
    initialization_rate_mibps: int | None
    delete_on_termination: bool


class RecoveryPlan(Crossing):
    """Everything that later states need; kept under the recovery's id, so that a restart carries out the same plan.

    ``build`` is what is to be built of the recovery point, None if nothing is; ``looked`` what can be. ``built`` is
    what the backup built already, and the recovery uses. ``restoring`` is what was archived when this was planned.
    """

    recovery_id: str
    recovery_point: str
    snapshots_at: datetime
    consistency: Consistency
    from_instance_id: str
    instance_name: str
    mode: Literal["instance", "dry-run"]
    on_failure: Literal["keep", "clean-up"]
    agent: Literal["ssm", "none"]
    image_id: str
    root_device: str
    architecture: str
    boot_mode: str
    instance_type: str
    subnet_id: str
    vpc_id: str = ""
    zone: str = ""
    security_group_ids: list[str]
    key_name: str | None
    instance_profile_arn: str | None
    private_ip: str | None
    tags: dict[str, str]
    volumes: list[PlannedVolume]
    shadow_copies: list[str]
    build: RevertRequest | None = None
    looked: Looked | None = None
    built: list[PointBuilt] = []
    left_aside: list[str] = []
    passed_over: list[str] = []
    nearest: str = ""
    notes: list[str] = []
    source: Source | None = None
    cpu_options: dict[str, int] = {}
    restoring: Restoring | None = None
    froze: bool = False
    thaw_after_recovery: bool = False

    @property
    def caution(self) -> str:
        """Why the volumes are less consistent than the recovery point says, empty if they are not."""
        if not self.shadow_copies or self.build or self.built:
            return ""
        copies = ", ".join(self.shadow_copies)
        return (
            "the volumes are as after a power failure: the application-consistent state is in the shadow copies inside "
            f"them ({copies}), and 'revert' is 'off' (docs/use/recover.md says how to go back to them by hand)"
        )

    @property
    def needed_snapshots(self) -> list[str]:
        """The snapshots that the volumes are made of, or that are to be built."""
        return [volume.snapshot_id for volume in self.volumes if volume.snapshot_id]

    @property
    def root(self) -> PlannedVolume:
        """The volume that the server boots from."""
        return next(volume for volume in self.volumes if volume.root)


def decide(
    recovery_id: str,
    request: RecoveryRequest,
    point: RecoveryPoint,
    image_id: str | None,
    backup: FromBackup = NOT_BUILT,
) -> RecoveryPlan:
    """Plan a recovery: the server as it was, but for what the request changes.

    Args:
        recovery_id: the recovery's.
        request: what the person wrote.
        point: the recovery point that it selects.
        image_id: the server's initial AMI, if one was found; the request's own takes precedence.
        backup: the snapshots that the backup built, if they are used.

    Raises:
        RecoveryRefused: the recovery point has no root volume, or something is neither recorded nor in the request.
    """
    wanted, source, volumes = request.overrides, point.source, _volumes(request, point)
    if not any(volume.root for volume in volumes):
        problem = f"'{point.run_id}' has no snapshot of the root volume: no server can boot from it"
        raise RecoveryRefused("recovery_point", problem, "choose one with the root, or attach its volumes by hand")
    return RecoveryPlan(
        recovery_id=recovery_id,
        recovery_point=point.run_id,
        snapshots_at=point.snapshots_at,
        consistency=point.consistency,
        from_instance_id=point.instance_id,
        instance_name=point.instance_name,
        mode=request.mode,
        on_failure=request.on_failure,
        agent=request.agent,
        image_id=_needed("image_id", request.image_id or image_id),
        root_device=next(volume.device for volume in volumes if volume.root),
        architecture=source.architecture if source else "",
        boot_mode=source.boot_mode if source else "",
        instance_type=_needed(
            "overrides.instance_type", wanted.instance_type or (source.instance_type if source else None)
        ),
        subnet_id=_needed("overrides.subnet_id", wanted.subnet_id or (source.subnet_id if source else None)),
        security_group_ids=_groups(request, point),
        key_name=_kept(wanted.key_name, source.key_name if source else None),
        instance_profile_arn=_kept(wanted.instance_profile_arn, source.instance_profile_arn if source else None),
        private_ip=wanted.private_ip,
        tags=wanted.tags,
        volumes=_made_of(volumes, {each.built_from: each.snapshot_id for each in backup.built}),
        shadow_copies=[f"{copy.path} {copy.shadow_id}".strip() for copy in consistent_copies(point)],
        build=None if backup.built else build_request(recovery_id, request, point),
        built=list(backup.built),
        # A volume that was attached after the backup's plan has a snapshot, and no place on the server.
        froze=point.froze,
        thaw_after_recovery=request.thaw_after_recovery,
        left_aside=[snapshot.snapshot_id for snapshot in point.snapshots if snapshot.volume is None],
    )


def with_children(plan: RecoveryPlan, children: Sequence[BuiltChild]) -> RecoveryPlan:
    """Return a plan that makes volumes of what was built; of no snapshot where one that it wants was not."""
    planned = {child.snapshot_id for child in plan.looked.children} if plan.looked else set()
    built = {child.snapshot_id: child.child_id for child in children}
    source = {snapshot_id: built.get(snapshot_id, "") for snapshot_id in planned}
    return plan.model_copy(update={"volumes": _made_of(plan.volumes, source)})


def _made_of(volumes: Sequence[PlannedVolume], source: Mapping[str, str]) -> list[PlannedVolume]:
    """Return volumes that are made of other snapshots than the raw ones, where ``source`` has some."""
    return [v.model_copy(update={"snapshot_id": source.get(v.snapshot_id, v.snapshot_id)}) for v in volumes]


def _volumes(request: RecoveryRequest, point: RecoveryPoint) -> list[PlannedVolume]:
    planned = [snapshot for snapshot in point.snapshots if snapshot.volume]
    known = {s.volume.device: (s, s.volume) for s in planned if s.volume}
    if not known or len(known) < len(planned):
        problem = f"'{point.run_id}' does not say for each snapshot at which device its volume was"
        raise RecoveryRefused("recovery_point", problem, "choose another, or attach its volumes by hand")
    if foreign := [device for device in request.overrides.volumes if device not in known]:
        problem = f"{foreign[0]} is no device of the recovery point"
        raise RecoveryRefused("overrides.volumes", problem, f"write one of {', '.join(known)}")
    return [_volume(request, snapshot, volume) for snapshot, volume in known.values()]


def _volume(request: RecoveryRequest, snapshot: PointSnapshot, volume: Volume) -> PlannedVolume:
    wanted = request.overrides.volumes.get(volume.device)
    volume_type = (wanted and wanted.volume_type) or volume.volume_type
    same = volume_type == volume.volume_type  # IOPS and throughput of one type do not fit another
    iops = (wanted and wanted.iops) or (volume.iops if same else None)
    throughput = (wanted and wanted.throughput_mibps) or (volume.throughput_mibps if same else None)
    return PlannedVolume(
        snapshot_id=snapshot.snapshot_id,
        volume_id=volume.volume_id,
        drives=volume.drives,
        device=volume.device,
        root=volume.root,
        size_gib=snapshot.size_gib,
        volume_type=volume_type,
        iops=iops if volume_type in WITH_IOPS else None,
        throughput_mibps=throughput if volume_type in WITH_THROUGHPUT else None,
        kms_key_id=request.overrides.kms_key_id,
        initialization_rate_mibps=request.overrides.initialization_rate_mibps,
        delete_on_termination=volume.delete_on_termination,
    )


def _groups(request: RecoveryRequest, point: RecoveryPoint) -> list[str]:
    groups = request.overrides.security_group_ids or (point.source.security_group_ids if point.source else [])
    if not groups:
        _needed("overrides.security_group_ids", None)
    return list(groups)


def _kept(wanted: str | None, recorded: str | None) -> str | None:
    """Return what the input wants, none if that is empty, and what the server had if the input does not say."""
    return recorded if wanted is None else wanted or None


def _needed(field: str, value: str | None) -> str:
    if not value:
        if field == "image_id":
            problem, remedy = (
                "no initial AMI of the server was found",
                "back the server up, or name an image of its Windows",
            )
        else:
            problem, remedy = "is neither in the recovery point's record nor in the input", "add it to the input"
        raise RecoveryRefused(field, problem, remedy)
    return value
