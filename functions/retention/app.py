"""Retention: take the step that the state names; only Lock, Mark, Finish and Archive change anything."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.retention.machine import RetentionStep

step = RetentionStep(
    ec2=client("ec2", REPEATABLE),
    ebs=client("ebs", REPEATABLE),
    s3=client("s3", REPEATABLE),
    sns=client("sns", REPEATABLE),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event, context.get_remaining_time_in_millis)
