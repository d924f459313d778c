"""The retention machine: every state is one step of one function, in the order of the machine.

list and give_up (here), plan (``plan``), lock (``lock``), mark and finish (``remove``), archive (``archive``), tell
(``tell``). Each step may be repeated.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.bucket import Bucket
from quiesce.aws.policies.policy_run_files import PolicyRunFiles
from quiesce.aws.retention.archivings import Archivings
from quiesce.aws.retention.outcomes import Outcomes
from quiesce.aws.retention.points import Points
from quiesce.aws.retention.rules import Rules
from quiesce.aws.retention.server_lists import ServerLists
from quiesce.clock import Clock
from quiesce.errors import NotReady, PruningBusy
from quiesce.executions import Cause, Crossing, cause_of
from quiesce.retention.state import Finished, RetentionState, ServerPlan, Servers, Step
from quiesce.settings import Settings
from quiesce.steps.retention.archive import Archiver
from quiesce.steps.retention.lock import Locker
from quiesce.steps.retention.plan import Planner
from quiesce.steps.retention.remove import Remover
from quiesce.steps.retention.tell import Teller
from quiesce.telemetry import begin, logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient


@dataclass(frozen=True)
class RetentionStep:
    """What the steps of retention need."""

    ec2: "EC2Client"
    ebs: "EBSClient"
    s3: "S3Client"
    sns: "SNSClient"
    dynamodb: "DynamoDBClient"
    settings: Settings
    clock: Clock

    def take(self, event: dict[str, Any], remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Do the step that a state names.

        Args:
            event: ``step`` and the state ``document``.
            remaining_ms: how long the function may still run.

        Returns:
            What the next states need.

        Raises:
            RetentionRefused: what a person asked for is not possible; nothing was changed; not retried.
            PruningBusy: another execution is at work on the server; not retried.
            NotReady: EC2 still lists what it has agreed to delete; the retry is the wait.
            AwsThrottled, AwsUnavailable: retried by the state machine.
        """
        state = RetentionState.model_validate({**event["document"], "step": event["step"]})
        begin(f"retention.{state.step}", instance_id=state.server)
        answer = self._answer(state, remaining_ms).model_dump(mode="json")
        logger.info("took a step")
        return answer

    def _answer(self, state: RetentionState, remaining_ms: Callable[[], int]) -> Crossing:
        now = self.clock.now()
        match state.step:
            case "list":
                return self._list(state)
            case "plan":
                return self._plan(state)
            case "mark":
                return self._remover.mark(state, now)
            case "lock" | "finish" | "archive":
                return self._acting[state.step](state, remaining_ms, now)
            case "give_up":
                return self._give_up(state)
            case "tell":
                return Teller(self.sns, self._lists, self._outcomes, self.settings.topic_arn).tell(state)

    def _list(self, state: RetentionState) -> Servers:
        servers = self._servers(state)
        key = self._lists.write_servers(state.execution.name, servers)
        return Servers(servers=len(servers), items=key, dry_run=state.request.mode == "dry-run")

    def _servers(self, state: RetentionState) -> list[str]:
        request = state.request
        if request.instance_id:
            return [request.instance_id]
        if request.policy_run and request.policy:
            files = PolicyRunFiles(self.s3, self.settings.bucket_name, request.policy, request.policy_run)
            return [item.instance_id for item in files.read_items()]
        return self._points.servers()

    def _plan(self, state: RetentionState) -> ServerPlan:
        planned = self._planner.plan(state.server, state.request, self.clock.now())
        planned = planned.model_copy(update={"execution": state.execution.id})
        if not state.request.instance_id:
            planned = planned.model_copy(update={"text": ""})
        if state.request.mode == "dry-run":
            self._outcomes.keep_planned(planned)
        return planned

    def _give_up(self, state: RetentionState) -> Finished:
        """Keep why a server is not finished; that another execution is at work on it is no problem."""
        cause = cause_of(state.failure) if state.failure else Cause("an error", "nothing says which")
        words = f"{cause.error}: {cause.words}"
        is_busy = cause.error == PruningBusy.__name__
        # What Finish has waited for it has kept itself.
        is_problem = not is_busy and cause.error != NotReady.__name__
        given_up = Finished(
            execution=state.execution.id,
            at=self.clock.now(),
            instance_id=state.server,
            removed=[],
            images=[],
            notes=[words] if is_busy else [],
            problems=[words] if is_problem else [],
        )
        self._outcomes.keep_given_up(given_up)
        return given_up

    @property
    def _acting(self) -> Mapping[Step, Callable[[RetentionState, Callable[[], int], datetime], Crossing]]:
        """What works as long as the function has time."""
        archivings = Archivings(self.dynamodb, self.settings.table_name)
        return {
            "lock": Locker(self.ec2, self._planner).lock,
            "finish": self._remover.finish,
            "archive": Archiver(self.ec2, self.ebs, self._planner, archivings, self._outcomes).archive,
        }

    @property
    def _points(self) -> Points:
        return Points(self.dynamodb, self.settings.table_name)

    @property
    def _lists(self) -> ServerLists:
        return ServerLists(self.s3, self.settings.bucket_name)

    @property
    def _outcomes(self) -> Outcomes:
        return Outcomes(self.dynamodb, self.settings.table_name)

    @property
    def _bucket(self) -> Bucket:
        # Retention makes no links.
        return Bucket(self.s3, self.s3, self.settings.bucket_name)

    @property
    def _planner(self) -> Planner:
        rules = Rules(self.dynamodb, self.settings.table_name)
        return Planner(self.ec2, self._bucket, self._points, rules, self.settings.stack_name)

    @property
    def _remover(self) -> Remover:
        return Remover(self.ec2, self._bucket, self._outcomes, self._planner)
