"""The bucket: policies and scripts come from it, records, accounts and logs go into it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.backup.run import RunIdentity
from quiesce.errors import AnswerUnreadable, PolicyRefused
from quiesce.guest.session_files import MAX_BYTES
from quiesce.policy.file import MAX_POLICY_BYTES

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


# Presigned links stand in clear text in SSM's command history and events.
LINK_S = 600


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


def list_scripts(client: "S3Client", bucket: str, folders: Sequence[str]) -> list[str]:
    """Return the keys that lie directly in these folders."""
    keys: list[str] = []
    for folder in folders:
        with repeatable("s3:ListBucket"):
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder, Delimiter="/")
            keys += [found["Key"] for page in pages for found in page.get("Contents", [])]
    return keys


def link_to_script(client: "S3Client", links: "S3Client", bucket: str, key: str) -> str:
    """Return a link, made by ``links``, to the present version of one script; it is readable in SSM's history."""
    with repeatable("s3:GetObject"):
        version = client.head_object(Bucket=bucket, Key=key)["VersionId"]
    place = {"Bucket": bucket, "Key": key, "VersionId": version}
    return links.generate_presigned_url("get_object", Params=place, ExpiresIn=LINK_S)


def session_folder(run: RunIdentity, attempt: str) -> str:
    """Return where a session's files lie; the archive in which the server sends them lies beside it."""
    return f"logs/{run.instance_id}/{run.run_id}/session-{attempt}/"


def link_to_put(links: "S3Client", bucket: str, key: str) -> str:
    """Return a link by which the server may put one object, good for ten minutes."""
    return links.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": key}, ExpiresIn=LINK_S)


def read_archive(client: "S3Client", bucket: str, key: str) -> bytes:
    """Return a session's archive.

    Raises:
        AnswerUnreadable: it is too large to be one, or not there although the server said so.
    """
    try:
        with repeatable("s3:GetObject"):
            found = client.get_object(Bucket=bucket, Key=key)
            if found["ContentLength"] > MAX_BYTES:
                raise AnswerUnreadable(f"s3://{bucket}/{key} has {found['ContentLength']} bytes")
            return found["Body"].read()
    except ClientError as error:
        if code_of(error) != "NoSuchKey":
            raise
        raise AnswerUnreadable(f"s3://{bucket}/{key} does not exist, although the server has put it there") from error


def write_session_file(client: "S3Client", bucket: str, key: str, content: bytes) -> None:
    """Write one of a session's files, so that a browser shows it as text where it is text."""
    kind = "application/octet-stream" if key.endswith((".cab", ".zip")) else "text/plain; charset=utf-8"
    with repeatable("s3:PutObject"):
        client.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind)


def record_key(run: RunIdentity) -> str:
    """Return where a run's record lies in the bucket."""
    return f"records/{run.instance_id}/{run.run_id}.json"


def account_key(recovery_id: str, execution_name: str) -> str:
    """Return where the account of one execution of a recovery lies in the bucket."""
    return f"recoveries/{recovery_id}/{execution_name}.json"


def write_json(client: "S3Client", bucket: str, key: str, text: str) -> None:
    """Write a record or an account; repeated, it is a new version of the same object."""
    with repeatable("s3:PutObject"):
        client.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="application/json")
