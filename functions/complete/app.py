"""Complete: have the server run the complete script, with 1 only if everything succeeded."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.backup.complete import CompleteStep

step = CompleteStep(
    ssm=client("ssm", HASTY),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
