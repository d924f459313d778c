"""The files of policy runs in the bucket: the policy as it was read, the servers to back up, and the summary."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.errors import PolicyRefused
from quiesce.policy_run.state import Item

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

YAML, JSON = "application/yaml", "application/json"


@dataclass(frozen=True)
class PolicyRunFiles:
    """The folder of one policy run, ``policy-runs/<policy>/<id>/``; a repeated call writes the same object again.

    Raises, in all of its calls:
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """

    client: "S3Client"
    bucket: str
    policy: str
    run_id: str

    def key(self, name: str) -> str:
        """Return the key of one of the files."""
        return f"policy-runs/{self.policy}/{self.run_id}/{name}"

    def place(self, name: str) -> str:
        """Return the place of one of the files as people write it, ``s3://...``."""
        return f"s3://{self.bucket}/{self.key(name)}"

    def write_policy(self, content: bytes) -> None:
        """Keep the policy by which all servers of the policy run are backed up, whatever becomes of its file."""
        self._write_file("policy.yaml", content, YAML)

    def read_policy(self) -> tuple[bytes, str]:
        """Return the policy that is kept, and its place.

        Raises:
            PolicyRefused: there is no such policy run.
        """
        place = self.place("policy.yaml")
        return self._read_file("policy.yaml"), place

    def write_items(self, items: Sequence[Item]) -> None:
        """Write the servers to back up as the Distributed Map reads them: one JSON array."""
        self._write_file(
            "items.json", json.dumps([item.model_dump(mode="json", exclude_none=True) for item in items]).encode(), JSON
        )

    def read_items(self) -> list[Item]:
        """Return the servers to back up.

        Raises:
            PolicyRefused: there is no such policy run.
        """
        return [Item.model_validate(item) for item in json.loads(self._read_file("items.json"))]

    def write_summary(self, document: Any) -> None:
        """Write the summary with what became of each server."""
        self._write_file("summary.json", json.dumps(document, indent=2).encode(), JSON)

    def _write_file(self, name: str, content: bytes, kind: str) -> None:
        with repeatable("s3:PutObject"):
            self.client.put_object(Bucket=self.bucket, Key=self.key(name), Body=content, ContentType=kind)

    def _read_file(self, name: str) -> bytes:
        try:
            with repeatable("s3:GetObject"):
                return self.client.get_object(Bucket=self.bucket, Key=self.key(name))["Body"].read()
        except ClientError as error:
            if code_of(error) != "NoSuchKey":
                raise
            remedy = "leave 'policy_run' out of the input: the policy machine sets it"
            raise PolicyRefused("policy_run", f"{self.place(name)} does not exist", remedy) from error
