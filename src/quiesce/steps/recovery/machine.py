"""The recover machine: every state is one step of one function, in the order of the machine.

plan (``plan``), launch, stop, make_volumes, swap, start, await_online (``moves``), finish and account (``account``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.recoveries import Recoveries
from quiesce.aws.ssm import Guest
from quiesce.clock import Clock
from quiesce.errors import NotReady
from quiesce.executions import Crossing, input_of
from quiesce.recovery.input import id_of
from quiesce.recovery.state import Launched, RecoveryState
from quiesce.settings import Settings
from quiesce.steps.recovery.account import Accounts
from quiesce.steps.recovery.moves import Recovering
from quiesce.steps.recovery.plan import plan
from quiesce.steps.recovery.report import RecoveryEnd
from quiesce.telemetry import begin, logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class RecoverStep:
    """What the steps of a recovery need."""

    ec2: "EC2Client"
    s3: "S3Client"
    sns: "SNSClient"
    ssm: "SSMClient"
    dynamodb: "DynamoDBClient"
    settings: Settings
    clock: Clock

    def take(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """Do the step that a state names, or account for an execution that ended without its account.

        Args:
            event: ``step`` and the state ``document``, or a "Step Functions Execution Status Change" of EventBridge.

        Returns:
            What the next states need; None for an event.

        Raises:
            NotReady: what the step waits for is not there yet; the retry is the wait.
            RecoveryRefused: what the input asks for is not possible; not retried.
            ChangeRefused, RecoveryBroken, RecoveryUsedUp: EC2 refuses a change, or what was made has been changed or
                is gone; not retried.
        """
        if "detail" in event:
            self._sweep(event["detail"])
            return None
        state = RecoveryState.model_validate({**event["document"], "step": event["step"]})
        begin(f"recover.{state.step}", recovery_id=id_of(state.input, state.execution.name))
        answer = self._answer(state).model_dump(mode="json")
        logger.info("took a step", reason=answer.get("reason", ""))
        return answer

    def _answer(self, state: RecoveryState) -> Crossing:
        match state.step:
            case "plan":
                return plan(self.ec2, self._recoveries, state, self.settings.stack_name)
            case "account":
                return self._accounts.account(state, self.clock.now())
            case "finish":
                self._recovering(state).finish(state.needed_server())
                return self._accounts.finish(state, self.clock.now())
            case "launch":
                return Launched(instance_id=self._recovering(state).launch())
            case _:
                return self._move(state)

    def _move(self, state: RecoveryState) -> Launched:
        recovering, server = self._recovering(state), state.needed_server()
        moves: dict[str, Callable[[str], None]] = {
            "stop": recovering.stop,
            "make_volumes": recovering.make_volumes,
            "swap": recovering.swap,
            "start": recovering.start,
            "await_online": recovering.check_status if state.needed_plan().agent == "none" else self._check_agent,
        }
        moves[state.step](server)
        return Launched(instance_id=server)

    def _check_agent(self, instance_id: str) -> None:
        agent = Guest(self.ssm, self.settings.document_name, instance_id, self.clock).describe_agent()
        if agent is None or not agent.online:
            raise NotReady(f"Systems Manager does not hear from {instance_id}")

    def _sweep(self, detail: dict[str, Any]) -> None:
        begin("recover.sweep", recovery_id=id_of(input_of(detail), detail["name"]))
        account = self._accounts.sweep(detail, self.clock.now())
        logger.info("swept", reason=account.reason if account else "nothing to sweep")

    def _recovering(self, state: RecoveryState) -> Recovering:
        return Recovering(self.ec2, self.settings.stack_name, state.needed_plan())

    @property
    def _recoveries(self) -> Recoveries:
        return Recoveries(self.dynamodb, self.settings.table_name)

    @property
    def _accounts(self) -> Accounts:
        end = RecoveryEnd(self.s3, self.sns, self._recoveries, self.settings)
        return Accounts(self.ec2, self._recoveries, end, self.settings.stack_name)
