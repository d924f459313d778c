"""Snapshot: create the snapshots of all chosen volumes at one point in time, once."""

from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import ONCE, REPEATABLE
from quiesce.aws.runs import Table
from quiesce.aws.snapshots import create_snapshots, request_of
from quiesce.backup.run import identity_of
from quiesce.backup.shadow_copies import has_good_shadow_copies
from quiesce.backup.state import RunState, SnapshotSet
from quiesce.calls import counted, take_calls
from quiesce.errors import OutcomeUnknown, QuiesceError
from quiesce.settings import Settings
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ec2_client = counted(boto3.client("ec2", config=ONCE))
table = Table(counted(boto3.client("dynamodb", config=REPEATABLE)), settings.table_name)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    take_calls()
    state, requested_at = RunState.model_validate(event), datetime.now(UTC)
    run, plan = identity_of(state), state.needed_plan()
    begin("snapshot", run)
    table.mark_snapshot(run, context.aws_request_id, requested_at)
    try:
        snapshots = create_snapshots(ec2_client, request_of(plan, vss=has_good_shadow_copies(state)))
    except OutcomeUnknown:
        raise
    except QuiesceError:
        table.unmark_snapshot(run, context.aws_request_id)
        raise
    created = SnapshotSet(
        snapshots=snapshots, requested_at=requested_at, returned_at=datetime.now(UTC), calls=take_calls()
    )
    logger.info("snapshots created", snapshots=[s.snapshot_id for s in snapshots])
    return created.model_dump(mode="json")
