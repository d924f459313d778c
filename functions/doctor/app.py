"""Doctor: take the step that the state names: what servers can be backed up as, and what they lack."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, ONCE, REPEATABLE, client
from quiesce.clock import Clock
from quiesce.settings import DoctorSettings
from quiesce.steps.doctor.machine import DoctorStep

step = DoctorStep(
    ec2=client("ec2", REPEATABLE),
    # Many networks have no way to IAM: what it does not answer at once is not known.
    iam=client("iam", HASTY),
    ssm=client("ssm", ONCE),
    s3=client("s3", REPEATABLE),
    sns=client("sns", REPEATABLE),
    dynamodb=client("dynamodb", REPEATABLE),
    settings=DoctorSettings.from_env(),
    clock=Clock(),
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    return step.take(event)
