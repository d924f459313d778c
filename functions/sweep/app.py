"""Sweep: after an execution was stopped, timed out or failed, thaw, complete with 0, write the record, free the server.

It does nothing if the run's record is complete. Like its event it is best effort: the server keeps its own deadlines.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, LINKS, REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.backup.sweep import SweepStep

step = SweepStep(
    ec2=client("ec2", REPEATABLE),
    s3=client("s3", REPEATABLE),
    links=client("s3", LINKS),
    sns=client("sns", REPEATABLE),
    ssm=client("ssm", HASTY),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
    stepfunctions=client("stepfunctions", REPEATABLE),
)


def handler(event: dict[str, Any], context: LambdaContext) -> None:
    step.take(event)
