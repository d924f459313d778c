"""The recover machine: every state is one step of one function, in the order of the machine.

plan (``plan``), restore (``restore``), weigh (``weigh``), launch, make_volumes, stop, swap, start, await_online
(``moves``), end_session (``session``), finish and account (``account``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.recoveries import Recoveries
from quiesce.aws.retention.archivings import Archivings
from quiesce.aws.retention.points import Points
from quiesce.aws.ssm import Guest
from quiesce.clock import Clock
from quiesce.errors import NotReady, QuiesceError
from quiesce.executions import Crossing, input_of
from quiesce.guest.documents import documents_of
from quiesce.recovery.account import Account
from quiesce.recovery.input import id_of, is_dry_run
from quiesce.recovery.state import Launched, RecoveryState, SessionEnded
from quiesce.settings import Settings
from quiesce.steps.recovery.account import Accounts
from quiesce.steps.recovery.moves import Recovering
from quiesce.steps.recovery.plan import Planner
from quiesce.steps.recovery.progress import ProgressTeller
from quiesce.steps.recovery.report import RecoveryEnd
from quiesce.steps.recovery.restore import Restorer
from quiesce.steps.recovery.session import SessionStep
from quiesce.steps.recovery.weigh import weigh
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
        try:
            answer = self._answer(state)
        except QuiesceError as error:
            self._progress.waits(state, error)
            raise
        self._progress.answered(state, answer)
        told = answer.model_dump(mode="json")
        logger.info("took a step", reason=told.get("reason", ""))
        return told

    def _answer(self, state: RecoveryState) -> Crossing:
        match state.step:
            case "plan":
                restorer = self._restorer
                planner = Planner(self.ec2, self.ssm, self._recoveries, self.settings, restorer, restorer.now)
                return self._progress.with_past(planner.plan(state))
            case "restore":
                return self._restorer.restore(state)
            case "weigh":
                return weigh(self._recoveries, state, self.clock.now())
            case "account":
                return self._ended(self._accounts.account(state, self.clock.now()), state)
            case "finish":
                self._recovering(state).finish(state.needed_server())
                return self._ended(self._accounts.finish(state, self.clock.now()), state)
            case _:
                return self._move(state)

    def _move(self, state: RecoveryState) -> Launched | SessionEnded:
        if state.step == "launch":
            return Launched(instance_id=self._recovering(state).launch(), ended_at=self.clock.now())
        if state.step == "end_session":
            step = SessionStep(self.ssm, self.settings, self.clock)
            leftovers = step.take(state.needed_plan(), state.needed_server())
            return SessionEnded(leftovers=leftovers, ended_at=self.clock.now())
        recovering, server = self._recovering(state), state.needed_server()
        moves: dict[str, Callable[[str], None]] = {
            "stop": recovering.stop,
            "make_volumes": recovering.make_volumes,
            "swap": recovering.swap,
            "start": recovering.start,
            "await_online": recovering.check_status if state.needed_plan().agent == "none" else self._check_agent,
        }
        moves[state.step](server)
        return Launched(instance_id=server, ended_at=self.clock.now())

    def _ended(self, account: Account, state: RecoveryState) -> Account:
        if account.status == "Recovered":
            self._progress.keep_durations(state)
        if not is_dry_run(state.input):
            self._progress.ended(account)
        return account

    def _check_agent(self, instance_id: str) -> None:
        agent = Guest(self.ssm, documents_of(self.settings), instance_id, self.clock).describe_agent()
        if agent is None or not agent.online:
            raise NotReady(
                f"Systems Manager does not hear from {instance_id}; look whether its subnet has a way there, and its "
                "profile the rights; Windows Server 2016 and 2019 may keep routes to the metadata service through the "
                "gateway of their old subnet (docs/use/recover.md, The drill)"
            )

    def _sweep(self, detail: dict[str, Any]) -> None:
        begin("recover.sweep", recovery_id=id_of(input_of(detail), detail["name"]))
        account = self._accounts.sweep(detail, self.clock.now())
        if account:
            self._progress.ended(account)
        logger.info("swept", reason=account.reason if account else "nothing to sweep")

    def _recovering(self, state: RecoveryState) -> Recovering:
        return Recovering(self.ec2, self.settings.stack_name, state.needed_plan(), state.execution.started_at)

    @property
    def _restorer(self) -> Restorer:
        table = self.dynamodb, self.settings.table_name
        return Restorer(self.ec2, Points(*table), Archivings(*table), self.clock.now())

    @property
    def _recoveries(self) -> Recoveries:
        return Recoveries(self.dynamodb, self.settings.table_name)

    @property
    def _progress(self) -> ProgressTeller:
        return ProgressTeller(self._end.bucket, self._recoveries, self.clock.now())

    @property
    def _end(self) -> RecoveryEnd:
        return RecoveryEnd(self.s3, self.sns, self._recoveries, self.settings)

    @property
    def _accounts(self) -> Accounts:
        return Accounts(self.ec2, self._recoveries, self._end, self.settings.stack_name)
