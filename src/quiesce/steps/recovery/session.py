"""EndSession: ask the recovered server what became of the backup's session, which its snapshots had found open."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.ssm import Guest
from quiesce.clock import Clock
from quiesce.errors import NotReady
from quiesce.guest.answers import recovered_of
from quiesce.guest.documents import documents_of
from quiesce.guest.patience import Patience
from quiesce.recovery.leftovers import Leftovers, left
from quiesce.recovery.plan import RecoveryPlan
from quiesce.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# The function ends before: while after runs for longer, the server says so, and is asked again.
SERVER_WAITS_S = 45
PATIENCE = Patience(75, 2.0)
# What the server says while it has not done yet what was asked.
NOT_YET = {"NotYet", "Busy"}


@dataclass(frozen=True)
class SessionStep:
    """What EndSession needs."""

    ssm: "SSMClient"
    settings: Settings
    clock: Clock

    def take(self, plan: RecoveryPlan, instance_id: str) -> Leftovers:
        """Return what the server has left of the backup's session; it has ended it, and deleted no shadow copy.

        The after script runs only if the plan asks for it, and once, however often this is repeated.

        Raises:
            NotReady: the after script still runs; the retry is the wait.
            AgentUnreachable, AwsThrottled, AwsUnavailable: retried by the state machine.
            AnswerUnreadable, CommandRefused, GuestRefused: not retried. Whatever fails, the recovery goes on.
        """
        if not plan.froze:
            return Leftovers(unasked="the backup froze nothing")
        guest = Guest(self.ssm, documents_of(self.settings), instance_id, self.clock)
        agent = guest.describe_agent()
        if agent is None or not agent.online:
            return Leftovers(unasked="Systems Manager does not hear from the server")
        parameters = {
            "RunId": plan.recovery_point,
            "InstanceId": instance_id,
            "WaitSeconds": str(SERVER_WAITS_S),
            "ThawAfterRecovery": "true" if plan.thaw_after_recovery else "false",
        }
        answer = guest.with_latest_documents().ask("recovered", parameters, PATIENCE)
        if answer.error_name in NOT_YET:
            raise NotReady(f"{instance_id} has not ended the backup's session yet: {answer.error}")
        return Leftovers(sessions=[left(session, plan.snapshots_at) for session in recovered_of(answer)])
