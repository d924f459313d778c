"""Archive: move what only months and years keep into the archive of EBS, where that costs less."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from quiesce.aws.bucket import record_key
from quiesce.aws.retention.archivings import Archivings
from quiesce.aws.retention.looks import of_volumes
from quiesce.aws.retention.outcomes import Outcomes
from quiesce.aws.retention.own_blocks import OwnBlocks
from quiesce.aws.retention.tiers import ARCHIVING, archive, running, tiers
from quiesce.aws.snapshot_blocks import Allowance
from quiesce.disks.raw import NotRead
from quiesce.points.tier import Tier
from quiesce.retention.archiving import GIB, Size, Weighed, neighbours, weigh
from quiesce.retention.gather import Existing, Known
from quiesce.retention.state import Finished, RetentionState
from quiesce.steps.retention.plan import Gathered, Planned, Planner
from quiesce.steps.retention.remove import HOLD_SERVER, RESERVE_MS
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

# EBS's quotas: archivals of an account at a time, and archived snapshots of a volume.
ARCHIVALS_AT_ONCE, ARCHIVED_OF_A_VOLUME = 25, 25
# Lists of 16 TiB that were written all over take fewer for one recovery point; time ends before.
LIST_CALLS = 20_000


@dataclass(frozen=True)
class Archiver:
    """What is needed to archive recovery points of a server."""

    ec2: "EC2Client"
    ebs: "EBSClient"
    planner: Planner
    archivings: Archivings
    outcomes: Outcomes

    def archive(self, state: RetentionState, remaining_ms: Callable[[], int], now: datetime) -> Finished:
        """Archive what is due by each policy of a server, and go on with what was begun; free the server.

        Returns:
            What Finish answered, and what is in the archive since now. What EC2 refuses is a problem, and tried again
            by the next execution; why something stays in the standard tier is a note.

        Raises:
            PruningBusy: another execution is at work on the server; not retried.
        """
        self.outcomes.take_server(state.server, state.execution.id, now, now + HOLD_SERVER)
        # Finish has removed something meanwhile: a plan that a person confirmed is not the same any more.
        request = state.request.model_copy(update={"confirm": None})
        done = state.needed_finish.model_copy(deep=True)
        for planned in self.planner.plans(state.server, request, now):
            self._archive_group(planned, done, remaining_ms, now)
        self.outcomes.keep(done)
        self.outcomes.free_server(state.server, state.execution.id)
        return done

    def _archive_group(self, planned: Planned, done: Finished, remaining_ms: Callable[[], int], now: datetime) -> None:
        waiting = [planned.gathered.known[due.point.run_id] for due in planned.to_archive(now)]
        there = {known.listed.run_id: planned.gathered.there(known) for known in waiting}
        found = tiers(self.ec2, {i for ids in there.values() for i in ids}) if waiting else {}
        slots = ARCHIVALS_AT_ONCE - running(self.ec2, ARCHIVING) if waiting else 0
        refused: dict[str, str] = {}
        for known in waiting:
            run_id = known.listed.run_id
            done.problems.extend(
                f"{i} was not archived: {found[i].detail}" for i in there[run_id] if found[i].has_failed
            )
            left = [i for i in there[run_id] if not (found[i].is_archived or found[i].is_archiving)]
            if all(found[i].is_archived for i in there[run_id]):
                self._keep_archived(known, [found[i] for i in there[run_id]], now)
                done.archived.append(run_id)
            elif not left:
                done.notes.append(f"{run_id} is on its way into the archive")
            elif remaining_ms() < RESERVE_MS or slots <= 0:
                done.notes.append(f"{run_id} has to wait: EBS archives {ARCHIVALS_AT_ONCE} snapshots at a time")
            elif why := self._why_not(known, planned.gathered, remaining_ms, now):
                done.notes.append(f"{run_id} is not archived: {why}")
            elif not self.archivings.begin(known.listed, now, now + HOLD_SERVER):
                done.notes.append(f"{run_id} is not archived: it is in use by now")
            else:
                refused |= {i: archive(self.ec2, i) for i in left[:slots]}
                slots -= len(left)
                self.archivings.end(known.listed)
                logger.info("archived a recovery point", run_id=run_id, snapshots=left)
        # An accepted call moves nothing yet, and one that was refused may have been accepted before, by a lost answer.
        after = tiers(self.ec2, refused.keys()) if any(refused.values()) else {}
        moved = {i for i, tier in after.items() if tier.is_archived or tier.is_archiving}
        done.problems.extend(words for i, words in refused.items() if words and i not in moved)

    def _keep_archived(self, known: Known, found: Sequence[Tier], now: datetime) -> None:
        at = max(tier.archived_at or now for tier in found)
        record = self.archivings.archived(known.listed, at)
        if record is not None:
            self.planner.bucket.write_json(record_key(record), record.model_dump_json(indent=2))
        # Last: who comes after a crash before it does all of this again.
        self.archivings.keep_archived(known.listed, record, at)
        logger.info("a recovery point is in the archive", run_id=known.listed.run_id, at=at.isoformat())

    def _why_not(self, known: Known, gathered: Gathered, remaining_ms: Callable[[], int], now: datetime) -> str:
        """Say why a recovery point stays in the standard tier; what was begun is finished whatever it costs by now."""
        # A lock holds in the archive as well.
        kept = [words for words in self.planner.kept_for(known, gathered, now) if not words.startswith("locked")]
        if kept:
            return f"it is {', '.join(kept)}"
        if known.archiving:
            return ""
        mine = {i: gathered.snapshots[i] for i in gathered.there(known)}
        if full := _full_volume(mine, gathered.snapshots):
            return f"EBS has {ARCHIVED_OF_A_VOLUME} archived snapshots of {full}, and takes no more"
        try:
            weighed = self._weigh(mine, remaining_ms)
        except NotRead as error:
            weighed = Weighed(is_cheaper=False, because=f"what it holds alone is not known: {error}")
            if remaining_ms() < RESERVE_MS:
                return weighed.because
        logger.info("weighed the archive", run_id=known.listed.run_id, reason=weighed.because)
        if weighed.is_cheaper:
            return ""
        self.archivings.keep_weighed(known.listed, now)
        return weighed.because

    def _weigh(self, mine: Mapping[str, Existing], remaining_ms: Callable[[], int]) -> Weighed:
        """Compare both tiers for the snapshots of one recovery point.

        Raises:
            NotRead: EBS's lists can't be had, or a snapshot that is not the stack's may share its data.
        """
        lists = OwnBlocks(self.ebs, Allowance(remaining_ms, LIST_CALLS, LIST_CALLS))
        raw = {i: each for i, each in mine.items() if not each.built_for}
        found = of_volumes(self.ec2, sorted({each.volume_id for each in raw.values()}))
        others = {i: each for i, each in found.items() if i not in mine}
        sizes = []
        for snapshot_id, each in mine.items():
            if each.built_for:
                before, after = each.built_from, ""
            else:
                before, after = neighbours(snapshot_id, each, others)
            foreign = [i for i in (before, after) if i in others and others[i].stack != self.planner.stack]
            if foreign:
                raise NotRead(f"{foreign[0]}, which quiesce has not made, may share the data of {snapshot_id}")
            own = lists.own_bytes(snapshot_id, before, after)
            sizes.append(Size(full_bytes=each.full_bytes or each.size_gib * GIB, own_bytes=own))
        return weigh(sizes)


def _full_volume(mine: Mapping[str, Existing], snapshots: Mapping[str, Existing]) -> str:
    """Return a volume of which the archive has as many snapshots as EBS takes; empty if there is none."""
    for volume_id in sorted({each.volume_id for each in mine.values() if not each.built_for}):
        if sum(each.archived and each.volume_id == volume_id for each in snapshots.values()) >= ARCHIVED_OF_A_VOLUME:
            return volume_id
    return ""
