"""AwaitSnapshots: look once at the run's snapshots, adopt those of a lost answer, and return when to look again."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.backup.await_snapshots import AwaitSnapshotsStep

step = AwaitSnapshotsStep(
    ec2=client("ec2", REPEATABLE),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
