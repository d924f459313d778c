"""The pages in the bucket: the run's beside its record, the overview in `pages/`; and the session's files, to show."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.errors import AccessDenied
from quiesce.pages.run_page import LogFile
from quiesce.points.record import Record

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

OVERVIEW = "pages/overview.html"
HTML = "text/html; charset=utf-8"
# Of each file the end is shown, where scripts and DiskShadow say how they ended.
MOST_BYTES, MOST_FILES = 64 * 1024, 20
PACKED = (".cab", ".zip")


def page_key(record_key: str) -> str:
    """Return where the page of a run lies, beside its record."""
    return f"{record_key.removesuffix('.json')}.html"


@dataclass(frozen=True)
class PageFiles:
    """Pages, and what they are made of, in the stack's bucket.

    Raises, in all of its calls:
        AwsThrottled, AwsUnavailable: the event is delivered again.
        AccessDenied: not retried.
    """

    client: "S3Client"
    bucket: str

    def place(self, key: str) -> str:
        """Return an object's place as people write it, ``s3://...``."""
        return f"s3://{self.bucket}/{key}"

    def read_record(self, key: str) -> tuple[str, str] | None:
        """Return a record's text and its version's ETag, None if there is none."""
        try:
            with repeatable("s3:GetObject"):
                found = self.client.get_object(Bucket=self.bucket, Key=key)
                return found["Body"].read().decode(errors="replace"), found["ETag"]
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            return None

    def write_page(self, key: str, html: str) -> None:
        """Write a page; a repeated call writes a new version of the same object."""
        with repeatable("s3:PutObject"):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=html.encode(), ContentType=HTML)

    def log_files(self, record: Record) -> list[LogFile]:
        """Return the files of a run's session, each up to 64 KiB of its end; one that can't be read says why."""
        if record.logs is None or not record.logs.place:
            return []
        folder = record.logs.place.removeprefix(self.place(""))
        names = [name for name in record.logs.files if not name.endswith(PACKED)]
        return [self._log_file(folder, name) for name in names[:MOST_FILES]]

    def _log_file(self, folder: str, name: str) -> LogFile:
        try:
            with repeatable("s3:GetObject"):
                found = self.client.get_object(Bucket=self.bucket, Key=f"{folder}{name}", Range=f"bytes=-{MOST_BYTES}")
                content = found["Body"].read()
        except (AccessDenied, ClientError) as error:
            return LogFile(name, "", missing=f"could not be read: {error}")
        whole = int(found.get("ContentRange", f"/{len(content)}").rpartition("/")[2])
        cut = (
            f"The last {len(content):,} of {whole:,} bytes; all of it lies beside the record."
            if whole > len(content)
            else ""
        )
        return LogFile(name, content.decode(errors="replace"), cut=cut)
