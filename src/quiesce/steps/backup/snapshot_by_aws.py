"""SnapshotByAws: have AWS's own document make the snapshots by VSS, once, while the before script holds."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from quiesce.aws.backup.vss_document import VssDocument
from quiesce.aws.backup.warming import WARM_UP
from quiesce.aws.runs import Runs
from quiesce.aws.snapshots import find_snapshots
from quiesce.backup.awaiting import covers_plan, one_set
from quiesce.backup.requests import document_parameters
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import ByAws, RunState
from quiesce.clock import Clock
from quiesce.errors import OutcomeUnknown, QuiesceError
from quiesce.points.parts import Snapshot
from quiesce.policy.target import DOCUMENT_DELIVERY_S, DOCUMENT_LISTED_S
from quiesce.settings import Settings
from quiesce.steps.backup.entry import enter, leave
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ssm import SSMClient

# How long the agent may take to tell SSM of the document's end.
ANSWER_S = 15
LOOK_AGAIN_S = 2.0


@dataclass(frozen=True)
class SnapshotByAwsStep:
    """What SnapshotByAws needs; ``ssm`` must not retry by itself."""

    ec2: "EC2Client"
    ssm: "SSMClient"
    dynamodb: "DynamoDBClient"
    settings: Settings
    clock: Clock

    def take(self, document: dict[str, Any], token: str) -> dict[str, Any]:
        """Send AWS's document, if no try of this run has sent it, and wait for its end and its snapshots.

        Args:
            document: the state document.
            token: identifies this call of the function.

        Returns:
            The ``ByAws``, also of a document that failed on the server: that is data; empty if Freeze only warms the
            function up.

        Raises:
            LeaseLost: the run no longer holds the server; nothing was sent; not retried.
            AwsThrottled, AwsUnavailable: nothing was sent, or EC2 can't be asked; retried: a command that was sent is
                found again by its tags.
            AccessDenied, AgentUnreachable, CommandRefused, AnswerUnreadable: not retried.
            OutcomeUnknown: the document may have been sent, or may still run; not retried: AwaitSnapshots looks for its
                snapshots.
        """
        if document == WARM_UP:
            return {}
        state, run = enter("snapshot_by_aws", document)
        plan = state.needed_plan()
        sent = VssDocument(self.ssm, run.instance_id, self.clock)
        command_id = self._sent_once(sent, state, run, token)
        executing_s = plan.settings.aws_vss.create_limit_s if plan.settings.aws_vss else 0
        ended = sent.await_end(command_id, DOCUMENT_DELIVERY_S + executing_s + ANSWER_S)
        snapshots = self._await_listing(state, run)
        fall_back = not ended.succeeded and not snapshots and plan.settings.consistency != "application"
        made = ByAws(
            command_id=command_id,
            succeeded=ended.succeeded,
            reason=ended.words or "AWS's document succeeded",
            snapshots=snapshots,
            fall_back=fall_back,
            ended_at=self.clock.now(),
            calls={},
        )
        tagged = {snapshot.snapshot_id: snapshot.app_consistent for snapshot in snapshots}
        logger.info("the document ended", command_id=command_id, succeeded=ended.succeeded, snapshots=tagged)
        return leave(made)

    def _sent_once(self, sent: VssDocument, state: RunState, run: RunIdentity, token: str) -> str:
        """Return the id of the run's one command, which is sent unless an earlier try may have sent it."""
        plan, runs = state.needed_plan(), Runs(self.dynamodb, self.settings.table_name)
        parameters, since = document_parameters(plan), _before_sending(state)
        if not runs.mark_document(run, token, self.clock.now()):
            return sent.find(parameters["tags"], since)
        try:
            return sent.send(parameters, f"quiesce aws-vss {run.run_id}", delivery_s=DOCUMENT_DELIVERY_S)
        except OutcomeUnknown:
            return sent.find(parameters["tags"], since)
        except QuiesceError:
            runs.unmark_document(run, token)
            raise

    def _await_listing(self, state: RunState, run: RunIdentity) -> list[Snapshot]:
        """Return the document's snapshots as soon as EC2 lists one of each planned volume, else what it has listed."""
        until_s = self.clock.monotonic() + DOCUMENT_LISTED_S
        while True:
            found = one_set(find_snapshots(self.ec2, run, self.settings.stack_name))
            if covers_plan(state, found) or self.clock.monotonic() >= until_s:
                return found
            self.clock.sleep(LOOK_AGAIN_S)


def _before_sending(state: RunState) -> datetime:
    return state.freeze.known_at if state.freeze else state.needed_plan().planned_at
