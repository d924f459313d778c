"""Make a page after an event of the bucket: a run's record was written, or a policy run's summary."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError

from quiesce.aws.bucket import Bucket
from quiesce.aws.pages.overview_looks import OverviewLooks
from quiesce.aws.pages.page_files import OVERVIEW, PageFiles, page_key
from quiesce.clock import Clock
from quiesce.pages.render import apology_html, overview_html, run_html
from quiesce.pages.run_page import RunFound
from quiesce.points.record import Record
from quiesce.policy.zones import zone_of
from quiesce.settings import Settings
from quiesce.telemetry import begin, logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_s3 import S3Client

RECORD = re.compile(r"records/[^/]+/([^/]+)\.json")
SUMMARY = re.compile(r"policy-runs/[^/]+/[^/]+/summary\.json")
# A record that is written again while its page is made: once by Report, once more with a note.
TRIES = 3
# A record of a later release, and whatever a record may hold that no page was thought of for.
UNMADE = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError)
NOTE = "Made after each policy run; quiesce report --open makes it anew, with alarms and what runs now."


@dataclass(frozen=True)
class PageStep:
    """What a page needs; ``s3`` is a client that many calls may use at once."""

    s3: "S3Client"
    dynamodb: "DynamoDBClient"
    ec2: "EC2Client"
    settings: Settings
    clock: Clock

    def take(self, event: Any) -> dict[str, Any]:
        """Make the page that belongs to an object of the bucket.

        Args:
            event: of S3 by way of EventBridge, with the key of a record or of a policy run's summary.

        Returns:
            The key of the page, empty if the object has none, and why a page says that it could not be made.

        Raises:
            AwsThrottled, AwsUnavailable, AccessDenied: Lambda delivers the event again, twice. No run waits for it.
        """
        key = str(event["detail"]["object"]["key"])
        if run := RECORD.fullmatch(key):
            begin("page", run_id=run[1])
            return {"page": page_key(key), "problem": self._run_page(key)}
        if SUMMARY.fullmatch(key):
            begin("page")
            self._files.write_page(OVERVIEW, overview_html(self._looks.find(self.clock.now()), note=NOTE))
            return {"page": OVERVIEW, "problem": ""}
        return {"page": "", "problem": ""}

    def _run_page(self, key: str) -> str:
        """Write a run's page until it is that of the newest record; return why it could not be made, else nothing."""
        problem = ""
        for _ in range(TRIES):
            found = self._files.read_record(key)
            if found is None:
                return "the record is gone"
            html, problem = self._made(key, found[0])
            self._files.write_page(page_key(key), html)
            if (after := self._files.read_record(key)) and after[1] == found[1]:
                break
        return problem

    def _made(self, key: str, text: str) -> tuple[str, str]:
        """Return a run's page; where none can be made of the record, a page that says so, and why."""
        try:
            record = Record.model_validate_json(text, extra="ignore")
            files = self._files.log_files(record)
            zone, now = zone_of(self.settings.timezone), self.clock.now()
            return run_html(RunFound(record, zone, now, files, home=f"../../{OVERVIEW}")), ""
        except UNMADE as error:
            logger.exception("no page could be made of the record")
            problem = f"{type(error).__name__}: {error}"
            return apology_html(self._files.place(key), problem), problem

    @property
    def _files(self) -> PageFiles:
        return PageFiles(self.s3, self.settings.bucket_name)

    @property
    def _looks(self) -> OverviewLooks:
        settings = self.settings
        return OverviewLooks(
            bucket=Bucket(self.s3, self.s3, settings.bucket_name),
            dynamodb=self.dynamodb,
            ec2=self.ec2,
            table=settings.table_name,
            stack=settings.stack_name,
            region=self.ec2.meta.region_name,
            zone=zone_of(settings.timezone),
        )
