"""Page: make a run's page of its record, and the overview after a policy run."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE, SIDE_BY_SIDE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.pages.make import PageStep

step = PageStep(
    s3=client("s3", SIDE_BY_SIDE),
    dynamodb=client("dynamodb", REPEATABLE),
    ec2=client("ec2", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
