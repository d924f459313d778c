"""Resolve: read the policy, find the servers that it means now, and write the list of them for the Distributed Map."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.policy_run.resolve import ResolveStep

step = ResolveStep(
    ec2=client("ec2", REPEATABLE),
    s3=client("s3", REPEATABLE),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
