"""Freeze: start the session of one attempt on the server, and wait until it is frozen or the freeze has failed."""

from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from quiesce.aws.backup.warming import warm_up
from quiesce.aws.clients import ANY_REFUSAL
from quiesce.aws.runs import ASKING_LEASE_S, Runs
from quiesce.aws.ssm import Guest
from quiesce.backup.attempts import decide, earlier_attempts, without_answer
from quiesce.backup.parameters import session_parameters
from quiesce.backup.shadow_copies import log_of, outcome_of
from quiesce.backup.state import Freeze, Plan
from quiesce.clock import Clock
from quiesce.errors import AgentUnreachable
from quiesce.guest.answers import session_of
from quiesce.guest.documents import documents_of
from quiesce.guest.patience import freeze_wait
from quiesce.settings import FreezeSettings
from quiesce.steps.backup.entry import enter, leave
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class FreezeStep:
    """What Freeze needs."""

    ssm: "SSMClient"
    dynamodb: "DynamoDBClient"
    functions: "LambdaClient"
    settings: FreezeSettings
    clock: Clock

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """Make one attempt to freeze the application, and decide what follows from it.

        Returns:
            The ``Freeze``, also of an attempt that failed on the server: that is data.

        Raises:
            LeaseLost: the run no longer holds the server, and it was not asked; not retried.
            AgentUnreachable: no answer came, and the policy requires application consistency; not retried.
            AnswerUnreadable, GuestRefused, CommandRefused: the server answered otherwise; not retried.
        """
        state, run = enter("freeze", document)
        now, plan = self.clock.now(), state.needed_plan()
        attempt = state.freeze.attempt + 1 if state.freeze else 1
        runs = Runs(self.dynamodb, self.settings.table_name)
        runs.begin_attempt(run, attempt, plan.model_dump_json(), now, now + timedelta(seconds=ASKING_LEASE_S))
        wait_s, patience = freeze_wait(plan.settings.limits)
        self._warm_up(plan)
        documents = documents_of(self.settings, plan.documents)
        guest = Guest(self.ssm, documents, run.instance_id, self.clock)
        # Once the server has thawed by itself, another answer is worth nothing.
        patience = replace(patience, again_s=plan.settings.freeze_limit_s)
        session, shadow = None, None
        try:
            answer = guest.ask("freeze", session_parameters(plan, attempt, wait_s), patience)
            session = session_of(answer)
            shadow = outcome_of(session, log_of(answer), plan.shadow) if plan.shadow else None
            decision = decide(plan, session, shadow, attempt)
        except AgentUnreachable as error:
            if plan.settings.consistency == "application":
                raise
            decision = without_answer(plan, str(error))
        known_at = self.clock.now()
        logger.info("frozen", attempt=attempt, **asdict(decision), shadow=shadow and shadow.kind)
        frozen = Freeze(
            attempt=attempt,
            session=session,
            shadow=shadow,
            known_at=known_at,
            **asdict(decision),
            crash_allowed=plan.settings.consistency != "application",
            # A server that did not answer is not sent another command: the plain snapshots come first.
            by_aws=plan.by_aws and decision.go_on and session is not None,
            earlier=earlier_attempts(state, known_at),
            calls=state.freeze.calls if state.freeze else {},
        )
        return leave(frozen)

    def _warm_up(self, plan: Plan) -> None:
        """Have the functions start that the application would wait for: before does not run yet.

        If Lambda does not take it, the attempt goes on: the application is then held until they have started.
        """
        settings = self.settings
        creator = settings.snapshot_by_aws_function if plan.by_aws else settings.snapshot_function
        try:
            warm_up(self.functions, [creator, settings.thaw_function])
        except ANY_REFUSAL as error:
            logger.warning("functions not warmed up: the freeze may take longer by their start", error=str(error))
