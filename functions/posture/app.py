"""Posture: look at all servers and policies, and tell who has no good recovery point for too long."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.posture.look import PostureStep

step = PostureStep(
    ec2=client("ec2", REPEATABLE),
    s3=client("s3", REPEATABLE),
    sns=client("sns", REPEATABLE),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event, context.aws_request_id, context.get_remaining_time_in_millis)
