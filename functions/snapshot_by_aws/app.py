"""SnapshotByAws: have AWS's own document make the snapshots by VSS, once, and wait for its end."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.backup.snapshot_by_aws import SnapshotByAwsStep

step = SnapshotByAwsStep(
    ec2=client("ec2", REPEATABLE),
    ssm=client("ssm", HASTY),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event, context.aws_request_id)
