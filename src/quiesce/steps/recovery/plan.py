"""Plan: choose the recovery point, and check everything before anything is created."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from quiesce import tags
from quiesce.aws.point_looks import find_snapshots
from quiesce.aws.recoveries import Recoveries
from quiesce.aws.recovery_changes import find_volumes, tag_of
from quiesce.aws.recovery_looks import find_subnets, look, try_changes
from quiesce.aws.surroundings import look_around, type_limits
from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.points.restoring import NEEDED, Restoring
from quiesce.recovery.choice import shortened
from quiesce.recovery.describing import describe
from quiesce.recovery.flaws import FoundSnapshot
from quiesce.recovery.input import ID_PATTERN, RecoveryRequest, id_of, read_recovery_request
from quiesce.recovery.instants import instants, standing
from quiesce.recovery.obstacles import choose_subnet, obstacles
from quiesce.recovery.plan import RecoveryPlan, decide
from quiesce.recovery.reverting import FromBackup, from_backup
from quiesce.recovery.state import Planned, RecoveryState
from quiesce.recovery.surroundings import awaits_status_checks, notes_around, problems_around
from quiesce.recovery.volume_rules import attachment_problems, cpu_options, volume_problems
from quiesce.settings import Settings
from quiesce.steps.recovery.find import Finder
from quiesce.steps.recovery.image import ImageFinder
from quiesce.steps.recovery.restore import Restorer

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient


# Longer than the recover machine may look; a test compares them.
LOOK_LEASE = timedelta(hours=3)
GIB = 2**30


@dataclass(frozen=True)
class Planner:
    """What is needed to plan a recovery."""

    ec2: "EC2Client"
    ssm: "SSMClient"
    recoveries: Recoveries
    settings: Settings
    restorer: Restorer
    now: datetime

    def plan(self, state: RecoveryState) -> Planned:
        """Plan a recovery, or return the plan that the table keeps under its id.

        Returns:
            The plan, and what EC2 would refuse now: only a dry run may have any.

        Raises:
            RecoveryRefused: the input, its recovery point or what EC2 has do not allow it; not retried.
        """
        request = read_recovery_request(state.input, self.settings.timezone)
        recovery_id = id_of(state.input, state.execution.name)
        if not re.fullmatch(ID_PATTERN, recovery_id):
            problem = f"{recovery_id!r} has characters other than letters, digits, '-' and '_'"
            raise RecoveryRefused("execution name", problem, "start it under another name, or give a recovery_id")
        kept = self.recoveries.plan(recovery_id, request) if request.mode == "instance" else None
        if kept:
            is_made = _is_made(self.ec2, kept, self.settings.stack_name)
            if not is_made:
                self._lease(kept.from_instance_id, kept.recovery_point, recovery_id, request)
            waits = not is_made and bool(self.restorer.waits_for(kept))
            return _planned(kept, [], is_made=is_made, waits=waits).model_copy(update={"goes_on": True})
        decided, problems = self._decide(recovery_id, request)
        if request.mode == "instance":
            if problems:
                more = f" (and {len(problems) - 1} more; mode 'dry-run' lists them)" if problems[1:] else ""
                raise RecoveryRefused(problems[0].field, problems[0].problem + more, problems[0].remedy)
            decided = self.recoveries.keep(decided, request)
        return _planned(decided, problems, waits=decided.restoring is not None)

    def _decide(self, recovery_id: str, request: RecoveryRequest) -> tuple[RecoveryPlan, list[RecoveryRefused]]:
        client, stack = self.ec2, self.settings.stack_name
        choice = Finder(client, self.recoveries, self.restorer.points, stack).find(request)
        point = choice.point
        self._lease(point.instance_id, point.run_id, recovery_id, request)
        image_id, said = ImageFinder(client, self.ssm, stack).find(request.image_id, point)
        backup = self._from_backup(request, point)
        decided = decide(recovery_id, _placed(client, request, point), point, image_id, backup)
        found = look(client, decided)
        waits = self._restoring(decided, found.snapshots)
        update: dict[str, Any] = {
            "restoring": waits,
            "passed_over": shortened(choice.passed_over),
            "nearest": choice.nearest,
            "notes": [note for note in (waits and waits.words, said, backup.note) if note],
            **({"zone": found.subnet.zone, "vpc_id": found.subnet.vpc_id} if found.subnet else {}),
        }
        limits = type_limits(client, decided.instance_type)
        update |= {"source": point.source, "cpu_options": cpu_options(decided, point, limits)}
        decided = decided.model_copy(update=update)
        around = look_around(client, decided, stack)
        problems = [
            *obstacles(decided, found, request.overrides.zone, choice.instead),
            *volume_problems(decided, request),
            *attachment_problems(decided, limits),
            *problems_around(decided, request, found.subnet, around),
        ]
        notes = [*decided.notes, *notes_around(decided, point, around)]
        agent = "none" if awaits_status_checks(decided, point, around) else decided.agent
        decided = decided.model_copy(update={"notes": notes, "agent": agent})
        # With obstacles there is nothing to try: EC2 would only refuse the same, in its own words.
        return decided, problems or try_changes(client, decided, stack)

    def _from_backup(self, request: RecoveryRequest, point: RecoveryPoint) -> FromBackup:
        found = find_snapshots(self.ec2, (each.snapshot_id for each in point.built)) if point.built else {}
        return from_backup(request, point, found)

    def _restoring(self, plan: RecoveryPlan, found: Mapping[str, FoundSnapshot]) -> Restoring | None:
        """Return what has to be restored first, None if nothing does; with a snapshot that is gone nothing is."""
        if any(snapshot_id not in found for snapshot_id in plan.needed_snapshots):
            return None
        waits = list(self.restorer.waits_for(plan))
        # Where EC2 names no size in full, it is at most the volume's.
        gib = sum(found[v.snapshot_id].full_bytes / GIB or v.size_gib for v in plan.volumes if v.snapshot_id in waits)
        return Restoring(snapshot_ids=waits, gib=round(gib, 3)) if waits else None

    def _lease(self, instance_id: str, run_id: str, recovery_id: str, request: RecoveryRequest) -> None:
        """Keep the recovery point from being removed until the recovery has ended, before anything of it is read.

        Raises:
            RecoveryRefused: its removal has begun; not retried.
        """
        until = self.now + (NEEDED if request.mode == "instance" else LOOK_LEASE)
        if not self.restorer.points.lease(instance_id, run_id, f"recovery {recovery_id}", self.now, until):
            problem = f"'{run_id}' is being removed, because no rule of its policy keeps it"
            raise RecoveryRefused("recovery_point", problem, "choose another; a dry run without it shows what there is")


def _is_made(client: "EC2Client", plan: RecoveryPlan, stack: str) -> bool:
    """Return whether a recovery has all of its volumes: what they were made of is needed no more, and may be gone."""
    made = {tag_of(volume, tags.DEVICE) for volume in find_volumes(client, plan.recovery_id, stack)}
    return {volume.device for volume in plan.volumes} <= made


def _planned(
    decided: RecoveryPlan, problems: Sequence[RecoveryRefused], *, is_made: bool = False, waits: bool = False
) -> Planned:
    # What is archived can't be looked into, and a dry run restores nothing.
    is_readable = not waits or decided.mode == "instance"
    return Planned(
        plan=decided,
        consistency=standing(decided),
        passed_over=decided.passed_over,
        volumes=instants(decided),
        to_restore=waits and decided.mode == "instance",
        to_look=decided.build is not None and decided.looked is None and is_readable,
        to_build=decided.mode == "instance" and bool(decided.looked and decided.looked.children) and not is_made,
        notes=decided.notes,
        possible=not problems,
        steps=describe(decided),
        problems=[str(problem) for problem in problems],
    )


def _placed(client: "EC2Client", request: RecoveryRequest, point: RecoveryPoint) -> RecoveryRequest:
    """Add the subnet if the input names only a zone, and the server was in another one."""
    wanted, source = request.overrides, point.source
    if wanted.zone is None or wanted.subnet_id or (source and source.availability_zone == wanted.zone):
        return request
    vpc_id = source.vpc_id if source else ""
    subnet_id = choose_subnet(wanted.zone, vpc_id, find_subnets(client, vpc_id) if vpc_id else [])
    return request.model_copy(update={"overrides": wanted.model_copy(update={"subnet_id": subnet_id})})
