"""Recover: one step of a recovery, as the state names it; each may be repeated, and says ``NotReady`` until done.

Started by an event it accounts for an execution that was stopped, cut off or failed without its account.
"""

from datetime import UTC, datetime
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE
from quiesce.aws.recoveries import Recoveries
from quiesce.aws.ssm import Guest
from quiesce.backup.swept import input_of
from quiesce.recovery.state import RecoveryState
from quiesce.settings import Settings
from quiesce.steps.recovery.machine import RecoverySteps, id_of
from quiesce.steps.recovery.report import RecoveryDesk
from quiesce.telemetry import logger

settings = Settings.from_env()
ssm_client = boto3.client("ssm", config=REPEATABLE)
recoveries = Recoveries(boto3.client("dynamodb", config=REPEATABLE), settings.table_name)
desk = RecoveryDesk(
    s3=boto3.client("s3", config=REPEATABLE),
    sns=boto3.client("sns", config=REPEATABLE),
    recoveries=recoveries,
    settings=settings,
)
steps = RecoverySteps(
    ec2=boto3.client("ec2", config=REPEATABLE),
    recoveries=recoveries,
    guest=lambda instance_id: Guest(ssm_client, settings.document_name, instance_id),
    stack=settings.stack_name,
    desk=desk,
)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    now = datetime.now(UTC)
    if "detail" in event:
        detail = event["detail"]
        logger.append_keys(step="recover.sweep", recovery_id=id_of(input_of(detail), detail["name"]))
        account = steps.sweep(detail, now)
        logger.info("swept", reason=account.reason if account else "nothing to sweep")
        return None
    state = RecoveryState.model_validate({**event["document"], "step": event["step"]})
    logger.append_keys(step=f"recover.{state.step}", recovery_id=id_of(state.input, state.execution.name))
    answer = steps.take(state, now)
    logger.info("took a step", reason=answer.get("reason", ""))
    return answer
