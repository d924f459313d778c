"""Report: judge the run, write the truth on the snapshots, keep the record, tell who must know, free the server."""

from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce import bucket, ec2, record, topic
from quiesce.aws import REPEATABLE
from quiesce.notice import notice_of
from quiesce.record import Record
from quiesce.run import identity_of
from quiesce.settings import Settings
from quiesce.state import RunState
from quiesce.table import Table
from quiesce.telemetry import begin, count_run, logger
from quiesce.verdict import judge

settings = Settings.from_env()
ec2_client = boto3.client("ec2", config=REPEATABLE)
s3_client = boto3.client("s3", config=REPEATABLE)
sns_client = boto3.client("sns", config=REPEATABLE)
table = Table(boto3.client("dynamodb", config=REPEATABLE), settings.table_name)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    state, now = RunState.model_validate(event), datetime.now(UTC)
    run = identity_of(state)
    begin("report", run)
    if ended := table.ended_record(run, state.execution.id):
        table.release_lease(run)
        return Record.model_validate_json(ended).model_dump(mode="json")
    verdict = judge(state.plan, state.await_snapshots, state.failure)
    place = f"s3://{settings.bucket_name}/{bucket.record_key(run)}"
    written = record.write(state, run, verdict, now=now, place=place)
    ec2.tag_snapshots(ec2_client, written)
    bucket.write_record(s3_client, settings.bucket_name, run, written.model_dump_json(indent=2))
    # Notice before status: a crash between them tells twice, never not at all.
    if notice := notice_of(written, table.last_status(run)):
        topic.publish(sns_client, settings.topic_arn, notice.subject, notice.text)
    table.end_run(run, written)
    table.release_lease(run)
    count_run(written.status)
    logger.info("run ended", status=written.status, reason=written.reason)
    return written.model_dump(mode="json")
