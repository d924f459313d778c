"""Finish and Account: record how an execution of a recovery ended, and what exists of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.clients import ANY_REFUSAL
from quiesce.aws.recoveries import Recoveries
from quiesce.aws.recovery_looks import status_checks
from quiesce.aws.surroundings import look_at_end
from quiesce.errors import NotReady
from quiesce.executions import Cause, cause_of, cause_of_ending, execution_of, input_of, starter_of
from quiesce.recovery.account import Account, cut_off, failed, recovered
from quiesce.recovery.hand_over import Handed, hand_over
from quiesce.recovery.input import id_of, is_dry_run
from quiesce.recovery.plan import RecoveryPlan
from quiesce.recovery.progress import took_words
from quiesce.recovery.state import RecoveryState, is_healthy
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
        ending = self.end.ending(plan.recovery_id, state.execution, now, _took(state, now))
        exists = remains(self.ec2, plan.recovery_id, self.stack)
        found = replace(
            self._handed(plan, server),
            leftovers=state.end_session.leftovers if state.end_session else None,
            no_answer=cause_of(state.end_session_failure) if state.end_session_failure else None,
        )
        handed = hand_over(plan, found, self.ec2.meta.region_name)
        account = _started_by(recovered(ending, plan, server, exists, handed), state.input)
        return self.end.try_to_end(account, state.execution.name)

    def _handed(self, plan: RecoveryPlan, server: str) -> Handed:
        handed = look_at_end(self.ec2, plan, server)
        try:
            return replace(handed, policy_lines=self.end.bucket.lines_with(plan.from_instance_id))
        except ANY_REFUSAL as error:  # the server is recovered all the same
            return replace(handed, unread=str(error))

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
        runs = bool(plan and plan.on_failure == "clean-up" and state.start and self._passes_checks(state))
        if plan and plan.on_failure == "clean-up" and not runs:
            clean_up(self.ec2, recovery_id, self.stack)
        ending = self.end.ending(recovery_id, state.execution, now, _took(state, None))
        exists = remains(self.ec2, recovery_id, self.stack)
        account = _started_by(failed(ending, plan, cause, exists, runs=runs), state.input)
        # A dry run leaves nothing behind, and the person who started it reads its cause.
        return account if is_dry_run(state.input) else self.end.try_to_end(account, state.execution.name)

    def _passes_checks(self, state: RecoveryState) -> bool:
        """Say whether the server runs and passes EC2's status checks, although the recovery could not wait for more."""
        server = state.needed_server()
        try:
            return is_healthy(status_checks(self.ec2, server))
        except NotReady:
            return False

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
        return self.end.end(_started_by(cut_off(ending, plan, cause, exists), raw), execution.name)


def _started_by(account: Account, raw: Any) -> Account:
    return account.model_copy(update={"started_by": starter_of(raw)})


def _took(state: RecoveryState, finished_at: datetime | None) -> str:
    return took_words(state.took(finished_at), state.plan.past if state.plan else {})
