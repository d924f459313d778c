"""Freeze: start the session of one attempt on the server, and wait until it is frozen or before has failed."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY, REPEATABLE
from quiesce.aws.runs import ASKING_LEASE_S, Table
from quiesce.aws.ssm import Guest
from quiesce.backup.run import identity_of
from quiesce.backup.session_problems import decide, earlier_attempts
from quiesce.backup.shadow_copies import log_of, outcome_of
from quiesce.backup.state import Freeze, RunState
from quiesce.calls import add_calls, counted, take_calls
from quiesce.guest.answers import session_of
from quiesce.guest.patience import freeze_wait, session_parameters
from quiesce.settings import Settings
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ssm_client = counted(boto3.client("ssm", config=HASTY))
table = Table(counted(boto3.client("dynamodb", config=REPEATABLE)), settings.table_name)


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    take_calls()
    state, now = RunState.model_validate(event), datetime.now(UTC)
    run, plan = identity_of(state), state.needed_plan()
    begin("freeze", run)
    attempt = state.freeze.attempt + 1 if state.freeze else 1
    table.begin_attempt(run, str(attempt), now, now + timedelta(seconds=ASKING_LEASE_S))
    wait_s, patience = freeze_wait(plan.settings.limits)
    guest = Guest(ssm_client, settings.document_name, run.instance_id)
    answer = guest.ask("freeze", session_parameters(plan, attempt, wait_s), patience)
    session, known_at = session_of(answer), datetime.now(UTC)
    shadow = outcome_of(session, log_of(answer), plan.shadow) if plan.shadow else None
    decision = decide(plan, session, shadow, attempt)
    logger.info("frozen", attempt=attempt, **asdict(decision), shadow=shadow and shadow.kind)
    frozen = Freeze(
        attempt=attempt,
        session=session,
        shadow=shadow,
        known_at=known_at,
        **asdict(decision),
        crash_allowed=plan.settings.consistency != "application",
        earlier=earlier_attempts(state, known_at),
        calls=add_calls(state.freeze.calls if state.freeze else {}, take_calls()),
    )
    return frozen.model_dump(mode="json")
