"""How a run ends, for Report and sweep alike: verdict, tags, record, notice, and the server is free."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from quiesce.aws import bucket, snapshots, topic
from quiesce.aws.runs import Table
from quiesce.aws.ssm import Guest
from quiesce.backup.recording import Places, Record, write
from quiesce.backup.run import RunIdentity, identity_of
from quiesce.backup.state import RunState, Snapshot
from quiesce.backup.verdict import judge
from quiesce.report.mail import notice_of
from quiesce.settings import Settings
from quiesce.steps.backup.collect import LogStore, collect
from quiesce.telemetry import count_run, logger

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

# As long as AwaitSnapshots looks for a set whose answer was lost.
LOOKS, LOOK_AGAIN_S = 7, 5.0


@dataclass(frozen=True)
class Desk:
    """What is needed to end a run: clients, and the stack's own resources."""

    ec2: "EC2Client"
    s3: "S3Client"
    logs: LogStore
    sns: "SNSClient"
    table: Table
    settings: Settings

    def end(self, state: RunState, guest: Guest, now: datetime) -> Record:
        """End a run, or return the record that stands already; repeated after a crash, nothing is lost.

        Raises:
            RunAlreadyStarted: the run is another execution's; nothing was changed.
        """
        run = identity_of(state)
        ended = self.table.ended_record(run, state.execution.id)
        record = Record.model_validate_json(ended) if ended else self._judge(state, run, guest, now)
        self.table.keep_last_status(run, record.status)
        self.table.release_lease(run)
        return record

    def find_snapshots(self, run: RunIdentity, sleep: Callable[[float], None]) -> list[Snapshot]:
        """Find what Snapshot made in an execution that has ended: it may be under way still, and EC2 lists it late."""
        for _ in range(LOOKS):
            found = snapshots.find_snapshots(self.ec2, run, self.settings.stack_name)
            if found or not self.table.has_sent_snapshot(run):
                return found
            sleep(LOOK_AGAIN_S)
        return []

    def _judge(self, state: RunState, run: RunIdentity, guest: Guest, now: datetime) -> Record:
        logs = collect(guest, self.logs, run, state)
        place = f"s3://{self.settings.bucket_name}/{bucket.record_key(run)}"
        judged = write(state, run, judge(state), now=now, places=Places(place, logs))
        written = self._publish(judged, run)
        # Before the status is kept: a crash between them tells twice, never not at all.
        if notice := notice_of(written, self.table.last_status(run)):
            topic.publish(self.sns, self.settings.topic_arn, notice.subject, notice.text)
        if not self.table.end_run(run, written):
            # Report and sweep at once, in a run that was stopped while Report ran: the first word stands, everywhere.
            return self._publish(Record.model_validate_json(self.table.run(run)["record"]), run)
        count_run(written.status, auto_thawed=written.session is not None and written.session.auto_thawed)
        logger.info("run ended", status=written.status, reason=written.reason)
        return written

    def _publish(self, record: Record, run: RunIdentity) -> Record:
        untagged = [note for note in snapshots.tag_snapshots(self.ec2, record) if note not in record.notes]
        written = record.model_copy(update={"notes": [*record.notes, *untagged]})
        text = written.model_dump_json(indent=2)
        bucket.write_json(self.s3, self.settings.bucket_name, bucket.record_key(run), text)
        return written
