"""The regular look at the posture: judge, tell, keep it in table and bucket, and give a sign of life.

The sign comes last: where anything before it fails, an alarm tells that nobody looks any more.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.bucket import Bucket
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.posture.clusters import Clusters
from quiesce.aws.posture.watch import Remembered, Watch
from quiesce.aws.retention.points import Points
from quiesce.aws.topic import publish
from quiesce.clock import Clock
from quiesce.posture.judging import Seen, judge, waiting
from quiesce.posture.state import POSTURE_KEY, PolicyPosture, Posture
from quiesce.posture.summary import goal_words, summary_of
from quiesce.posture.telling import Told, telling_of
from quiesce.report.posture_mail import mail_of_notice
from quiesce.settings import Settings
from quiesce.steps.posture.gather import Gatherer
from quiesce.steps.posture.weekly import WeeklyList
from quiesce.telemetry import begin, logger, measure

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient


@dataclass(frozen=True)
class PostureStep:
    """What a look at the posture needs."""

    ec2: "EC2Client"
    s3: "S3Client"
    sns: "SNSClient"
    dynamodb: "DynamoDBClient"
    settings: Settings
    clock: Clock

    def take(self, event: dict[str, Any], request_id: str, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Look at the posture, or make the weekly list.

        Args:
            event: ``list: unclaimed`` asks for the weekly list, anything else for the regular look.
            request_id: of this call; the same when Lambda repeats it after an error.
            remaining_ms: how long the function may still run.

        Returns:
            The summary that the table keeps, for whoever called by hand.

        Raises:
            AwsThrottled, AwsUnavailable, AccessDenied: Lambda delivers the event again, twice. What was told stays
                told, and the rest is done then.
        """
        begin("posture")
        now, watch = self.clock.now(), Watch(self.dynamodb, self.settings.table_name, request_id)
        seen = self._remembered(self._gatherer.gather(now), watch)
        posture = judge(seen)
        if event.get("list") == "unclaimed":
            weekly = WeeklyList(self.ec2, self.sns, self._bucket, self._points, watch, self.settings.topic_arn)
            return weekly.make(posture, seen, remaining_ms)
        self._tell(posture, seen, watch)
        summary = summary_of(posture)
        if watch.keep_latest(summary.model_dump_json(), now):
            self._bucket.write_json(POSTURE_KEY, posture.model_dump_json())
        self._measure(posture)
        logger.info("looked at the posture", behind=posture.behind, unprotected=len(posture.unprotected))
        return summary.model_dump(mode="json")

    def _remembered(self, seen: Seen, watch: Watch) -> Seen:
        """Add since when servers wait for their first good recovery point, and remember those that are new to it."""
        known, wanted = watch.first_seen(), waiting(seen)
        watch.see_first(wanted - known.keys(), seen.now)
        # Of a policy that can't be read now, nothing is forgotten.
        watch.forget(key for key in known.keys() - wanted if key[0] not in seen.unread)
        return replace(seen, first_seen={key: known.get(key, seen.now) for key in wanted})

    def _tell(self, posture: Posture, seen: Seen, watch: Watch) -> None:
        policies = {each.policy: each for each in posture.policies}
        with_goal = {name for name, each in policies.items() if each.goal}
        told = {*watch.told_policies()}
        for name in sorted((with_goal | told) - {*seen.unread}):
            self._tell_of(name, policies.get(name), watch, seen.now, known=name in told)

    def _tell_of(self, name: str, policy: PolicyPosture | None, watch: Watch, now: datetime, *, known: bool) -> None:
        before = watch.told(name, now) if known else Remembered(Told())
        telling = telling_of(name, policy, before.told)
        notice = telling.notice
        if before.busy or (notice is None and telling.behind == before.told.behind):
            return
        if not watch.tell(name, before, Told(telling.behind, notice.kind if notice else ""), now):
            return
        if notice:
            mail = mail_of_notice(notice, goal_words(policy), now, self._bucket.place(POSTURE_KEY))
            publish(self.sns, self.settings.topic_arn, mail.subject, mail.text)
            logger.info("told of a policy", policy=name, kind=notice.kind)
        watch.sent(name, over=not telling.behind)

    def _measure(self, posture: Posture) -> None:
        stack, at = self.settings.stack_name, posture.looked_at
        for policy in posture.policies:
            ages = {} if policy.oldest_age_s is None else {"AgeOfNewestGoodPoint": float(policy.oldest_age_s)}
            measure({**ages, "RecoveryPoints": float(policy.points)}, stack=stack, at=at, policy=policy.policy)
        found = {"ServersBehind": posture.behind, "UnprotectedServers": len(posture.unprotected), "PostureLooks": 1}
        measure({name: float(value) for name, value in found.items()}, stack=stack, at=at)

    @property
    def _gatherer(self) -> Gatherer:
        in_force = PoliciesInForce(self.dynamodb, self.settings.table_name)
        clusters = Clusters(self.dynamodb, self.settings.table_name)
        return Gatherer(self.ec2, in_force, self._points, clusters, self.settings.stack_name)

    @property
    def _points(self) -> Points:
        return Points(self.dynamodb, self.settings.table_name)

    @property
    def _bucket(self) -> Bucket:
        # A look makes no links.
        return Bucket(self.s3, self.s3, self.settings.bucket_name)
