"""The steps of the recover machine, by name: each answers with what the next states need."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.images import find_images
from quiesce.aws.recoveries import Recoveries
from quiesce.aws.recovery_looks import find_instance, find_subnets, look, try_changes
from quiesce.aws.ssm import Guest
from quiesce.backup.state import Crossing
from quiesce.backup.swept import WORDS, execution_of, input_of
from quiesce.errors import NotReady, RecoveryRefused
from quiesce.executions import cause_of
from quiesce.points.point import RecoveryPoint, choose
from quiesce.recovery.account import Account, cut_off, failed, recovered
from quiesce.recovery.input import ID_PATTERN, RecoveryRequest, read_recovery_request
from quiesce.recovery.obstacles import choose_image, choose_subnet, obstacles
from quiesce.recovery.plan import RecoveryPlan, decide, describe
from quiesce.recovery.state import Launched, Planned, RecoveryState
from quiesce.steps.recovery.cleanup import clean_up, remains
from quiesce.steps.recovery.moves import Recovering
from quiesce.steps.recovery.report import RecoveryDesk

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client


@dataclass(frozen=True)
class RecoverySteps:
    """What is needed to recover: clients, and the stack's own resources."""

    ec2: "EC2Client"
    recoveries: Recoveries
    guest: Callable[[str], Guest]
    """A server by its id."""
    stack: str
    desk: RecoveryDesk

    def take(self, state: RecoveryState, now: datetime) -> dict[str, Any]:
        """Do the step that the state names; its errors say whether it may be asked again."""
        match state.step:
            case "plan":
                answer: Crossing = self._plan(state)
            case "account":
                answer = self._account(state, now)
            case "finish":
                answer = self._finish(state, now)
            case _:
                answer = self._recover(state)
        return answer.model_dump(mode="json")

    def sweep(self, detail: Mapping[str, Any], now: datetime) -> Account | None:
        """Account for an execution that ended without saying what exists; None if it said so, or could leave nothing.

        Nothing is deleted, whatever was to happen on a failure: who stopped it may have started it again by now.

        Args:
            detail: of a "Step Functions Execution Status Change" event.
            now: UTC.
        """
        error, words = WORDS[detail["status"]]
        execution, asked = execution_of(detail), input_of(detail)
        recovery_id = id_of(asked, execution.name)
        if _is_dry_run(asked) or self.desk.is_told(recovery_id, execution.id):
            return None
        ending = self.desk.ending(recovery_id, execution, now)
        plan = self.recoveries.kept_plan(recovery_id)
        exists = remains(self.ec2, recovery_id, self.stack)
        return self.desk.end(cut_off(ending, plan, f"{error}: {words}", exists), execution.name)

    def _plan(self, state: RecoveryState) -> Planned:
        request = read_recovery_request(state.input)
        recovery_id = id_of(state.input, state.execution.name)
        if not re.fullmatch(ID_PATTERN, recovery_id):
            problem = f"{recovery_id!r} has characters beside letters, digits, '-' and '_'"
            raise RecoveryRefused("execution name", problem, "start it under another name, or give a recovery_id")
        kept = self.recoveries.plan(recovery_id, request) if request.mode == "instance" else None
        if kept:
            return Planned(plan=kept, possible=True, steps=describe(kept), problems=[])
        plan, problems = self._decide(recovery_id, request)
        if request.mode == "instance":
            if problems:
                more = f" (and {len(problems) - 1} more; mode 'dry-run' lists them)" if problems[1:] else ""
                raise RecoveryRefused(problems[0].field, problems[0].problem + more, problems[0].remedy)
            plan = self.recoveries.keep(plan, request)
        words = [str(problem) for problem in problems]
        return Planned(plan=plan, possible=not problems, steps=describe(plan), problems=words)

    def _decide(self, recovery_id: str, request: RecoveryRequest) -> tuple[RecoveryPlan, list[RecoveryRefused]]:
        instance_id = request.instance_id or find_instance(self.ec2, self.stack, request.recovery_point or "")
        if instance_id is None:
            problem = f"no snapshot of '{request.recovery_point}' exists in this stack"
            raise RecoveryRefused("recovery_point", problem, "look for its id in the records (output ReadRecords)")
        point = choose(request, self.recoveries.points(instance_id))
        image_id = choose_image(find_images(self.ec2, self.stack, instance_id), point)
        plan = decide(recovery_id, self._placed(request, point), point, image_id)
        found = look(self.ec2, plan)
        if found.subnet:
            plan = plan.model_copy(update={"zone": found.subnet.zone, "vpc_id": found.subnet.vpc_id})
        # What does not exist would only be refused again, in EC2's words.
        return plan, obstacles(plan, found, request.overrides.zone) or try_changes(self.ec2, plan, self.stack)

    def _placed(self, request: RecoveryRequest, point: RecoveryPoint) -> RecoveryRequest:
        """Name the subnet where only a zone was asked for, and the server was in another one."""
        wanted, source = request.overrides, point.source
        if wanted.zone is None or wanted.subnet_id or (source and source.availability_zone == wanted.zone):
            return request
        vpc_id = source.vpc_id if source else ""
        subnet_id = choose_subnet(wanted.zone, vpc_id, find_subnets(self.ec2, vpc_id) if vpc_id else [])
        return request.model_copy(update={"overrides": wanted.model_copy(update={"subnet_id": subnet_id})})

    def _recover(self, state: RecoveryState) -> Crossing:
        plan = state.needed_plan()
        recovering = Recovering(self.ec2, self.stack, plan)
        if state.step == "launch":
            return Launched(instance_id=recovering.launch())
        does: dict[str, Callable[[str], None]] = {
            "stop": recovering.stop,
            "make_volumes": recovering.make_volumes,
            "swap": recovering.swap,
            "start": recovering.start,
            "await_online": recovering.check_status if plan.agent == "none" else self._check_agent,
        }
        server = state.needed_server()
        does[state.step](server)
        return Launched(instance_id=server)

    def _finish(self, state: RecoveryState, now: datetime) -> Account:
        plan, server = state.needed_plan(), state.needed_server()
        Recovering(self.ec2, self.stack, plan).finish(server)
        ending = self.desk.ending(plan.recovery_id, state.execution, now)
        exists = remains(self.ec2, plan.recovery_id, self.stack)
        return self.desk.try_to_end(recovered(ending, plan, server, exists), state.execution.name)

    def _check_agent(self, instance_id: str) -> None:
        agent = self.guest(instance_id).describe_agent()
        if agent is None or not agent.online:
            raise NotReady(f"Systems Manager does not hear from {instance_id}")

    def _account(self, state: RecoveryState, now: datetime) -> Account:
        recovery_id, plan = id_of(state.input, state.execution.name), state.plan.plan if state.plan else None
        cause = cause_of(state.failure) if state.failure else None
        words = f"{cause.error}: {cause.words}" if cause else "no reason was given"
        if plan and state.await_online:
            # It is in its real network and at work: what is left to do is nothing to delete it for.
            plan = plan.model_copy(update={"on_failure": "keep"})
        if plan and plan.on_failure == "clean-up":
            clean_up(self.ec2, recovery_id, self.stack)
        ending = self.desk.ending(recovery_id, state.execution, now)
        account = failed(ending, plan, words, remains(self.ec2, recovery_id, self.stack))
        # A dry run leaves nothing behind, and whoever started it reads its cause.
        return account if _is_dry_run(state.input) else self.desk.try_to_end(account, state.execution.name)


def id_of(asked: Any, execution_name: str) -> str:
    """Return who a recovery is, also of one whose input is refused: as it says, or the execution's name."""
    given = asked.get("recovery_id") if isinstance(asked, dict) else None
    return given if isinstance(given, str) and re.fullmatch(ID_PATTERN, given) else execution_name


def _is_dry_run(asked: Any) -> bool:
    return isinstance(asked, dict) and asked.get("mode") == "dry-run"
