"""The servers that an execution of retention looks after, in the bucket, as its Distributed Map reads them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.clients import repeatable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class ServerLists:
    """The folder ``retention/<execution>/``; a repeated call writes the same object again.

    Raises, in all of its calls:
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """

    client: "S3Client"
    bucket: str

    def write_servers(self, execution_name: str, instance_ids: Sequence[str]) -> str:
        """Write the list, one JSON array with an object for each server; return its key."""
        key = f"retention/{execution_name}/servers.json"
        body = json.dumps([{"server": instance_id} for instance_id in instance_ids]).encode()
        with repeatable("s3:PutObject"):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/json")
        return key

    def read_servers(self, key: str) -> list[str]:
        """Return the instance ids of a list."""
        with repeatable("s3:GetObject"):
            items = json.loads(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())
            return [str(item["server"]) for item in items]
