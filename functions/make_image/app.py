"""MakeImage: ask EC2 for an initial AMI if the server needs one."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import ONCE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.backup.make_image import MakeImageStep

step = MakeImageStep(
    ec2=client("ec2", ONCE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
