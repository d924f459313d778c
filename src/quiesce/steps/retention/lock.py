"""Lock: have EBS keep the whole recovery points of one server, for the days that their policy says."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from quiesce.aws.retention.locks import lock_snapshot, locked
from quiesce.errors import PolicyRefused
from quiesce.policy.file import read_policy_file
from quiesce.policy.lock import Lock
from quiesce.retention.gather import Known, point_of
from quiesce.retention.locking import days_left
from quiesce.retention.state import Locked, RetentionState
from quiesce.steps.retention.plan import Gathered, Planner
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

# What is left of a function's time when it begins nothing more.
RESERVE_MS = 60_000


@dataclass(frozen=True)
class Locker:
    """What is needed to lock recovery points of a server."""

    ec2: "EC2Client"
    planner: Planner

    def lock(self, state: RetentionState, remaining_ms: Callable[[], int], now: datetime) -> Locked:
        """Lock what no lock has held yet: once locked, a recovery point is left alone, also if a person unlocks it.

        Returns:
            What is locked now. What EC2 refuses is a problem, and tried again by the next execution.
        """
        done = Locked(locked=[], problems=[])
        gathered = self.planner.gather(state.server, now)
        due = [] if state.request.remove else self._due(gathered, state, now)
        if due and gathered.clock:
            done.problems.append(f"nothing is locked: {gathered.clock}")
        if not due or gathered.clock:
            return done
        before = locked(self.ec2, [i for known, *_ in due for i in known.listed.all_snapshots])
        refused: dict[str, str] = {}
        for known, lock, days in due:
            for snapshot_id in known.listed.all_snapshots:
                if snapshot_id not in before and remaining_ms() > RESERVE_MS:
                    refused[snapshot_id] = lock_snapshot(self.ec2, snapshot_id, lock, days)
        # An accepted call is no lock, and one that was refused may have been accepted before, by a lost answer.
        after = locked(self.ec2, [*before, *refused])
        for known, _, days in due:
            mine = known.listed.all_snapshots
            done.problems.extend(words for i in mine if i not in after and (words := refused.get(i)))
            if all(i in after for i in mine):
                self.planner.points.keep_locked(known.listed, now + timedelta(days=days))
                done.locked.append(known.listed.run_id)
                logger.info("locked a recovery point", run_id=known.listed.run_id, days=days, snapshots=mine)
        return done

    def _due(self, gathered: Gathered, state: RetentionState, now: datetime) -> list[tuple[Known, Lock, int]]:
        """Return the whole recovery points that no lock has held yet, with the days that theirs has."""
        locks = {policy: self._lock_of(policy) for policy in {k.listed.policy for k in gathered.known.values()}}
        found = [
            (known, lock, days)
            for known in gathered.known.values()
            if state.request.policy in (None, known.listed.policy)
            and (lock := locks[known.listed.policy])
            and not known.locked
            and (point := point_of(known, gathered.snapshots, now))
            and (point.status, point.removing) == ("Successful", False)
            and (days := days_left(lock, point.ended_at, now))
        ]
        # What the rule is about to remove is not locked; that takes a look only where something is to be locked.
        plans = self.planner.plans(state.server, state.request, now) if found else []
        going = {decision.point.run_id for each in plans for decision in each.plan.removals}
        return [each for each in found if each[0].listed.run_id not in going]

    def _lock_of(self, policy: str) -> Lock | None:
        """Return a policy's lock, None if it has none or can't be read: Plan tells the latter."""
        try:
            content, where = self.planner.bucket.read_policy(policy)
            return read_policy_file(content, policy, where).lock
        except PolicyRefused:
            return None
