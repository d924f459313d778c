"""Thaw: have the server run the after script, on every path; without a session there is nothing to do."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.backup.warming import WARM_UP
from quiesce.aws.ssm import Guest
from quiesce.backup.parameters import session_parameters
from quiesce.backup.session_problems import failed_after, was_asked
from quiesce.backup.state import Thaw
from quiesce.clock import Clock
from quiesce.errors import NotThawed
from quiesce.guest.answers import session_of
from quiesce.guest.documents import documents_of
from quiesce.guest.patience import thaw_wait
from quiesce.guest.sessions import without_listing
from quiesce.settings import Settings
from quiesce.steps.backup.entry import enter, leave
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class ThawStep:
    """What Thaw needs."""

    ssm: "SSMClient"
    settings: Settings
    clock: Clock

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """Thaw the application, and abort the shadow copies of an attempt that is given up.

        Returns:
            The ``Thaw``, without a session where the server was not asked to freeze; empty if Freeze only warms the
            function up.

        Raises:
            AgentUnreachable: retried; the server thaws by its own deadline.
            NotThawed: between two attempts, and the after script failed; not retried: no other attempt is made.
            AnswerUnreadable, GuestRefused, CommandRefused: not retried.
        """
        if document == WARM_UP:
            return {}
        state, run = enter("thaw", document)
        if not was_asked(state):
            return leave(Thaw(session=None, calls={}))
        plan = state.needed_plan()
        wait_s, patience = thaw_wait(plan.settings.limits)
        parameters = session_parameters(plan, state.attempt, wait_s)
        if state.given_up:
            parameters["AbortShadowCopies"] = "true"
        documents = documents_of(self.settings, plan.documents)
        guest = Guest(self.ssm, documents, run.instance_id, self.clock)
        session = session_of(guest.ask("thaw", parameters, patience))
        logger.info("thawed", auto_thawed=session.auto_thawed, after=session.after and session.after.succeeded)
        if state.is_retrying and (problem := failed_after(session)):
            raise NotThawed(f"{problem}: no other attempt is made while the application may still be held")
        bare, listing = without_listing(session)
        return leave(Thaw(session=bare, listing=listing, calls={}))
