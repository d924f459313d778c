"""Verify: look for the shadow copies in the snapshots, before any log is truncated."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE, client
from quiesce.steps.backup.verify import VerifyStep

step = VerifyStep(
    ec2=client("ec2", REPEATABLE),
    ebs=client("ebs", REPEATABLE),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event, context.get_remaining_time_in_millis)
