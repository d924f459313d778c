"""AwaitSnapshots: look once at the run's snapshots, adopt those whose answer was lost, and say when to look again."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quiesce.aws.clients import ANY_REFUSAL
from quiesce.aws.runs import ASKING_LEASE_S, LEASE_S, Runs
from quiesce.aws.snapshots import describe_snapshots, find_snapshots
from quiesce.backup import awaiting
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import RunState
from quiesce.clock import Clock
from quiesce.settings import Settings
from quiesce.steps.backup.entry import enter, leave
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client


@dataclass(frozen=True)
class AwaitSnapshotsStep:
    """What AwaitSnapshots needs."""

    ec2: "EC2Client"
    dynamodb: "DynamoDBClient"
    settings: Settings
    clock: Clock

    def take(self, document: dict[str, Any]) -> dict[str, Any]:
        """Look at the snapshots, and renew the server's lease for the next look and what follows it.

        Returns:
            The ``Awaited``, with the AWS calls of all looks.
        """
        state, run = enter("await_snapshots", document)
        now, runs = self.clock.now(), Runs(self.dynamodb, self.settings.table_name)
        known = [snapshot.snapshot_id for snapshot in awaiting.known_snapshots(state)]
        if known:
            found = describe_snapshots(self.ec2, known)
        else:
            may_exist = awaiting.may_exist(state)
            found = find_snapshots(self.ec2, run, self.settings.stack_name) if may_exist else []
        answer = awaiting.answer(state, found, now)
        if not answer.done:
            answer = awaiting.expecting(answer, self._expected_s(state, runs, run), now)
        if state.plan and state.plan.by_aws:
            # The agent runs a command again after a restart, and then AWS's document makes another set.
            tagged = find_snapshots(self.ec2, run, self.settings.stack_name) if known else found
            answer = answer.model_copy(update={"others": awaiting.others_of(state, answer, tagged)})
        hold_s = ASKING_LEASE_S if state.plan and state.plan.freezes else LEASE_S
        if until := awaiting.renewed_lease(answer, now, hold_s):
            held = runs.renew_lease(run, until)
            answer = answer.model_copy(update={"lease_held": held, "held_until": until})
        seen = {snapshot.snapshot_id: snapshot.state for snapshot in answer.snapshots}
        logger.info("looked", done=answer.done, wait_s=answer.wait_s, snapshots=seen)
        return leave(answer)

    def _expected_s(self, state: RunState, runs: Runs, run: RunIdentity) -> int | None:
        """Return how long the last run's snapshots took; asked once, and only if there is something to wait for."""
        if state.await_snapshots:
            return state.await_snapshots.expected_s
        try:
            return runs.last_snapshots_took_s(run)
        except ANY_REFUSAL as error:
            # Without it the waits grow from the shortest one: that costs some looks, and no backup.
            logger.warning("how long the last run's snapshots took is not known", reason=str(error))
            return None
