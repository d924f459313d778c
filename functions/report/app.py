"""Report: judge the run, tag its snapshots with the verdict, write the record, send the mail, release the lease."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, LINKS, REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.backup.report import ReportStep

step = ReportStep(
    ec2=client("ec2", REPEATABLE),
    s3=client("s3", REPEATABLE),
    links=client("s3", LINKS),
    sns=client("sns", REPEATABLE),
    ssm=client("ssm", HASTY),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=Settings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
