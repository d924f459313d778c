"""Snapshot: create the snapshots of all chosen volumes at one point in time, once."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import ONCE, REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.backup.snapshot import SnapshotStep

step = SnapshotStep(
    ec2=client("ec2", ONCE),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event, context.aws_request_id)
