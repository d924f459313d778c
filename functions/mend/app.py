"""Mend: take the step that the state names: change on a server what keeps it from a backup, or give it back."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import ONCE, REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import MendSettings
from quiesce.steps.doctor.mend import MendStep

step = MendStep(
    ec2=client("ec2", ONCE),
    ssm=client("ssm", ONCE),
    s3=client("s3", REPEATABLE),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=MendSettings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
