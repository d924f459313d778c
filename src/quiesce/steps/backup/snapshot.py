"""Snapshot: create the snapshots of all chosen volumes at one point in time, once."""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from quiesce.aws.backup.warming import WARM_UP
from quiesce.aws.runs import LEASE_S, Runs
from quiesce.aws.snapshots import LIMIT_REMEDY, create_snapshots
from quiesce.backup.attempts import may_try_later
from quiesce.backup.requests import snapshots_request
from quiesce.backup.session_problems import was_asked
from quiesce.backup.shadow_problems import has_good_shadow_copies
from quiesce.backup.state import SnapshotSet
from quiesce.clock import Clock
from quiesce.errors import (
    OutcomeUnknown,
    QuiesceError,
    SnapshotLimitReached,
    SnapshotLimitWhileFrozen,
    SnapshotRefused,
)
from quiesce.settings import Settings
from quiesce.steps.backup.entry import enter, leave
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ec2 import EC2Client


@dataclass(frozen=True)
class SnapshotStep:
    """What Snapshot needs; ``ec2`` must not retry by itself."""

    ec2: "EC2Client"
    dynamodb: "DynamoDBClient"
    settings: Settings
    clock: Clock

    def take(self, document: dict[str, Any], token: str) -> dict[str, Any]:
        """Send CreateSnapshots, if no try of this run has sent it.

        Args:
            document: the state document.
            token: identifies this call of the function.

        Returns:
            The ``SnapshotSet``; empty if Freeze only warms the function up.

        Raises:
            LeaseLost: the run no longer holds the server; nothing was created; not retried.
            SnapshotRefused, AccessDenied: nothing was created; not retried.
            SnapshotTooSoon, AwsThrottled, AwsUnavailable: nothing was created; retried.
            SnapshotLimitReached: nothing was created, and nothing was frozen; retried, and the lease held on meanwhile.
            SnapshotLimitWhileFrozen: nothing was created; not retried: the machine thaws, then makes another attempt.
                After the last attempt it is SnapshotRefused.
            OutcomeUnknown: a set may exist; not retried: AwaitSnapshots looks for it.
        """
        if document == WARM_UP:
            return {}
        state, run = enter("snapshot", document)
        plan = state.needed_plan()
        runs = Runs(self.dynamodb, self.settings.table_name)
        runs.mark_snapshot(run, token, self.clock.now())
        try:
            snapshots = create_snapshots(self.ec2, snapshots_request(plan, vss=has_good_shadow_copies(state)))
        except OutcomeUnknown:
            raise
        except SnapshotLimitReached as error:
            runs.unmark_snapshot(run, token)
            if not was_asked(state):
                runs.renew_lease(run, self.clock.now() + timedelta(seconds=LEASE_S))
                raise
            if may_try_later(state):
                raise SnapshotLimitWhileFrozen(str(error)) from error
            raise SnapshotRefused("CreateSnapshots", str(error), LIMIT_REMEDY) from error
        except QuiesceError:
            runs.unmark_snapshot(run, token)
            raise
        returned_at = self.clock.now()
        logger.info("snapshots created", snapshots=[s.snapshot_id for s in snapshots])
        created = SnapshotSet(snapshots=snapshots, returned_at=returned_at, calls={})
        return leave(created)
