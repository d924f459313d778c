"""Restore: have EBS restore for some days what a recovery needs of the archive, and wait until it is there."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from quiesce.aws.point_looks import find_snapshots
from quiesce.aws.retention.archivings import Archivings
from quiesce.aws.retention.points import Points
from quiesce.aws.retention.tiers import RESTORING, restore, running, tiers
from quiesce.errors import NotReady, RecoveryRefused
from quiesce.points.restoring import NEEDED, RESTORED_DAYS
from quiesce.points.tier import RESTORES_AT_ONCE, Tier
from quiesce.recovery.plan import RecoveryPlan
from quiesce.recovery.state import RecoveryState, Restored
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

AGAIN = "mend what it names, then start the recovery again under the same recovery_id: it goes on with what is restored"


class Refusal(NamedTuple):
    """EC2's words where it refuses a restore, and whether only because of how many go on."""

    words: str
    by_limit: bool


@dataclass(frozen=True)
class Restorer:
    """What is needed to restore a recovery point from the archive."""

    ec2: "EC2Client"
    points: Points
    archivings: Archivings
    now: datetime

    def waits_for(self, plan: RecoveryPlan) -> dict[str, Tier]:
        """Return the tiers of those snapshots of a plan that can't be used until the recovery has ended."""
        needed = plan.needed_snapshots
        archiving = self.archivings.of_point(plan.from_instance_id, plan.recovery_point)
        if archiving.going_until and archiving.going_until > self.now:
            return tiers(self.ec2, needed)
        described = find_snapshots(self.ec2, needed)
        if not archiving.has_begun and not any(each.was_archived for each in described.values()):
            return {}
        found = tiers(self.ec2, needed)
        return {i: tier for i, tier in found.items() if not tier.is_usable_until(self.now + NEEDED)}

    def restore(self, state: RecoveryState) -> Restored:
        """Ask for what is not restored yet, of what nobody else asked for, and hold the recovery point meanwhile.

        Returns:
            What can be used now, for as long as the rest of the recovery may take.

        Raises:
            NotReady: EBS has not restored all of it; the retry is the wait.
            RecoveryRefused: EBS can't restore it, or refuses to; not retried.
        """
        plan = state.needed_planned.plan
        holder, until = f"recovery {plan.recovery_id}", self.now + NEEDED
        if not self.points.lease(plan.from_instance_id, plan.recovery_point, holder, self.now, until):
            problem = f"'{plan.recovery_point}' is being removed"
            raise RecoveryRefused("recovery_point", problem, "choose another")
        waiting = self.waits_for(plan)
        if not waiting:
            return Restored(snapshots=plan.needed_snapshots, ended_at=self.now)
        self._refuse_failed(waiting, state.execution.started_at)
        words = self._ask(waiting)
        logger.info("restoring from the archive", waiting=list(waiting), reason=words)
        done = len(plan.needed_snapshots) - len(waiting)
        raise NotReady(f"{done} of {len(plan.needed_snapshots)} snapshots can be used; {words}")

    def _ask(self, found: Mapping[str, Tier]) -> str:
        """Ask EBS for each snapshot that it is not at work on; return how far it is with all of them."""
        free = RESTORES_AT_ONCE - running(self.ec2, RESTORING)
        words, refused = {}, {}
        for snapshot_id, tier in found.items():
            if tier.is_restoring:
                words[snapshot_id] = f"is being restored ({tier.progress} %)"
            elif tier.is_archiving or not tier.is_archived:
                words[snapshot_id] = "is on its way into the archive, and has to be there first"
            elif refusal := restore(self.ec2, snapshot_id, RESTORED_DAYS):
                # An account may restore more at a time than most; what EC2 calls a limit is not documented.
                refused[snapshot_id] = Refusal(refusal, by_limit=free <= 0 or "limit" in refusal.lower())
                words[snapshot_id] = f"has to wait for others, of which EBS restores {RESTORES_AT_ONCE} at a time"
            else:
                words[snapshot_id] = "was asked for"
                free -= 1
        self._refuse_others(refused)
        return "; ".join(f"{snapshot_id} {each}" for snapshot_id, each in words.items())

    def _refuse_others(self, refused: Mapping[str, Refusal]) -> None:
        """Give up where EC2 refuses a restore for another reason than how many go on."""
        others = [snapshot_id for snapshot_id, each in refused.items() if not each.by_limit]
        # One that was refused may have been accepted before, by a lost answer, or for another recovery.
        found = tiers(self.ec2, others) if others else {}
        for snapshot_id, tier in found.items():
            if not (tier.is_restoring or tier.is_usable_until(self.now + NEEDED)):
                raise RecoveryRefused("recovery_point", refused[snapshot_id].words, AGAIN)

    def _refuse_failed(self, found: Mapping[str, Tier], began_at: datetime) -> None:
        """Give up where a restore of this execution has failed; one that failed before is tried again."""
        for snapshot_id, tier in found.items():
            if tier.name == "archive" and tier.has_failed and tier.began_at and tier.began_at >= began_at:
                why = tier.detail or "it does not say why"
                raise RecoveryRefused("recovery_point", f"EBS could not restore {snapshot_id}: {why}", AGAIN)
