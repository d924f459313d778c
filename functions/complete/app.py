"""Complete: have the complete script run, with 1 only if everything succeeded."""

from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext

from quiesce.aws.clients import HASTY
from quiesce.aws.ssm import Guest
from quiesce.backup.run import identity_of
from quiesce.backup.session_problems import was_asked
from quiesce.backup.shadow_copies import ending_words, log_of
from quiesce.backup.state import Complete, RunState
from quiesce.backup.verdict import succeeded_so_far
from quiesce.calls import counted, take_calls
from quiesce.guest.answers import session_of
from quiesce.guest.patience import complete_wait, session_parameters
from quiesce.settings import Settings
from quiesce.telemetry import begin, logger

settings = Settings.from_env()
ssm_client = counted(boto3.client("ssm", config=HASTY))


def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    take_calls()
    state = RunState.model_validate(event)
    run, succeeded = identity_of(state), succeeded_so_far(state)
    begin("complete", run)
    session, ending = None, ""
    if was_asked(state):
        plan = state.needed_plan()
        wait_s, patience = complete_wait(plan.settings.limits)
        parameters = session_parameters(plan, state.attempt, wait_s) | {"Succeeded": str(succeeded).lower()}
        guest = Guest(ssm_client, settings.document_name, run.instance_id)
        answer = guest.ask("complete", parameters, patience)
        session, ending = session_of(answer), ending_words(log_of(answer))
        logger.info("completed", succeeded=succeeded, complete=session.complete and session.complete.succeeded)
    return Complete(session=session, succeeded=succeeded, ending=ending, calls=take_calls()).model_dump(mode="json")
