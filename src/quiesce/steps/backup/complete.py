"""Complete: have the server run the complete script, with 1 only if everything succeeded."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.ssm import Guest
from quiesce.backup.findings import gather
from quiesce.backup.parameters import session_parameters
from quiesce.backup.session_problems import was_asked
from quiesce.backup.shadow_copies import ending_words, log_of
from quiesce.backup.state import Complete, Thaw
from quiesce.clock import Clock
from quiesce.guest.answers import session_of
from quiesce.guest.documents import documents_of
from quiesce.guest.patience import complete_wait
from quiesce.guest.sessions import Session, without_listing
from quiesce.settings import Settings
from quiesce.steps.backup.entry import enter, leave
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True)
class CompleteStep:
    """What Complete needs."""

    ssm: "SSMClient"
    settings: Settings
    clock: Clock

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """End the session on the server with the overall success.

        Returns:
            The ``Complete``, without a session where the server was not asked to freeze.

        Raises:
            AgentUnreachable: retried; the server ends its session by its own deadline, with 0.
            AnswerUnreadable, GuestRefused, CommandRefused: not retried.
        """
        state, run = enter("complete", document)
        succeeded = gather(state).succeeded_so_far
        if not was_asked(state):
            return leave(Complete(session=None, succeeded=succeeded, calls={}))
        plan = state.needed_plan()
        wait_s, patience = complete_wait(plan.settings.limits)
        parameters = session_parameters(plan, state.attempt, wait_s) | {"Succeeded": str(succeeded).lower()}
        if succeeded and plan.nonce:
            parameters["Nonce"] = plan.nonce
        documents = documents_of(self.settings, plan.documents)
        guest = Guest(self.ssm, documents, run.instance_id, self.clock)
        answer = guest.ask("complete", parameters, patience)
        session, ending = session_of(answer), ending_words(log_of(answer))
        logger.info("completed", succeeded=succeeded, complete=session.complete and session.complete.succeeded)
        bare, listing = without_listing(session)
        listing = new_listing(state.thaw, session, listing)
        return leave(Complete(session=bare, listing=listing, succeeded=succeeded, ending=ending, calls={}))


def new_listing(thaw: Thaw | None, session: Session, listing: str) -> str:
    """Return a session's packed listing, empty if Thaw has kept the same one of the same attempt."""
    kept = thaw is not None and thaw.session is not None and thaw.session.attempt == session.attempt
    return "" if thaw and kept and thaw.listing == listing else listing
