"""The overview as a person sees it now: what the bucket's page shows, with alarms and what runs at this moment."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from quiesce.aws.bucket import Bucket
from quiesce.aws.pages.overview_looks import OverviewLooks, Read
from quiesce.aws.pages.page_files import PageFiles
from quiesce.aws.pages.records import Kept, Unread, read_records
from quiesce.clock import Clock
from quiesce.pages.found import AlarmFound, Found, RunLink, RunningFound
from quiesce.pages.render import apology_html, overview_html, run_html
from quiesce.pages.run_page import RunFound
from quiesce.points.record import Record
from quiesce.policy.zones import zone_of
from quiesce_cli.aws.alarms import alarms_on
from quiesce_cli.aws.executions import running
from quiesce_cli.aws.policies import read_policies
from quiesce_cli.aws.stack import Stack, client

NOTE = "Made when you looked."


# S3 says to the second when a record was written, and Report may write it twice.
SETTLED = timedelta(minutes=1)


@dataclass
class Remembered:
    """Records that were read before: what is written anew has a new time."""

    clock: Clock
    known: dict[Kept, Record] = field(default_factory=dict)

    def read(self, bucket: Bucket, wanted: Sequence[Kept]) -> list[Record | Unread]:
        """Return what is in these records, in their order; those that are known are not read again."""
        new = [kept for kept in wanted if kept not in self.known]
        found: dict[Kept, Record | Unread] = {**self.known, **dict(zip(new, read_records(bucket, new), strict=True))}
        settled = self.clock.now() - SETTLED
        self.known = {
            kept: record for kept in wanted if isinstance(record := found[kept], Record) and kept.written_at < settled
        }
        return [found[kept] for kept in wanted]


def found_now(stack: Stack, now: datetime, zone: ZoneInfo, read: Read = read_records) -> Found:
    """Return what the page function reads, with what only a person asks: alarms, and what runs now.

    Args:
        stack: whose.
        now: in UTC.
        zone: for times that belong to no policy.
        read: returns what is in records, in their order.
    """
    looks = OverviewLooks(
        bucket=stack.bucket,
        dynamodb=client("dynamodb"),
        ec2=client("ec2"),
        table=stack.output("TableName"),
        stack=stack.name,
        region=stack.region,
        zone=zone,
        read=read,
    )
    alarms = [AlarmFound(each.name, each.about, each.since) for each in alarms_on(stack.name)]
    runs = [
        RunningFound(kind, each.name, each.started_at)
        for machine, kind in stack.machines.items()
        for each in running(machine)
    ]
    return replace(looks.find(now), alarms=alarms, running=runs)


@dataclass(frozen=True)
class Overview:
    """The overview and the pages of runs, made anew each time.

    Attributes:
        stack: whose.
        clock: for the times on the pages.
        link: to the page of a run.
        start: the link to where a backup is started; empty for none.
        remembered: for looks that are repeated.
    """

    stack: Stack
    clock: Clock
    link: RunLink
    start: str = ""
    remembered: Remembered | None = None

    def html(self) -> str:
        """Return the overview."""
        read = self.remembered.read if self.remembered else read_records
        found = found_now(self.stack, self.clock.now(), self._zone, read)
        return overview_html(replace(found, link=self.link), note=NOTE, start=self.start)

    def run_html(self, instance_id: str, run_id: str, home: str) -> str | None:
        """Return a run's page, None if there is no such run; ``home`` is its link to the overview."""
        files, key = PageFiles(client("s3"), self.stack.bucket.name), f"records/{instance_id}/{run_id}.json"
        text = files.read_record(key)
        if text is None:
            return None
        try:
            record = Record.model_validate_json(text[0], extra="ignore")
        except ValidationError as error:
            return apology_html(files.place(key), str(error))
        return run_html(RunFound(record, self._zone, self.clock.now(), files.log_files(record), home=home))

    def policies(self) -> list[str]:
        """Return the names of the policies that can be started."""
        return [shape.name for shape, _ in read_policies(self.stack.bucket) if shape.good]

    @property
    def _zone(self) -> ZoneInfo:
        return zone_of(self.stack.timezone)
