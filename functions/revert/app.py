"""Revert: take the step of a build that the state names; each may be repeated.

Started by an event, it deletes the children of an execution that was cut off.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import ONCE, REPEATABLE, SIDE_BY_SIDE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.revert.machine import RevertStep

step = RevertStep(
    ec2=client("ec2", REPEATABLE),
    ec2_once=client("ec2", ONCE),
    ebs=client("ebs", SIDE_BY_SIDE),
    s3=client("s3", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    return step.take(event, context.get_remaining_time_in_millis)
