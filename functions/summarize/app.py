"""Summarize: once all runs of a policy run have ended, count them, keep the summary, and tell who must know."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.policy_run.summarize import SummarizeStep

step = SummarizeStep(
    s3=client("s3", REPEATABLE),
    sns=client("sns", REPEATABLE),
    dynamodb=client("dynamodb", REPEATABLE),
    stepfunctions=client("stepfunctions", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
