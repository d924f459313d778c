"""AwaitSnapshots: look once at the snapshots of the run, adopt what a lost answer left, and say when to look again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws import snapshots
from quiesce.aws.clients import REPEATABLE
from quiesce.aws.runs import ASKING_LEASE_S, LEASE_S, Table
from quiesce.backup import awaiting
from quiesce.backup.run import identity_of
from quiesce.backup.state import RunState
from quiesce.calls import add_calls, counted, take_calls
from quiesce.settings import Settings
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ec2_client = counted(boto3.client("ec2", config=REPEATABLE))
table = Table(counted(boto3.client("dynamodb", config=REPEATABLE)), settings.table_name)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    take_calls()
    state, now = RunState.model_validate(event), datetime.now(UTC)
    run = identity_of(state)
    begin("await_snapshots", run)
    known = awaiting.known_snapshots(state)
    if known:
        found = snapshots.describe_snapshots(ec2_client, [snapshot.snapshot_id for snapshot in known])
    else:
        found = snapshots.find_snapshots(ec2_client, run, settings.stack_name) if awaiting.may_exist(state) else []
    answer = awaiting.answer(state, found, now)
    hold_s = ASKING_LEASE_S if state.plan and state.plan.freezes else LEASE_S
    held = answer.lease_held and table.renew_lease(run, now + timedelta(seconds=answer.wait_s + hold_s))
    logger.info(
        "looked", done=answer.done, wait_s=answer.wait_s, snapshots={s.snapshot_id: s.state for s in answer.snapshots}
    )
    calls = add_calls(answer.calls, take_calls())
    return answer.model_copy(update={"lease_held": held, "calls": calls}).model_dump(mode="json")
