"""The children of a build as a whole: started once, completed, awaited, tagged, and deleted where they were in vain."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from quiesce import tags
from quiesce.aws import child_snapshots
from quiesce.aws.bucket import Bucket
from quiesce.aws.child_snapshots import OTHER_ID, FoundSnapshot
from quiesce.clock import Clock
from quiesce.errors import NotReady, RevertRefused, RevertUsedUp
from quiesce.revert.built import Built, BuiltChild
from quiesce.revert.hashes import Hashes, aggregated
from quiesce.revert.plan import PlannedChild, copy_request, keys_of_child, keys_of_copy, start_request
from quiesce.revert.price import dollars_of
from quiesce.revert.state import Awaited, Completed, Discarded, PartOf, RevertState, Started
from quiesce.steps.revert.kept import read_chain

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

# EC2 lists a new snapshot's tags late; after this a copy that is not listed was never begun.
LISTED_AFTER = timedelta(seconds=60)
GO_ON = "with revert 'where-possible', what can't be built stays as after a power failure"


@dataclass(frozen=True)
class Children:
    """The children of one build."""

    ec2: "EC2Client"
    ec2_once: "EC2Client"
    ebs: "EBSClient"
    bucket: Bucket
    stack: str
    clock: Clock
    state: RevertState

    def start(self) -> Started:
        """Start every child once, and copy parents with a key where EBS wants that.

        Raises:
            RevertRefused: some volumes can't be built, and the request does not go on without; not retried.
            RevertUsedUp: a child was cancelled, or EBS remembers another request; not retried.
            NotReady: a parent is being copied; retried.
            SnapshotLimitReached: too many snapshots are pending, or copies under way; retried.
        """
        request = self.state.input.request
        if not request.where_possible and (refusals := self.state.looked.refusals):
            more = f" (and {len(refusals) - 1} more)" if refusals[1:] else ""
            raise RevertRefused("revert", refusals[0] + more, GO_ON)
        planned = self.state.children
        parents = [self._parent(child) for child in planned]
        waits = [child.snapshot_id for child, parent in zip(planned, parents, strict=True) if not parent]
        if waits:
            raise NotReady(f"EBS copies {', '.join(waits)} with the default key; this may take hours")
        ids = [self._child(child, parent) for child, parent in zip(planned, parents, strict=True)]
        parts = [
            PartOf(child=number, first=part.first, after=part.after)
            for number, child in enumerate(planned)
            for part in child.parts
        ]
        return Started(child_ids=ids, parent_ids=parents, parts=parts)

    def complete(self) -> Completed:
        """Complete every child that is still pending: all of its parts are built."""
        started, blocks, doubts = self.state.needed_start, [], []
        known = child_snapshots.describe_snapshots(self.ec2, started.child_ids) if started.child_ids else {}
        for number, child_id in enumerate(started.child_ids):
            lists = self._lists(number)
            blocks.append(sum(len(each.blocks) for each in lists))
            found = known.get(child_id)
            if found and found.state == "completed":
                continue
            if refused := child_snapshots.complete_child(self.ebs, child_id, blocks[-1], aggregated(lists)):
                doubts.append(f"{child_id}: {refused}")
        return Completed(blocks=blocks, doubts=doubts)

    def check_completed(self) -> Awaited:
        """Wait until EBS has completed every child.

        Raises:
            NotReady: one is still pending; retried.
            RevertUsedUp: EBS has cancelled one; not retried.
        """
        started = self.state.needed_start
        known = child_snapshots.describe_snapshots(self.ec2, started.child_ids) if started.child_ids else {}
        doubts = self.state.complete.doubts if self.state.complete else []
        for child_id in started.child_ids:
            found = known.get(child_id)
            if found:
                _refuse_cancelled(found)
            if found is None or found.state != "completed":
                said = f"; EBS said of completing it: {' '.join(doubts)}" if doubts else ""
                state = f"{found.state}, at {found.progress or 'no percentage yet'}" if found else "not listed"
                raise NotReady(f"{child_id} is {state}, and has to be completed{said}")
        return Awaited()

    def finish(self) -> Built:
        """Tag the children with their consistency, now that they were read back, and delete copied parents."""
        started, planned = self.state.needed_start, self.state.children
        for child_id, child in zip(started.child_ids, planned, strict=True):
            level = "application" if child.as_of else "crash"
            child_snapshots.tag_child(self.ec2, child_id, level)
        for parent_id, child in zip(started.parent_ids, planned, strict=True):
            if child.copied_first:
                child_snapshots.delete_snapshot(self.ec2, parent_id)
        blocks = self.state.complete.blocks if self.state.complete else []
        children = [
            BuiltChild(
                child_id=child_id,
                snapshot_id=child.snapshot_id,
                volume_id=child.volume_id,
                device=child.device,
                size_gib=child.size_gib,
                views=child.views,
                blocks_written=written,
            )
            for child_id, child, written in zip(started.child_ids, planned, blocks, strict=True)
        ]
        calls = self.state.calls
        request = self.state.input.request
        return Built(
            built_for=request.built_for,
            children=children,
            copies=self.state.looked.copies,
            calls=calls,
            dollars=dollars_of(calls),
            finished_at=self.clock.now(),
        )

    def abandon(self) -> Discarded:
        """Delete what a build that failed has made, unless another execution under its id may go on with it.

        What is left then, and never completed, EBS cancels by itself.
        """
        return self.discard() if self.state.input.request.on_failure == "clean-up" else Discarded()

    def discard(self) -> Discarded:
        """Delete every child and copied parent of this build; volumes that were made of them stay whole.

        A recovery may have the id of the run that built at the backup, and runs of two servers may share one.
        """
        request = self.state.input.request
        keys = {tags.STACK: self.stack, tags.BUILT_FOR: request.built_for, tags.INSTANCE: request.instance_id}
        recovery = request.extra_tags.get(tags.RECOVERY)
        found = [
            each for each in child_snapshots.find_snapshots(self.ec2, keys) if each.tags.get(tags.RECOVERY) == recovery
        ]
        for each in found:
            child_snapshots.delete_snapshot(self.ec2, each.snapshot_id)
        return Discarded(deleted=[each.snapshot_id for each in found])

    def _child(self, child: PlannedChild, parent_id: str) -> str:
        request = self.state.input.request
        found = child_snapshots.find_snapshots(self.ec2, keys_of_child(child, request.built_for, self.stack))
        if found:
            _refuse_cancelled(found[0])
            return found[0].snapshot_id
        return child_snapshots.start_child(self.ebs, start_request(child, request, self.stack, parent_id))

    def _parent(self, child: PlannedChild) -> str:
        """Return the parent's id; empty while EBS copies it."""
        if not child.copied_first:
            return child.snapshot_id
        request = self.state.input.request
        found = child_snapshots.find_snapshots(self.ec2, keys_of_copy(child, request.built_for, self.stack))
        if not found:
            self._copy(child)
            return ""
        if found[0].state == "error":
            raise RevertUsedUp(f"{found[0].snapshot_id}, the copy of {child.snapshot_id}, failed; {OTHER_ID}")
        return found[0].snapshot_id if found[0].state == "completed" else ""

    def _copy(self, child: PlannedChild) -> None:
        """Copy a raw snapshot with a key, unless a call that did so is so new that EC2 may not list its copy yet."""
        request, now = self.state.input.request, self.clock.now()
        key = f"reverts/{request.built_for}/copy-of-{child.snapshot_id}.txt"
        begun = self.bucket.read_json(key)
        if begun and now - datetime.fromisoformat(begun) < LISTED_AFTER:
            raise NotReady(f"EC2 does not list the copy of {child.snapshot_id} yet, which was begun at {begun}")
        self.bucket.write_json(key, now.isoformat())
        child_snapshots.copy_parent(self.ec2_once, copy_request(child, request, self.stack, self.ec2.meta.region_name))

    def _lists(self, number: int) -> list[Hashes]:
        child_id, planned = self.state.needed_start.child_ids[number], self.state.children[number]
        return [each for part in planned.parts for each in read_chain(self.bucket, child_id, part.first, part.after)]


def _refuse_cancelled(found: FoundSnapshot) -> None:
    if found.state == "error":
        words = f"EBS has cancelled {found.snapshot_id}, because it was not completed in time; {OTHER_ID}"
        raise RevertUsedUp(words)
