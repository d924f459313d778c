"""Thaw: have the after script run, on every path; without a session there is nothing to do."""

from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY
from quiesce.aws.ssm import Guest
from quiesce.backup.run import identity_of
from quiesce.backup.session_problems import was_asked
from quiesce.backup.state import RunState, Thaw
from quiesce.calls import counted, take_calls
from quiesce.guest.answers import session_of
from quiesce.guest.patience import session_parameters, thaw_wait
from quiesce.settings import Settings
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ssm_client = counted(boto3.client("ssm", config=HASTY))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    take_calls()
    state = RunState.model_validate(event)
    run = identity_of(state)
    begin("thaw", run)
    session = None
    if was_asked(state):
        plan = state.needed_plan()
        wait_s, patience = thaw_wait(plan.settings.limits)
        guest = Guest(ssm_client, settings.document_name, run.instance_id)
        parameters = session_parameters(plan, state.attempt, wait_s)
        if state.given_up:
            parameters["AbortShadowCopies"] = "true"
        session = session_of(guest.ask("thaw", parameters, patience))
        logger.info("thawed", auto_thawed=session.auto_thawed, after=session.after and session.after.succeeded)
    return Thaw(session=session, calls=take_calls()).model_dump(mode="json")
