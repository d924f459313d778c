"""Freeze: start the session of one attempt on the server, and wait until it is frozen or has failed."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import FreezeSettings
from quiesce.steps.backup.freeze import FreezeStep

step = FreezeStep(
    ssm=client("ssm", HASTY),
    dynamodb=client("dynamodb", REPEATABLE),
    functions=client("lambda", HASTY),
    settings=FreezeSettings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
