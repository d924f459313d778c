"""Report: judge the run, write the truth on the snapshots, keep the record, tell who must know, free the server."""

from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, LINKS, REPEATABLE
from quiesce.aws.runs import Table
from quiesce.aws.ssm import Guest
from quiesce.backup.run import identity_of
from quiesce.backup.state import RunState
from quiesce.settings import Settings
from quiesce.steps.backup.collect import LogStore
from quiesce.steps.backup.report import Desk
from quiesce.telemetry import begin

settings = Settings.from_env()
s3_client = boto3.client("s3", config=REPEATABLE)
ssm_client = boto3.client("ssm", config=HASTY)
desk = Desk(
    ec2=boto3.client("ec2", config=REPEATABLE),
    s3=s3_client,
    logs=LogStore(s3_client, boto3.client("s3", config=LINKS), settings.bucket_name),
    sns=boto3.client("sns", config=REPEATABLE),
    table=Table(boto3.client("dynamodb", config=REPEATABLE), settings.table_name),
    settings=settings,
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    state, now = RunState.model_validate(event), datetime.now(UTC)
    run = identity_of(state)
    begin("report", run)
    guest = Guest(ssm_client, settings.document_name, run.instance_id)
    return desk.end(state, guest, now).model_dump(mode="json")
