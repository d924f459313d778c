"""Recover: take the step of a recovery that the state names; each may be repeated, and raises ``NotReady`` until done.

Started by an event, it writes the account of an execution that was stopped, cut off or failed without one.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.recovery.machine import RecoverStep

step = RecoverStep(
    ec2=client("ec2", REPEATABLE),
    s3=client("s3", REPEATABLE),
    sns=client("sns", REPEATABLE),
    ssm=client("ssm", REPEATABLE),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    return step.take(event)
