"""Report: judge the run, write the truth on the snapshots, keep the record, send the mail, free the server."""

from dataclasses import dataclass
from typing import Any

from quiesce.steps.backup.end import EndingStep
from quiesce.steps.backup.entry import enter


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
        state, run = enter("report", document)
        return self.end(state, self.guest(run), self.clock.now()).model_dump(mode="json")
