"""The bucket: policies and scripts come from it, packages, records, accounts and logs go into it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.backup.run import RunIdentity
from quiesce.errors import AnswerUnreadable, PolicyRefused
from quiesce.guest.package import MAX_SCRIPT_BYTES
from quiesce.guest.session_files import MAX_BYTES
from quiesce.points.record import Record
from quiesce.policy.file import MAX_POLICY_BYTES
from quiesce.vss.writer_files import MAX_FILE_BYTES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# So many names keep a message readable.
NAMED_POLICIES = 10
# SSM's command history and events show presigned links in clear text.
LINK_S = 600


@dataclass(frozen=True)
class Bucket:
    """The stack's bucket: one client that reads and writes, and one whose links name the bucket's own host.

    Raises, in all of its calls:
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """

    client: "S3Client"
    links: "S3Client"
    name: str

    def place(self, key: str) -> str:
        """Return an object's place as people write it, ``s3://...``."""
        return f"s3://{self.name}/{key}"

    def read_policy(self, name: str) -> tuple[bytes, str]:
        """Return the content of ``policies/<name>.yaml``, up to one byte over the limit, and its place.

        Raises:
            PolicyRefused: there is no such policy; the remedy names those that there are, or how to upload it.
        """
        key = f"policies/{name}.yaml"
        try:
            with repeatable("s3:GetObject"):
                body = self.client.get_object(Bucket=self.name, Key=key)["Body"].read(MAX_POLICY_BYTES + 1)
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            remedy = f"{self._other_policies(name)}, or upload it: aws s3 cp {name}.yaml {self.place(key)}"
            raise PolicyRefused("policy", f"{self.place(key)} does not exist", remedy) from error
        return body, self.place(key)

    def _other_policies(self, name: str) -> str:
        """Return what to write instead of the name of a policy that does not exist."""
        names = [key.removeprefix("policies/").removesuffix(".yaml") for key in self._keys("policies/")]
        if near := get_close_matches(name, names, n=1):
            return f"write '{near[0]}'"
        more = f" and {len(names) - NAMED_POLICIES} more" if names[NAMED_POLICIES:] else ""
        return (
            f"write one of {', '.join(names[:NAMED_POLICIES])}{more}"
            if names
            else "correct the name: the bucket has none"
        )

    def lines_with(self, word: str) -> list[str]:
        """Return each line of a policy in the bucket that has a word, with its place and number."""
        lines = []
        for key in self._keys("policies/"):
            with repeatable("s3:GetObject"):
                text = (
                    self.client.get_object(Bucket=self.name, Key=key)["Body"]
                    .read(MAX_POLICY_BYTES)
                    .decode(errors="replace")
                )
            found = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if word in line]
            lines += [f"{self.place(key)}, line {number}: {line}" for number, line in found]
        return lines

    def list_scripts(self, folders: Sequence[str]) -> list[str]:
        """Return the keys that lie directly in these folders, of which one holds the others; mostly by one call."""
        with repeatable("s3:ListBucket"):
            page = self.client.list_objects_v2(Bucket=self.name, Prefix=min(folders, key=len))
            whole, found = not page["IsTruncated"], page.get("Contents", []) if page["KeyCount"] else []
            keys = [each["Key"] for each in found]
        if whole:
            return [key for folder in folders for key in keys if key.rpartition("/")[0] + "/" == folder]
        # So many files, or servers with files of their own, that one page does not hold them.
        return [key for folder in folders for key in self._keys(folder)]

    def _keys(self, folder: str) -> list[str]:
        with repeatable("s3:ListBucket"):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=folder, Delimiter="/"
            )
            # A folder without objects has no Contents, an answer that is cut off no KeyCount.
            return [found["Key"] for page in pages if page["KeyCount"] for found in page.get("Contents", [])]

    def list_below(self, folder: str) -> list[tuple[datetime, str]]:
        """Return when each object below a folder was written, in UTC, and its key; a call of S3 for each thousand."""
        with repeatable("s3:ListBucket"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=folder)
            found = [each for page in pages if page["KeyCount"] for each in page.get("Contents", [])]
            return [(each["LastModified"], each["Key"]) for each in found]

    def read_script(self, key: str) -> bytes:
        """Return the content of one script, up to one byte over the limit."""
        with repeatable("s3:GetObject"):
            return self.client.get_object(Bucket=self.name, Key=key)["Body"].read(MAX_SCRIPT_BYTES + 1)

    def read_writers_file(self, key: str) -> tuple[bytes, str]:
        """Return the content of a file of writers, up to one byte over the limit, and its version in words."""
        with repeatable("s3:GetObject"):
            found = self.client.get_object(Bucket=self.name, Key=key)
            return found["Body"].read(
                MAX_FILE_BYTES + 1
            ), f"{self.place(key)} (version {found.get('VersionId', 'none')})"

    def write_package(self, key: str, content: bytes) -> None:
        """Write a run's package; a repeated call writes the same content."""
        with repeatable("s3:PutObject"):
            self.client.put_object(Bucket=self.name, Key=key, Body=content, ContentType="application/zip")

    def link_to_package(self, key: str) -> str:
        """Return a link to a run's package, valid for ten minutes; SSM's history shows it."""
        place = {"Bucket": self.name, "Key": key}
        return self.links.generate_presigned_url("get_object", Params=place, ExpiresIn=LINK_S)

    def link_to_put(self, key: str) -> str:
        """Return a link by which the server may upload one object, valid for ten minutes."""
        place = {"Bucket": self.name, "Key": key}
        return self.links.generate_presigned_url("put_object", Params=place, ExpiresIn=LINK_S)

    def read_archive(self, key: str) -> bytes:
        """Return a session's archive.

        Raises:
            AnswerUnreadable: it is too large to be one, or missing although the server reported its upload.
        """
        try:
            with repeatable("s3:GetObject"):
                found = self.client.get_object(Bucket=self.name, Key=key)
                if found["ContentLength"] > MAX_BYTES:
                    raise AnswerUnreadable(f"{self.place(key)} has {found['ContentLength']} bytes")
                return found["Body"].read()
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            problem = f"{self.place(key)} does not exist, although the server has put it there"
            raise AnswerUnreadable(problem) from error

    def write_session_file(self, key: str, content: bytes) -> None:
        """Write one of a session's files, with a type by which a browser shows text as text."""
        kind = "application/octet-stream" if key.endswith((".cab", ".zip")) else "text/plain; charset=utf-8"
        with repeatable("s3:PutObject"):
            self.client.put_object(Bucket=self.name, Key=key, Body=content, ContentType=kind)

    def write_json(self, key: str, text: str) -> None:
        """Write a record or an account; a repeated call writes a new version of the same object."""
        with repeatable("s3:PutObject"):
            self.client.put_object(Bucket=self.name, Key=key, Body=text.encode(), ContentType="application/json")

    def write_text(self, key: str, text: str) -> None:
        """Write a text for people to read, which a browser shows; a repeated call writes a new version."""
        with repeatable("s3:PutObject"):
            kind = "text/plain; charset=utf-8"
            self.client.put_object(Bucket=self.name, Key=key, Body=text.encode(), ContentType=kind)

    def read_json(self, key: str) -> str | None:
        """Return what ``keep_json`` keeps, None if there is nothing."""
        try:
            with repeatable("s3:GetObject"):
                return self.client.get_object(Bucket=self.name, Key=key)["Body"].read().decode()
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            return None

    def keep_json(self, key: str, text: str) -> bool:
        """Write an object that is not there yet; False if it is: the first one stays."""
        try:
            with repeatable("s3:PutObject"):
                body = text.encode()
                self.client.put_object(
                    Bucket=self.name, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
                )
        except ClientError as error:
            # S3 answers a conflict while another such call is under way (S3 User Guide, conditional writes).
            if code_of(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                raise
            return False
        return True


def session_folder(run: RunIdentity, attempt: int) -> str:
    """Return where a session's files lie; the archive that the server uploads lies beside this folder."""
    return f"logs/{run.instance_id}/{run.run_id}/session-{attempt}/"


def package_key(instance_id: str, run_id: str, sha256: str) -> str:
    """Return where the package of a run with this hash lies, for a day."""
    return f"packages/{instance_id}/{run_id}/{sha256}.zip"


def record_key(run: RunIdentity | Record) -> str:
    """Return where a run's record lies in the bucket."""
    return f"records/{run.instance_id}/{run.run_id}.json"


def plan_key(instance_id: str, policy: str) -> str:
    """Return where the newest plan of retention for a server and policy lies in the bucket."""
    return f"plans/{instance_id}/{policy}.txt"


def account_key(recovery_id: str, execution_name: str) -> str:
    """Return where the account of one execution of a recovery lies in the bucket."""
    return f"recoveries/{recovery_id}/{execution_name}.json"


def progress_key(recovery_id: str) -> str:
    """Return where a person reads how far a recovery is."""
    return f"recoveries/{recovery_id}/progress.txt"


def build_progress_key(built_for: str) -> str:
    """Return where a person reads how far a build is, by the recovery or run that it is for."""
    return f"reverts/{built_for}/progress.txt"
