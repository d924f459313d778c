"""The bucket: policies and scripts come from it, records, accounts and logs go into it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.backup.run import RunIdentity
from quiesce.errors import AnswerUnreadable, PolicyRefused
from quiesce.guest.session_files import MAX_BYTES
from quiesce.policy.file import MAX_POLICY_BYTES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


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
            PolicyRefused: there is no such policy; the remedy is the command that uploads it.
        """
        key = f"policies/{name}.yaml"
        try:
            with repeatable("s3:GetObject"):
                body = self.client.get_object(Bucket=self.name, Key=key)["Body"].read(MAX_POLICY_BYTES + 1)
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            remedy = f"correct the name, or upload it: aws s3 cp {name}.yaml {self.place(key)}"
            raise PolicyRefused("policy", f"{self.place(key)} does not exist", remedy) from error
        return body, self.place(key)

    def list_scripts(self, folders: Sequence[str]) -> list[str]:
        """Return the keys that lie directly in these folders."""
        keys: list[str] = []
        for folder in folders:
            with repeatable("s3:ListBucket"):
                pages = self.client.get_paginator("list_objects_v2").paginate(
                    Bucket=self.name, Prefix=folder, Delimiter="/"
                )
                # A folder without objects has no Contents, an answer that is cut off no KeyCount.
                keys += [found["Key"] for page in pages if page["KeyCount"] for found in page.get("Contents", [])]
        return keys

    def link_to_script(self, key: str) -> str:
        """Return a link to the present version of one script, valid for ten minutes; SSM's history shows it."""
        with repeatable("s3:GetObject"):
            version = self.client.head_object(Bucket=self.name, Key=key)["VersionId"]
        place = {"Bucket": self.name, "Key": key, "VersionId": version}
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


def session_folder(run: RunIdentity, attempt: int) -> str:
    """Return where a session's files lie; the archive that the server uploads lies beside this folder."""
    return f"logs/{run.instance_id}/{run.run_id}/session-{attempt}/"


def record_key(run: RunIdentity) -> str:
    """Return where a run's record lies in the bucket."""
    return f"records/{run.instance_id}/{run.run_id}.json"


def account_key(recovery_id: str, execution_name: str) -> str:
    """Return where the account of one execution of a recovery lies in the bucket."""
    return f"recoveries/{recovery_id}/{execution_name}.json"
