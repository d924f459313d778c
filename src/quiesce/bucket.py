"""The bucket: policies come from it, records go into it."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quiesce.aws import code_of, repeatable
from quiesce.errors import PolicyRefused
from quiesce.request import MAX_POLICY_BYTES
from quiesce.run import RunIdentity

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def read_policy_bytes(client: "S3Client", bucket: str, name: str) -> tuple[bytes, str]:
    """Return the content of ``policies/<name>.yaml`` and its place for messages; of one too large, only too much.

    Raises:
        PolicyRefused: there is no such policy; the remedy is the command that uploads it.
    """
    where = f"s3://{bucket}/policies/{name}.yaml"
    try:
        with repeatable("s3:GetObject"):
            body = client.get_object(Bucket=bucket, Key=f"policies/{name}.yaml")["Body"].read(MAX_POLICY_BYTES + 1)
    except ClientError as error:
        if code_of(error) != "NoSuchKey":
            raise
        remedy = f"correct the name, or upload it: aws s3 cp {name}.yaml {where}"
        raise PolicyRefused("policy", f"{where} does not exist", remedy) from error
    return body, where


def record_key(run: RunIdentity) -> str:
    """Return where a run's record lies in the bucket."""
    return f"records/{run.instance_id}/{run.run_id}.json"


def write_record(client: "S3Client", bucket: str, run: RunIdentity, text: str) -> None:
    """Write a run's record; repeated, it is a new version of the same object."""
    with repeatable("s3:PutObject"):
        client.put_object(Bucket=bucket, Key=record_key(run), Body=text.encode(), ContentType="application/json")
