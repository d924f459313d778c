"""Sweep: end the run of a stopped, timed out or failed execution: thaw, complete with 0, record, lease.

It does nothing if the run has its record. Like the event it is best effort: the server has its own deadlines.
"""

from dataclasses import dataclass
from typing import Any

from quiesce.aws.snapshots import find_snapshots
from quiesce.aws.ssm import Guest
from quiesce.backup.parameters import session_parameters
from quiesce.backup.run import RunIdentity, identify
from quiesce.backup.session_problems import was_asked
from quiesce.backup.state import Plan
from quiesce.backup.swept import left_by, with_end
from quiesce.errors import AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused
from quiesce.executions import execution_of, input_of
from quiesce.guest.answers import Session, session_of
from quiesce.guest.patience import sweep_wait
from quiesce.points.parts import Snapshot
from quiesce.points.record import Record
from quiesce.steps.backup.end import EndingStep
from quiesce.telemetry import begin, logger

# As long as AwaitSnapshots looks for a set whose answer was lost.
LOOKS, LOOK_AGAIN_S = 7, 5.0


@dataclass(frozen=True)
class SweepStep(EndingStep):
    """What sweep needs."""

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
        state, guest = left_by(detail, self.runs.run(run)), self.guest(run)
        if "judged" in item:
            self.end(state, guest, now)
            return
        session, problem = end_session(guest, state.plan, state.attempt) if was_asked(state) else (None, "")
        found = self._find_snapshots(run)
        self.end(with_end(state, session, problem, found, now), guest, now)

    def _find_snapshots(self, run: RunIdentity) -> list[Snapshot]:
        """Find the snapshots of an execution that has ended: Snapshot may still run, and EC2 lists them late."""
        for _ in range(LOOKS):
            found = find_snapshots(self.ec2, run, self.settings.stack_name)
            if found or not self.runs.has_sent_snapshot(run):
                return found
            self.clock.sleep(LOOK_AGAIN_S)
        return []


def end_session(guest: Guest, plan: Plan | None, attempt: int) -> tuple[Session | None, str]:
    """Have the server end the session with 0; it thaws first, if it has not yet.

    Returns:
        The session, or why the server did not report it: it has its own deadlines.
    """
    if plan is None:
        return None, ""
    wait_s, patience = sweep_wait(plan.settings.limits)
    try:
        return session_of(guest.ask("complete", session_parameters(plan, attempt, wait_s), patience)), ""
    except (AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused) as error:
        return None, f"{error}; the server thaws and ends its session by itself"
