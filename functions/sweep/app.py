"""Sweep: after an execution that was stopped, timed out or failed: thaw, complete with 0, record, lease.

It does nothing where the run's record is complete. Like the event it is best effort: the server keeps its deadlines.
"""

from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce import ec2, sweeping, verbs
from quiesce.aws import HASTY, LINKS, REPEATABLE
from quiesce.errors import AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused
from quiesce.freezing import was_asked
from quiesce.reporting import Desk
from quiesce.run import identify
from quiesce.session import session_of
from quiesce.settings import Settings
from quiesce.ssm import Guest
from quiesce.table import Table
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ec2_client = boto3.client("ec2", config=REPEATABLE)
ssm_client = boto3.client("ssm", config=HASTY)
table = Table(boto3.client("dynamodb", config=REPEATABLE), settings.table_name)
desk = Desk(
    ec2=ec2_client,
    s3=boto3.client("s3", config=REPEATABLE),
    links=boto3.client("s3", config=LINKS),
    sns=boto3.client("sns", config=REPEATABLE),
    table=table,
    settings=settings,
)


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    detail, now = event["detail"], datetime.now(UTC)
    run = identify(sweeping.execution_of(detail), sweeping.input_of(detail))
    begin("sweep", run)
    item = table.run(run)
    if "record" in item or item.get("execution", detail["executionArn"]) != detail["executionArn"]:
        logger.info("nothing to sweep")
        return
    state, session, problem = sweeping.left_by(detail, item), None, ""
    guest = Guest(ssm_client, settings.document_name, run.instance_id)
    if state.plan and was_asked(state):
        # complete thaws, too: the session runner takes it for both.
        wait_s, patience = verbs.complete_wait(state.plan.needed_scripts())
        try:
            session = session_of(guest.ask("complete", verbs.session_parameters(state.plan, wait_s), patience))
        except (AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused) as error:
            problem = f"{error}; the server thaws and ends its session by itself"
    found = ec2.find_snapshots(ec2_client, run, settings.stack_name)
    desk.end(sweeping.with_end(state, session, problem, found, now), guest, now)
