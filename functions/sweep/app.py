"""Sweep: after an execution that was stopped, timed out or failed: thaw, complete with 0, record, lease.

It does nothing where the run's record is complete. Like the event it is best effort: the server keeps its deadlines.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce import ec2, sweeping, verbs
from quiesce.aws import HASTY, LINKS, REPEATABLE
from quiesce.collecting import LogStore
from quiesce.errors import AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused
from quiesce.freezing import was_asked
from quiesce.reporting import Desk
from quiesce.run import RunIdentity, identify
from quiesce.session import Session, session_of
from quiesce.settings import Settings
from quiesce.ssm import Guest
from quiesce.state import Plan, Snapshot
from quiesce.table import Table
from quiesce.telemetry import begin, logger

# As long as AwaitSnapshots looks for a set whose answer was lost.
LOOKS, LOOK_AGAIN_S = 7, 5.0

settings = Settings.from_env()
ec2_client = boto3.client("ec2", config=REPEATABLE)
s3_client = boto3.client("s3", config=REPEATABLE)
ssm_client = boto3.client("ssm", config=HASTY)
table = Table(boto3.client("dynamodb", config=REPEATABLE), settings.table_name)
desk = Desk(
    ec2=ec2_client,
    s3=s3_client,
    logs=LogStore(s3_client, boto3.client("s3", config=LINKS), settings.bucket_name),
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
    state = sweeping.left_by(detail, item)
    guest = Guest(ssm_client, settings.document_name, run.instance_id)
    session, problem = end_session(guest, state.plan) if state.plan and was_asked(state) else (None, "")
    found = find_snapshots(run, guest.sleep)
    desk.end(sweeping.with_end(state, session, problem, found, now), guest, now)


def end_session(guest: Guest, plan: Plan) -> tuple[Session | None, str]:
    """Have the session end, with 0; it thaws before, if nobody has asked for that yet."""
    wait_s, patience = verbs.sweep_wait(plan.needed_scripts())
    try:
        return session_of(guest.ask("complete", verbs.session_parameters(plan, wait_s), patience)), ""
    except (AgentUnreachable, AnswerUnreadable, CommandRefused, GuestRefused) as error:
        return None, f"{error}; the server thaws and ends its session by itself"


def find_snapshots(run: RunIdentity, sleep: Callable[[float], None]) -> list[Snapshot]:
    """Find what Snapshot made: it may be under way still, because nobody stops a function with its execution."""
    for _ in range(LOOKS):
        found = ec2.find_snapshots(ec2_client, run, settings.stack_name)
        if found or not table.has_sent_snapshot(run):
            return found
        sleep(LOOK_AGAIN_S)
    return []
