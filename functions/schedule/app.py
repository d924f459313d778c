"""Schedule: make EventBridge Scheduler's schedules what the policies' files say."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import ScheduleSettings
from quiesce.steps.schedules.look import ScheduleStep

step = ScheduleStep(
    s3=client("s3", REPEATABLE),
    dynamodb=client("dynamodb", REPEATABLE),
    scheduler=client("scheduler", REPEATABLE),
    sns=client("sns", REPEATABLE),
    settings=ScheduleSettings.from_env(),
    clock=Clock(),
)


def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
