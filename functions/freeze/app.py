"""Freeze: start the session of one attempt on the server, and wait until it is frozen or before has failed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce import verbs
from quiesce.aws import HASTY, REPEATABLE
from quiesce.calls import counted, take_calls
from quiesce.freezing import goes_on
from quiesce.run import identity_of
from quiesce.session import session_of
from quiesce.settings import Settings
from quiesce.ssm import Guest
from quiesce.state import Freeze, RunState
from quiesce.table import ASKING_LEASE_S, Table
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ssm_client = counted(boto3.client("ssm", config=HASTY))
table = Table(counted(boto3.client("dynamodb", config=REPEATABLE)), settings.table_name)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    take_calls()
    state, now = RunState.model_validate(event), datetime.now(UTC)
    run, plan = identity_of(state), state.needed_plan()
    begin("freeze", run)
    table.begin_attempt(run, verbs.ATTEMPT, now, now + timedelta(seconds=ASKING_LEASE_S))
    wait_s, patience = verbs.freeze_wait(plan.needed_scripts())
    guest = Guest(ssm_client, settings.document_name, run.instance_id)
    session = session_of(guest.ask("freeze", verbs.session_parameters(plan, wait_s), patience))
    go_on, reason = goes_on(plan, session)
    logger.info("frozen", go_on=go_on, reason=reason, before=session.before and session.before.succeeded)
    frozen = Freeze(session=session, known_at=datetime.now(UTC), go_on=go_on, reason=reason, calls=take_calls())
    return frozen.model_dump(mode="json")
