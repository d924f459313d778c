"""Sweep: after an execution that was stopped, timed out or failed: thaw, complete with 0, record, lease.

It does nothing where the run's record is complete. Like the event it is best effort: the server keeps its deadlines.
"""

from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, LINKS, REPEATABLE
from quiesce.aws.runs import Table
from quiesce.aws.ssm import Guest
from quiesce.backup import swept
from quiesce.backup.run import identify
from quiesce.backup.session_problems import was_asked
from quiesce.settings import Settings
from quiesce.steps.backup.collect import LogStore
from quiesce.steps.backup.report import Desk
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
s3_client = boto3.client("s3", config=REPEATABLE)
ssm_client = boto3.client("ssm", config=HASTY)
table = Table(boto3.client("dynamodb", config=REPEATABLE), settings.table_name)
desk = Desk(
    ec2=boto3.client("ec2", config=REPEATABLE),
    s3=s3_client,
    logs=LogStore(s3_client, boto3.client("s3", config=LINKS), settings.bucket_name),
    sns=boto3.client("sns", config=REPEATABLE),
    table=table,
    settings=settings,
)


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    detail, now = event["detail"], datetime.now(UTC)
    run = identify(swept.execution_of(detail), swept.input_of(detail))
    begin("sweep", run)
    item = table.run(run)
    if "record" in item or item.get("execution", detail["executionArn"]) != detail["executionArn"]:
        logger.info("nothing to sweep")
        return
    table.bar(run)
    state = swept.left_by(detail, table.run(run))
    guest = Guest(ssm_client, settings.document_name, run.instance_id)
    session, problem = (
        swept.end_session(guest, state.plan, state.attempt) if state.plan and was_asked(state) else (None, "")
    )
    found = desk.find_snapshots(run, guest.sleep)
    desk.end(swept.with_end(state, session, problem, found, now), guest, now)
