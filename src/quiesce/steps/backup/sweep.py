"""Sweep: end the run of a stopped, timed out or failed execution: thaw, complete with 0, record, lease.

It does nothing if the run has its record. Like the event it is best effort: the server has its own deadlines.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.clients import ANY_REFUSAL
from quiesce.aws.history import last_document
from quiesce.aws.ssm import Guest
from quiesce.backup import initial_image
from quiesce.backup.awaiting import ADOPTION_S
from quiesce.backup.parameters import session_parameters
from quiesce.backup.run import RunIdentity, identify
from quiesce.backup.session_problems import was_asked
from quiesce.backup.shadow_copies import ending_words, log_of
from quiesce.backup.state import Complete, ImageKept, Plan, RunState
from quiesce.backup.swept import Ended, left_by, remembered, with_end
from quiesce.errors import (
    AgentUnreachable,
    AnswerUnreadable,
    AwsThrottled,
    AwsUnavailable,
    CommandRefused,
    GuestRefused,
)
from quiesce.executions import execution_of, failure_of, input_of
from quiesce.guest.answers import session_of
from quiesce.guest.patience import sweep_wait
from quiesce.points.record import Record
from quiesce.steps.backup.end import EndingStep
from quiesce.steps.backup.make_image import upkeep_of
from quiesce.telemetry import begin, logger

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# Snapshot's function outlives its execution by its own time limit, and EC2 may list its set as late as for others.
SNAPSHOT_TIMEOUT_S = 30
LOOK_FOR_S = SNAPSHOT_TIMEOUT_S + ADOPTION_S + 5


@dataclass(frozen=True)
class SweepStep(EndingStep):
    """What sweep needs."""

    stepfunctions: "SFNClient"

    def take(self, event: dict[str, Any]) -> None:
        """End the run of an execution that has ended without its record.

        Args:
            event: a "Step Functions Execution Status Change" of EventBridge.

        Raises:
            RunAlreadyStarted: the run is another execution's; nothing was changed.
            AwsThrottled, AwsUnavailable: Lambda retries the event.
        """
        detail, now = event["detail"], self.clock.now()
        run = identify(execution_of(detail), input_of(detail))
        begin("sweep", run_id=run.run_id, instance_id=run.instance_id, policy=run.policy)
        item = self.runs.run(run)
        if item.get("execution", detail["executionArn"]) != detail["executionArn"]:
            logger.info("nothing to sweep")
            return
        if "record" in item:
            # Report may have died between its record and its end.
            self.release(run, Record.model_validate_json(item["record"]))
            logger.info("nothing to sweep")
            return
        self.runs.bar(run)
        item = self.runs.run(run)
        state = left_by(detail, item)
        guest = self.guest(state)
        if "judged" in item:
            self.end(state, guest, now)
            return
        # The application comes first.
        ended = end_session(guest, state.plan, state.attempt) if was_asked(state) else Ended()
        self.end(with_end(self._remembered(state, item), ended), guest, now)

    def looked(self, state: RunState, run: RunIdentity) -> RunState:
        """Look at the snapshots, whatever the states had seen of them, and for an image that none has named."""
        state = self.look(state, run, LOOK_FOR_S)
        if state.plan is None or not initial_image.is_unnamed(state):
            return state
        try:
            upkeep = upkeep_of(self.ec2, self.settings.stack_name, state.plan, self.clock.now())
        except ANY_REFUSAL as error:
            # A backup is as good without an image.
            return state.model_copy(update={"make_image_failure": failure_of(error)})
        return state.model_copy(update={"make_image": ImageKept(image_id=upkeep.latest, notes=[], calls={})})

    def _remembered(self, left: RunState, item: dict[str, str]) -> RunState:
        """Return what the execution's states had left; if its history can't be read, that is not known."""
        try:
            return remembered(left, item, last_document(self.stepfunctions, left.execution.id))
        except (AwsThrottled, AwsUnavailable):
            raise
        except ANY_REFUSAL as error:
            logger.exception("the execution's history can't be read")
            return left.model_copy(update={"unread": failure_of(error)})


def end_session(guest: Guest, plan: Plan | None, attempt: int) -> Ended:
    """Have the server end the session with 0; it thaws first, if it has not yet.

    If Complete asked it first, it ended the session with Complete's argument, and says so.
    """
    if plan is None:
        return Ended()
    wait_s, patience = sweep_wait(plan.settings.limits)
    try:
        answer = guest.ask("complete", session_parameters(plan, attempt, wait_s), patience)
        session, ending = session_of(answer), ending_words(log_of(answer))
    except (AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused) as error:
        return Ended(problem=f"{error}; the server thaws and ends its session by itself")
    succeeded = ending == "completed" or (session.complete is not None and session.complete.argument == "1")
    return Ended(Complete(session=session, succeeded=succeeded, ending=ending, calls={}))
