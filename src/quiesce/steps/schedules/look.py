"""Look at policies' files: at one after its event, at all of them each day and when the pausing file comes or goes."""

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.policies.policy_files import PAUSE, PolicyFiles, policy_of
from quiesce.aws.policies.schedules import Schedules
from quiesce.aws.topic import publish
from quiesce.clock import Clock
from quiesce.errors import QuiesceError
from quiesce.report.mail import Mail
from quiesce.report.schedule_mail import mail_of_file, mail_of_pass
from quiesce.schedules.outcome import Outcome, Pass
from quiesce.schedules.wanted import Target
from quiesce.settings import ScheduleSettings
from quiesce.steps.schedules.settle import Settling
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_scheduler import EventBridgeSchedulerClient
    from mypy_boto3_sns import SNSClient


@dataclass(frozen=True)
class ScheduleStep:
    """What a look at the files needs."""

    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    scheduler: "EventBridgeSchedulerClient"
    sns: "SNSClient"
    settings: ScheduleSettings
    clock: Clock

    def take(self, event: Any) -> dict[str, Any]:
        """Settle the policy whose file an event of S3 names, or all of them.

        Args:
            event: of S3 by way of EventBridge, or anything else, which is the daily pass.

        Returns:
            The ``Outcome`` of one policy, or the ``Pass``, for whoever called by hand.

        Raises:
            AwsThrottled, AwsUnavailable, AccessDenied: Lambda delivers the event again, twice. Whatever came before
                it is settled, and a repeated look finds it as it has to be.
        """
        key = _key(event)
        name = policy_of(key)
        if name:
            return self._one(name)
        return self._all(asked=key == PAUSE)

    def _one(self, name: str) -> dict[str, Any]:
        paused = self._files.list_files()[2]
        outcome = self._settling(paused=paused).settle(name)
        self._tell(mail_of_file(outcome))
        # After the mail: a second one is better than none.
        self._mark(outcome)
        logger.info("settled", **asdict(outcome))
        return asdict(outcome)

    def _all(self, *, asked: bool) -> dict[str, Any]:
        names, others, paused = self._files.list_files()
        settling, schedules = self._settling(paused=paused), self._schedules
        present = schedules.names()
        removed = [each for each in present if "." not in each]
        for each in removed:
            schedules.delete(each)
        of_schedules = {each.partition(".")[0] for each in present if "." in each}
        outcomes, failed = [], []
        for name in sorted({*names, *of_schedules, *self._in_force.names()}):
            # One that AWS does not answer for must not keep the others as they are.
            try:
                outcomes.append(settling.settle(name))
            except QuiesceError as error:
                logger.warning("not settled", policy=name, error=str(error))
                failed.append(error)
        look = Pass(outcomes, paused, [self._files.place(key) for key in others], removed)
        self._tell(mail_of_pass(look, self.settings.stack_name, self._files.place(PAUSE), asked=asked))
        if not asked:
            for outcome in outcomes:
                self._mark(outcome)
        logger.info("looked at all policies", policies=len(outcomes), paused=paused)
        if failed:
            raise failed[0]
        return asdict(look)

    def _mark(self, outcome: Outcome) -> None:
        if outcome.refused and outcome.is_new:
            self._in_force.mark_refused(outcome.policy, outcome.version, self.clock.now())
        elif outcome.was_refused and outcome.where and not outcome.refused:
            self._in_force.mark_good(outcome.policy)

    def _tell(self, mail: Mail | None) -> None:
        if mail:
            publish(self.sns, self.settings.topic_arn, mail.subject, mail.text)

    def _settling(self, *, paused: bool) -> Settling:
        target = Target(self.settings.machine_arn, self.settings.schedule_role_arn, self.settings.missed_queue_arn)
        return Settling(self._files, self._in_force, self._schedules, target, self.clock.now(), paused)

    @property
    def _files(self) -> PolicyFiles:
        return PolicyFiles(self.s3, self.settings.bucket_name)

    @property
    def _in_force(self) -> PoliciesInForce:
        return PoliciesInForce(self.dynamodb, self.settings.table_name)

    @property
    def _schedules(self) -> Schedules:
        return Schedules(self.scheduler, self.settings.schedule_group)


def _key(event: Any) -> str:
    """Return the key of the object that an event of S3 is about, empty for any other event."""
    detail = event.get("detail") if isinstance(event, dict) and event.get("source") == "aws.s3" else None
    found = detail.get("object") if isinstance(detail, dict) else None
    return str(found.get("key", "")) if isinstance(found, dict) else ""
