"""The doctor machine's states that look: list, examine, give up and tell, each a step of one function."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.bucket import Bucket
from quiesce.aws.doctor.fixes import Fixes
from quiesce.aws.doctor.kept import Kept
from quiesce.aws.doctor.outside import look_outside
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.ssm import Guest
from quiesce.clock import Clock
from quiesce.doctor.diagnosis import Diagnosis, diagnose, given_up
from quiesce.doctor.inside import Asked
from quiesce.doctor.outside import Outside
from quiesce.doctor.state import DoctorState, Examined, Listed
from quiesce.errors import AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused
from quiesce.executions import Cause, Crossing, cause_of
from quiesce.guest.documents import Documents
from quiesce.guest.examination import examination_of
from quiesce.guest.inventory import inventory_of
from quiesce.guest.patience import EXAMINE_PATIENCE
from quiesce.settings import DoctorSettings
from quiesce.steps.doctor.choose import Chooser
from quiesce.steps.doctor.tell import Teller
from quiesce.telemetry import begin, logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class DoctorStep:
    """What the steps of the doctor need."""

    ec2: "EC2Client"
    iam: "IAMClient"
    ssm: "SSMClient"
    s3: "S3Client"
    sns: "SNSClient"
    dynamodb: "DynamoDBClient"
    settings: DoctorSettings
    clock: Clock

    def take(self, event: dict[str, Any]) -> dict[str, Any]:
        """Do the step that a state names.

        Args:
            event: ``step`` and the state ``document``.

        Returns:
            What the next states need.

        Raises:
            DoctorRefused, PolicyRefused: the input names no server that could be examined; not retried.
            AwsThrottled, AwsUnavailable: retried by the state machine.
        """
        state = DoctorState.model_validate({**event["document"], "step": event["step"]})
        begin(f"doctor.{state.step}", instance_id=state.server)
        answer = self._answer(state).model_dump(mode="json")
        logger.info("took a step")
        return answer

    def _answer(self, state: DoctorState) -> Crossing:
        match state.step:
            case "list":
                chosen = self._chooser.choose(state.request)
                key = self._kept.write_items(state.execution.name, chosen.items)
                return Listed(servers=len(chosen.items), items=key, unread=chosen.unread)
            case "examine":
                return self._keep(self._examine(state))
            case "give_up":
                cause = cause_of(state.failure) if state.failure else Cause("an error", "nothing says which")
                return self._keep(given_up(state.server, cause, self.clock.now(), state.execution.id))
            case "tell":
                teller = Teller(self.sns, self._kept, self._fixes, self.settings.topic_arn)
                return teller.tell(state, self.clock.now())

    def _keep(self, diagnosis: Diagnosis) -> Examined:
        self._kept.keep(diagnosis)
        return Examined(best=diagnosis.best)

    def _examine(self, state: DoctorState) -> Diagnosis:
        guest = Guest(self.ssm, self._documents, state.server, self.clock)
        outside = look_outside(self.ec2, self.iam, guest, self.settings.may_be_changed)
        asked = self._ask(guest, outside)
        return diagnose(outside, asked, self.clock.now(), state.execution.id, self.settings.profile)

    def _ask(self, guest: Guest, outside: Outside) -> Asked:
        """Ask the server itself, if something is there to answer."""
        if reason := outside.obstacle:
            return Asked(None, f"it was not asked: {reason}")
        sent_ms = self._now_ms()
        parameters = {"RunId": f"doctor-{guest.instance_id}", "InstanceId": guest.instance_id}
        try:
            answer = guest.with_latest_documents().ask("examine", parameters, EXAMINE_PATIENCE)
            return Asked(
                answer=answer,
                why="",
                examined=examination_of(answer),
                inventory=inventory_of(answer) if answer.ok else None,
                sent_ms=sent_ms,
                read_ms=self._now_ms(),
            )
        except (AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused) as error:
            return Asked(None, f"it gave no answer: {error}")

    def _now_ms(self) -> int:
        return int(self.clock.now().timestamp() * 1000)

    @property
    def _documents(self) -> Documents:
        return Documents({"examine": self.settings.look_document})

    @property
    def _kept(self) -> Kept:
        return Kept(self._bucket, self.dynamodb, self.settings.table_name)

    @property
    def _chooser(self) -> Chooser:
        in_force = PoliciesInForce(self.dynamodb, self.settings.table_name)
        return Chooser(self.ec2, self._bucket, in_force, self._fixes)

    @property
    def _fixes(self) -> Fixes:
        return Fixes(self._bucket, self.dynamodb, self.settings.table_name)

    @property
    def _bucket(self) -> Bucket:
        # The doctor makes no links.
        return Bucket(self.s3, self.s3, self.settings.bucket_name)
