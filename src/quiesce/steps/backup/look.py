"""Look once more at the snapshots of a run that ends, where AwaitSnapshots could not: none stays unnamed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quiesce.aws.runs import Runs
from quiesce.aws.snapshots import describe_snapshots, find_snapshots
from quiesce.backup import awaiting
from quiesce.backup.run import RunIdentity
from quiesce.backup.state import RunState
from quiesce.clock import Clock
from quiesce.points.parts import Snapshot

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

LOOK_AGAIN_S = 5.0


@dataclass(frozen=True)
class LateLook:
    """What a look needs; ``stack`` is the stack's name, ``for_s`` for how many seconds a set may be listed late."""

    ec2: "EC2Client"
    runs: Runs
    clock: Clock
    stack: str
    for_s: int

    def take(self, state: RunState, run: RunIdentity) -> RunState:
        """Add what EC2 shows of a run's snapshots now, without waiting for them to complete.

        It waits for the whole set to be listed, if Snapshot has marked that it would send, and no id is known.
        """
        if not awaiting.is_open(state):
            return state
        known = [snapshot.snapshot_id for snapshot in awaiting.known_snapshots(state)]
        found = describe_snapshots(self.ec2, known) if known else self._find(state, run)
        return state.model_copy(update={"await_snapshots": awaiting.seen_late(state, found, self.clock.now())})

    def _find(self, state: RunState, run: RunIdentity) -> list[Snapshot]:
        until_s = self.clock.monotonic() + self.for_s
        found = find_snapshots(self.ec2, run, self.stack)
        while not awaiting.covers_plan(state, found) and self.runs.has_sent_snapshot(run):
            if self.clock.monotonic() >= until_s:
                break
            self.clock.sleep(LOOK_AGAIN_S)
            found = find_snapshots(self.ec2, run, self.stack)
        return found
