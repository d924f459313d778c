"""Finish and Account: record how an execution of a recovery ended, and what exists of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.recoveries import Recoveries
from quiesce.executions import Cause, cause_of, cause_of_ending, execution_of, input_of
from quiesce.recovery.account import Account, cut_off, failed, recovered
from quiesce.recovery.input import id_of, is_dry_run
from quiesce.recovery.state import RecoveryState
from quiesce.steps.recovery.cleanup import clean_up, remains
from quiesce.steps.recovery.report import RecoveryEnd

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

NO_CAUSE = Cause("Unknown", "no reason was given")


@dataclass(frozen=True)
class Accounts:
    """What is needed to account for a recovery."""

    ec2: "EC2Client"
    recoveries: Recoveries
    end: RecoveryEnd
    stack: str

    def finish(self, state: RecoveryState, now: datetime) -> Account:
        """Account for a recovery that succeeded."""
        plan, server = state.needed_plan(), state.needed_server()
        ending = self.end.ending(plan.recovery_id, state.execution, now)
        exists = remains(self.ec2, plan.recovery_id, self.stack)
        return self.end.try_to_end(recovered(ending, plan, server, exists), state.execution.name)

    def account(self, state: RecoveryState, now: datetime) -> Account:
        """Account for a recovery that failed, after deleting what it made if that was asked for.

        Raises:
            NotReady: EC2 still lists what is being deleted; retried.
        """
        recovery_id, plan = id_of(state.input, state.execution.name), state.plan.plan if state.plan else None
        cause = cause_of(state.failure) if state.failure else NO_CAUSE
        if plan and state.await_online:
            # The server is in its real network and in use: a failure of the last steps is no reason to delete it.
            plan = plan.model_copy(update={"on_failure": "keep"})
        if plan and plan.on_failure == "clean-up":
            clean_up(self.ec2, recovery_id, self.stack)
        ending = self.end.ending(recovery_id, state.execution, now)
        account = failed(ending, plan, cause, remains(self.ec2, recovery_id, self.stack))
        # A dry run leaves nothing behind, and the person who started it reads its cause.
        return account if is_dry_run(state.input) else self.end.try_to_end(account, state.execution.name)

    def sweep(self, detail: Mapping[str, Any], now: datetime) -> Account | None:
        """Account for an execution that ended without its account; None if it has one or was a dry run.

        This deletes nothing, whatever ``on_failure`` is: a person who stopped it may have started it again.

        Args:
            detail: of a "Step Functions Execution Status Change" event.
            now: UTC.
        """
        cause = cause_of_ending(detail)
        execution, raw = execution_of(detail), input_of(detail)
        recovery_id = id_of(raw, execution.name)
        if is_dry_run(raw) or self.end.has_account(recovery_id, execution.id):
            return None
        ending = self.end.ending(recovery_id, execution, now)
        plan = self.recoveries.kept_plan(recovery_id)
        exists = remains(self.ec2, recovery_id, self.stack)
        return self.end.end(cut_off(ending, plan, cause, exists), execution.name)
