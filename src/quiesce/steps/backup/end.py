"""How a run ends, for Report and sweep alike: verdict, tags, record, mail, and the lease is released."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from quiesce.aws import topic
from quiesce.aws.backup.endings import GOOD, Endings
from quiesce.aws.bucket import Bucket, record_key
from quiesce.aws.policies.policy_runs import PolicyRuns
from quiesce.aws.posture.clusters import Clusters
from quiesce.aws.retention.points import Points
from quiesce.aws.runs import Runs
from quiesce.aws.snapshots import tag_snapshots
from quiesce.aws.ssm import Guest
from quiesce.backup.findings import gather
from quiesce.backup.recording import Places, write
from quiesce.backup.run import RunIdentity, identity_of
from quiesce.backup.session_problems import was_asked
from quiesce.backup.state import RunState
from quiesce.backup.verdict import judge
from quiesce.clock import Clock
from quiesce.guest.documents import documents_of
from quiesce.points.record import Record
from quiesce.policy_run.summing import end_of
from quiesce.report.mail import mail_of, remark_of
from quiesce.settings import Settings
from quiesce.steps.backup.collect import collect
from quiesce.steps.backup.look import LateLook
from quiesce.telemetry import count_run, logger, measure

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class EndingStep:
    """What a step needs to end a run; ``links`` is a client of S3 whose links name the bucket's own host."""

    ec2: "EC2Client"
    s3: "S3Client"
    links: "S3Client"
    sns: "SNSClient"
    ssm: "SSMClient"
    dynamodb: "DynamoDBClient"
    settings: Settings
    clock: Clock

    def look(self, state: RunState, run: RunIdentity, for_s: int) -> RunState:
        """Look once more at the snapshots, where AwaitSnapshots could not."""
        return LateLook(self.ec2, self.runs, self.clock, self.settings.stack_name, for_s).take(state, run)

    @property
    def runs(self) -> Runs:
        """The runs in the stack's table."""
        return Runs(self.dynamodb, self.settings.table_name)

    @property
    def endings(self) -> Endings:
        """The runs' ends in the stack's table."""
        return Endings(self.dynamodb, self.settings.table_name)

    @property
    def points(self) -> Points:
        """The list of recovery points."""
        return Points(self.dynamodb, self.settings.table_name)

    @property
    def bucket(self) -> Bucket:
        """The stack's bucket."""
        return Bucket(self.s3, self.links, self.settings.bucket_name)

    def guest(self, state: RunState) -> Guest:
        """Return the run's server, with the documents' versions that Plan took."""
        documents = documents_of(self.settings, state.plan.documents if state.plan else {})
        return Guest(self.ssm, documents, identity_of(state).instance_id, self.clock)

    def end(self, state: RunState, guest: Guest, now: datetime) -> Record:
        """End a run, or return the record that it already has; a repetition after a crash loses nothing.

        Raises:
            RunAlreadyStarted: the run is another execution's; nothing was changed.
        """
        run = identity_of(state)
        # Before the server is asked; a run that asks none is told by its first write.
        known = self.endings.known(run, state.execution.id) if was_asked(state) else {}
        if not _is_judged(known):
            record = self._judge(state, run, guest, now)
            known = self.endings.keep_judged(run, record) or {"judged": record.model_dump_json()}
        if "record" not in known:
            # An earlier try could not finish: its verdict counts.
            return self._keep(Record.model_validate_json(known["judged"]), run)
        record = Record.model_validate_json(known["record"])
        self._finish(record, run)
        return record

    def looked(self, state: RunState, run: RunIdentity) -> RunState:
        """Return the state with all that its verdict needs: by default as it is."""
        return state

    def release(self, run: RunIdentity, record: Record) -> None:
        """Keep a record's status, writers and cluster for what comes next, and release the server's lease."""
        self.endings.keep_last(run, record)
        Clusters(self.dynamodb, self.settings.table_name).keep(record)
        if run.policy_run:
            policy_runs = PolicyRuns(self.dynamodb, self.settings.table_name)
            policy_runs.end_target(run.policy_run, end_of(record, remark_of(record)))
        self.runs.release_lease(run)

    def _judge(self, state: RunState, run: RunIdentity, guest: Guest, now: datetime) -> Record:
        """Copy the session's files into the bucket, and return the run's record with its verdict."""
        state = self.looked(state, run)
        places = Places(self.bucket.place(record_key(run)), collect(guest, self.bucket, run, state))
        findings = gather(state)
        return write(state, findings, judge(findings), now=now, places=places)

    def _keep(self, record: Record, run: RunIdentity) -> Record:
        """Publish a record, and end the run by it unless the run already has one."""
        published = self._publish(record, run)
        if self._end_quietly(published, run):
            self._measure(published)
            return published
        # Mail first, then keep the status: a crash in between sends two mails, never none.
        if untold := self._mail(published, run):
            published = published.model_copy(update={"notes": [*published.notes, untold]})
            self.bucket.write_json(record_key(run), published.model_dump_json(indent=2))
        if self.endings.end_run(run, published):
            self._measure(published)
        else:
            # Report and sweep ran at once, in a run stopped during Report: the first record counts, everywhere.
            published = self._publish(Record.model_validate_json(self.runs.run(run)["record"]), run)
        self._finish(published, run)
        return published

    def _end_quietly(self, record: Record, run: RunIdentity) -> bool:
        """Write all of a run's end at once, if nobody has to be told of it; False if nothing was written."""
        if mail_of(record, GOOD, told_by_policy_run=bool(run.policy_run)):
            return False
        beside = [*Points.writes(record), *Clusters.writes(record)]
        if run.policy_run:
            beside.append(PolicyRuns.target_end(run.policy_run, end_of(record, remark_of(record))))
        return self.endings.end_at_once(run, record, beside)

    def _finish(self, record: Record, run: RunIdentity) -> None:
        """Write all of a run's end but its record, one after the other, and again whenever the end is repeated."""
        # What is not listed is not removed.
        self.points.put(record)
        self.release(run, record)

    def _measure(self, ended: Record) -> None:
        auto_thawed = ended.session is not None and ended.session.auto_thawed
        stack, ended_at = self.settings.stack_name, ended.ended_at
        count_run(ended.status, stack=stack, ended_at=ended_at, auto_thawed=auto_thawed)
        held_ms = ended.freeze_window.total_ms if ended.freeze_window else None
        freeze = {} if held_ms is None else {"FreezeMilliseconds": float(held_ms)}
        # A passive node has made no attempt.
        if ended.status != "Skipped":
            attempts = {"Attempts": float(len(ended.attempts) + 1)}
            measure({**freeze, **attempts}, stack=stack, at=ended_at, policy=ended.policy)
        logger.info("run ended", status=ended.status, reason=ended.reason)

    def _mail(self, record: Record, run: RunIdentity) -> str:
        """Send the mail about a run, if it needs one; return why it was not sent, as a note, else nothing."""
        mail = mail_of(record, self.endings.last_status(run), told_by_policy_run=bool(run.policy_run))
        return topic.publish_or_note(self.sns, self.settings.topic_arn, mail.subject, mail.text) if mail else ""

    def _publish(self, record: Record, run: RunIdentity) -> Record:
        """Tag the snapshots with the verdict and write the record, with what could not be tagged, into the bucket."""
        untagged = [note for note in tag_snapshots(self.ec2, record) if note not in record.notes]
        written = record.model_copy(update={"notes": [*record.notes, *untagged]})
        self.bucket.write_json(record_key(run), written.model_dump_json(indent=2))
        return written


def _is_judged(item: Mapping[str, str]) -> bool:
    return "record" in item or "judged" in item
