"""Recover: one step of a recovery, as the state names it; each may be repeated, and says ``NotReady`` until done."""

from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws import HASTY, REPEATABLE
from quiesce.recover_state import RecoveryState
from quiesce.recover_steps import RecoverySteps, id_of
from quiesce.recover_table import Recoveries
from quiesce.settings import Settings
from quiesce.ssm import Guest
from quiesce.telemetry import logger

settings = Settings.from_env()
ssm_client = boto3.client("ssm", config=HASTY)
steps = RecoverySteps(
    ec2=boto3.client("ec2", config=REPEATABLE),
    recoveries=Recoveries(boto3.client("dynamodb", config=REPEATABLE), settings.table_name),
    guest=lambda instance_id: Guest(ssm_client, settings.document_name, instance_id),
    stack=settings.stack_name,
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    state = RecoveryState.model_validate({**event["document"], "step": event["step"]})
    logger.append_keys(step=f"recover.{state.step}", recovery_id=id_of(state))
    answer = steps.take(state)
    logger.info("took a step", reason=answer.get("reason", ""))
    return answer
