"""Thaw: have the server run the after script, on every path; without a session there is nothing to do."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.backup.thaw import ThawStep

step = ThawStep(
    ssm=client("ssm", HASTY),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
