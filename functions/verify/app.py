"""Verify: look for the shadow copies in the snapshots, before any log is truncated."""

from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import REPEATABLE
from quiesce.backup.run import identity_of
from quiesce.backup.state import RunState
from quiesce.backup.verdict import awaits_evidence
from quiesce.calls import counted, take_calls
from quiesce.points.evidence import NOTHING_TO_VERIFY
from quiesce.settings import Settings
from quiesce.steps.backup.verify import verify
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ec2_client = counted(boto3.client("ec2", config=REPEATABLE))
ebs_client = counted(boto3.client("ebs", config=REPEATABLE))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    take_calls()
    state = RunState.model_validate(event)
    begin("verify", identity_of(state))
    verified = NOTHING_TO_VERIFY
    if awaits_evidence(state):
        verified = verify(ec2_client, ebs_client, state, context.get_remaining_time_in_millis)
    blocks = {read.snapshot_id: read.blocks for read in verified.snapshots}
    logger.info("verified", verdict=verified.verdict, reason=verified.reason, blocks=blocks)
    return verified.model_copy(update={"calls": take_calls()}).model_dump(mode="json")
