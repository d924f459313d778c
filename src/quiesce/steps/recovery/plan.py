"""Plan: choose the recovery point, and check everything before anything is created."""

import re
from typing import TYPE_CHECKING

from quiesce.aws.images import find_images
from quiesce.aws.recoveries import Recoveries
from quiesce.aws.recovery_looks import find_instances, find_subnets, look, try_changes
from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.choice import choose, only_server
from quiesce.recovery.input import ID_PATTERN, RecoveryRequest, id_of, read_recovery_request
from quiesce.recovery.obstacles import choose_image, choose_subnet, obstacles
from quiesce.recovery.plan import RecoveryPlan, decide, describe
from quiesce.recovery.state import Planned, RecoveryState

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


def plan(client: "EC2Client", recoveries: Recoveries, state: RecoveryState, stack: str) -> Planned:
    """Plan a recovery, or return the plan that the table keeps under its id.

    Returns:
        The plan, and what EC2 would refuse now: only a dry run may have any.

    Raises:
        RecoveryRefused: the input, its recovery point or what EC2 has do not allow it; not retried.
    """
    request = read_recovery_request(state.input)
    recovery_id = id_of(state.input, state.execution.name)
    if not re.fullmatch(ID_PATTERN, recovery_id):
        problem = f"{recovery_id!r} has characters other than letters, digits, '-' and '_'"
        raise RecoveryRefused("execution name", problem, "start it under another name, or give a recovery_id")
    kept = recoveries.plan(recovery_id, request) if request.mode == "instance" else None
    if kept:
        return Planned(plan=kept, possible=True, steps=describe(kept), problems=[])
    decided, problems = _decide(client, recoveries, recovery_id, request, stack)
    if request.mode == "instance":
        if problems:
            more = f" (and {len(problems) - 1} more; mode 'dry-run' lists them)" if problems[1:] else ""
            raise RecoveryRefused(problems[0].field, problems[0].problem + more, problems[0].remedy)
        decided = recoveries.keep(decided, request)
    words = [str(problem) for problem in problems]
    return Planned(plan=decided, possible=not problems, steps=describe(decided), problems=words)


def _decide(
    client: "EC2Client", recoveries: Recoveries, recovery_id: str, request: RecoveryRequest, stack: str
) -> tuple[RecoveryPlan, list[RecoveryRefused]]:
    instance_id = request.instance_id
    if instance_id is None:
        run_id = request.recovery_point or ""
        instance_id = only_server(run_id, find_instances(client, stack, run_id))
    point = choose(request, recoveries.points(instance_id))
    image_id = choose_image(find_images(client, stack, instance_id), point)
    decided = decide(recovery_id, _placed(client, request, point), point, image_id)
    found = look(client, decided)
    if found.subnet:
        decided = decided.model_copy(update={"zone": found.subnet.zone, "vpc_id": found.subnet.vpc_id})
    # With obstacles there is nothing to try: EC2 would only refuse the same, in its own words.
    return decided, obstacles(decided, found, request.overrides.zone) or try_changes(client, decided, stack)


def _placed(client: "EC2Client", request: RecoveryRequest, point: RecoveryPoint) -> RecoveryRequest:
    """Add the subnet if the input names only a zone, and the server was in another one."""
    wanted, source = request.overrides, point.source
    if wanted.zone is None or wanted.subnet_id or (source and source.availability_zone == wanted.zone):
        return request
    vpc_id = source.vpc_id if source else ""
    subnet_id = choose_subnet(wanted.zone, vpc_id, find_subnets(client, vpc_id) if vpc_id else [])
    return request.model_copy(update={"overrides": wanted.model_copy(update={"subnet_id": subnet_id})})
