"""The policies' files in the bucket, as they are now, and the file that pauses all schedules."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.policy.file import MAX_POLICY_BYTES
from quiesce.policy.parts import NAME_PATTERN

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FOLDER = "policies/"
PAUSE = f"{FOLDER}_pause.yaml"


@dataclass(frozen=True)
class PolicyFile:
    """A policy's file: its content, up to one byte over the limit, its place as people write it, and its ETag."""

    content: bytes
    where: str
    version: str


@dataclass(frozen=True)
class PolicyFiles:
    """The folder ``policies/`` of the stack's bucket.

    Raises, in all of its calls:
        AwsThrottled, AwsUnavailable: the event is delivered again.
        AccessDenied: not retried.
    """

    client: "S3Client"
    bucket: str

    def place(self, key: str) -> str:
        """Return an object's place as people write it, ``s3://...``."""
        return f"s3://{self.bucket}/{key}"

    def read_file(self, name: str) -> PolicyFile | None:
        """Return a policy's file as it is now, None if there is none."""
        key = f"{FOLDER}{name}.yaml"
        try:
            with repeatable("s3:GetObject"):
                found = self.client.get_object(Bucket=self.bucket, Key=key)
                return PolicyFile(found["Body"].read(MAX_POLICY_BYTES + 1), self.place(key), found["ETag"])
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            return None

    def list_files(self) -> tuple[list[str], list[str], bool]:
        """Return the names of the policies that have files, the keys of other files, and whether all are paused."""
        with repeatable("s3:ListBucket"):
            pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=FOLDER)
            # A folder without objects has no Contents, an answer that is cut off no KeyCount.
            keys = [found["Key"] for page in pages if page["KeyCount"] for found in page.get("Contents", [])]
        names = {key: name for key in keys if (name := policy_of(key))}
        others = [key for key in keys if key not in names and key not in (PAUSE, FOLDER)]
        return list(names.values()), others, PAUSE in keys


def policy_of(key: str) -> str:
    """Return the name of the policy whose file an object is, empty if it is none."""
    match = re.fullmatch(rf"{FOLDER}({NAME_PATTERN})\.yaml", key)
    return match[1] if match else ""
