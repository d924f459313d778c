"""Report: judge the run, write the truth on the snapshots, keep the record, send the mail, free the server."""

from dataclasses import dataclass
from typing import Any

from quiesce.aws.clients import ANY_REFUSAL
from quiesce.backup.awaiting import ADOPTION_S
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import RunState
from quiesce.executions import failure_of
from quiesce.steps.backup.end import EndingStep
from quiesce.steps.backup.entry import enter
from quiesce.telemetry import logger


@dataclass(frozen=True)
class ReportStep(EndingStep):
    """What Report needs."""

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """End the run.

        Returns:
            The ``Record``: the execution's output.

        Raises:
            RunAlreadyStarted: the run is another execution's; nothing was changed; not retried.
        """
        state, _ = enter("report", document)
        return self.end(state, self.guest(state), self.clock.now()).model_dump(mode="json")

    def looked(self, state: RunState, run: RunIdentity) -> RunState:
        """Look at the snapshots where AwaitSnapshots could not; a look that fails leaves them as they were known."""
        try:
            return self.look(state, run, ADOPTION_S)
        except ANY_REFUSAL as error:
            logger.exception("the snapshots could not be looked at")
            return state.model_copy(update={"look_failure": failure_of(error)})
