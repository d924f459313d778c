"""A part of a child: built block by block, and read back once the child is completed.

One call does as much as its time allows, and answers how far it came; a call that is repeated goes on where the bucket
says, or writes its blocks again.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from quiesce.aws import child_snapshots
from quiesce.aws.bucket import Bucket
from quiesce.aws.child_blocks import ChildBlocks
from quiesce.aws.snapshot_blocks import Allowance, SnapshotBlocks
from quiesce.disks.block_list import ALL_SECTORS
from quiesce.disks.child import Block, Candidate, Child, sources
from quiesce.disks.raw import BLOCK_BYTES, StructureError
from quiesce.disks.volsnap import BLOCK_BYTES as OLD_BYTES
from quiesce.errors import AwsThrottled, ChildDiffers, RevertRefused
from quiesce.revert.again import reopen
from quiesce.revert.hashes import Hashes, hash_of
from quiesce.revert.plan import PlannedChild
from quiesce.revert.state import PartOf, RevertState
from quiesce.steps.revert.kept import keep_list, read_chain, read_list
from quiesce.steps.revert.look import LOOK_CALLS
from quiesce.steps.snapshot_disks import open_disks

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

# Time for the calls that are under way, and for the list of hashes.
RESERVE_MS = 100_000
# Assumed for one block of old data, several of which come side by side; AWS publishes nothing.
OLD_BLOCK_MS = 10


@dataclass(frozen=True)
class Parts:
    """The parts of one build."""

    ec2: "EC2Client"
    ebs: "EBSClient"
    bucket: Bucket
    state: RevertState
    remaining_ms: Callable[[], int]
    side_by_side: int

    def build(self, part: PartOf) -> PartOf:
        """Put a part's blocks that differ, until all are put or the time ends.

        Where a list of hashes is kept, another call or execution has put them; so it is with every part of a child that
        was completed, and takes no more blocks.

        Returns:
            The part, from where the next call goes on; ``done`` if there is no next one.

        Raises:
            AwsThrottled: not even one block was put; retried by the state machine, more slowly.
            NotReady: EBS does not take blocks yet; retried.
            RevertRefused: the recovery point can't be read any more as it was planned; not retried.
        """
        child_id = self.state.needed_start.child_ids[part.child]
        kept = read_list(self.bucket, child_id, part.first)
        if kept is None:
            with ThreadPoolExecutor(self.side_by_side) as executor:
                kept = keep_list(self.bucket, child_id, self._put_blocks(part, child_id, executor))
        return part.model_copy(update={"first": kept.after, "done": kept.after >= part.after})

    def check(self, part: PartOf) -> PartOf:
        """Compare a part of a completed child with what was planned, until all is compared or the time ends.

        Raises:
            ChildDiffers: it is something else, and was deleted; not retried.
            NotReady: EBS does not answer yet, or an expired token was used; retried.
        """
        started = self.state.needed_start
        child_id, parent_id = started.child_ids[part.child], started.parent_ids[part.child]
        begins = max(p.first for p in self.state.children[part.child].parts if p.first <= part.first)
        lists = read_chain(self.bucket, child_id, begins, part.after)
        planned = {index: digest for each in lists for index, digest in each.blocks if index >= part.first}
        child = ChildBlocks(self.ebs, child_id)
        with ThreadPoolExecutor(self.side_by_side) as executor:
            for page in child.changed(parent_id, part.first, part.after):
                digests = executor.map(child.read_back, page.keys(), page.values())
                for index, digest in zip(page, digests, strict=True):
                    if planned.pop(index, None) != digest:
                        self._refuse(child_id, f"block {index} is not what was planned")
                if page and self.remaining_ms() < RESERVE_MS:
                    self._refuse_missing(child_id, (index for index in planned if index <= max(page)))
                    return part.model_copy(update={"first": max(page) + 1, "done": False})
        self._refuse_missing(child_id, planned)
        return part.model_copy(update={"first": part.after, "done": True})

    def _refuse_missing(self, child_id: str, missing: Iterable[int]) -> None:
        for index in missing:
            self._refuse(child_id, f"block {index} was put, and EBS does not list it as changed")

    def _refuse(self, child_id: str, what: str) -> None:
        child_snapshots.delete_snapshot(self.ec2, child_id)
        raise ChildDiffers(f"{child_id} was read back: {what}; it was deleted. The raw snapshots are as they were")

    def _put_blocks(self, part: PartOf, child_id: str, executor: Executor) -> Hashes:
        puts = _Puts(ChildBlocks(self.ebs, child_id), executor, self.side_by_side)
        planned = self.state.children[part.child]
        try:
            child, blocks = self._open(planned)
            parent = blocks[child.views[0].volume.disk]
            for block in self._blocks(child, blocks, part, executor):
                if isinstance(block, int):
                    puts.reached = block
                    break
                puts.reached = block.index
                if self.remaining_ms() < RESERVE_MS and block.index > part.first:
                    break
                if block.differs:
                    puts.put(block.index, block.child, None if block.parent else parent.telling(block.index))
            else:
                puts.reached = part.after
            puts.land_all()
        except AwsThrottled:
            # What is still under way is put again by the next call.
            if not puts.landed:
                raise
        except StructureError as error:
            problem = f"{planned.snapshot_id} can't be read as it was planned: {error}"
            raise RevertRefused(
                "revert", problem, "look whether its snapshots are there, and start it again"
            ) from error
        landed = [(index, digest) for index, digest in puts.landed if index < puts.safe]
        return Hashes(first=part.first, after=puts.safe, blocks=landed)

    def _open(self, planned: PlannedChild) -> tuple[Child, dict[str, SnapshotBlocks]]:
        allowance = Allowance(self.remaining_ms, LOOK_CALLS, LOOK_CALLS)
        opened = open_disks(self.ec2, self.ebs, planned.disks, allowance)
        child = reopen([each.disk for each in opened], planned)
        return child, {each.snapshot_id: each.blocks for each in opened if each.blocks}

    def _blocks(
        self, child: Child, blocks: Mapping[str, SnapshotBlocks], part: PartOf, executor: Executor
    ) -> Iterator[Block | int]:
        """Yield the part's blocks, or at last the index from which the next call goes on, if the time ends before."""
        for number, batch in enumerate(child.batches(part.first, part.after)):
            # Once its old data is being read, a portion can't be left.
            if number and self.remaining_ms() < RESERVE_MS + len(sources(batch)) * OLD_BLOCK_MS:
                yield batch[0].index
                return
            replaced = {candidate.index for candidate in batch if is_replaced(candidate)}
            _expect(blocks, child, batch, replaced, executor)
            yield from child.read(batch, replaced)


@dataclass
class _Puts:
    """Puts side by side, a few at a time, in ascending order.

    Attributes:
        reached: the block that comes next.
        landed: the blocks that were put, with their hashes.
    """

    child: ChildBlocks
    executor: Executor
    most: int
    reached: int = 0
    landed: list[tuple[int, str]] = field(default_factory=list)
    _flying: deque[tuple[int, Future[str]]] = field(default_factory=deque)

    @property
    def safe(self) -> int:
        """Before this block, everything that differs was put."""
        return self._flying[0][0] if self._flying else self.reached

    def put(self, index: int, data: bytes, told: Callable[[], str] | None) -> None:
        """Put a block, unless it has the hash that is told of the parent's; raises what an earlier one met."""
        if len(self._flying) >= self.most:
            self._land()
        self._flying.append((index, self.executor.submit(self._put, index, data, told)))

    def _put(self, index: int, data: bytes, told: Callable[[], str] | None) -> str:
        digest = hash_of(data)
        if told and told() == digest:
            return ""
        self.child.put(index, data, digest)
        return digest

    def land_all(self) -> None:
        """Wait for all that are under way."""
        while self._flying:
            self._land()

    def _land(self) -> None:
        index, put = self._flying[0]
        if digest := put.result():
            self.landed.append((index, digest))
        self._flying.popleft()


def is_replaced(candidate: Candidate) -> bool:
    """Return whether old data fills the whole block: then the parent's bytes count for nothing but a comparison."""
    if len(candidate.parts) < BLOCK_BYTES // OLD_BYTES:
        return False
    at = candidate.index * BLOCK_BYTES
    filled = 0
    for view, number, pieces in candidate.parts:
        start, end = view.start + number * OLD_BYTES, view.start + min((number + 1) * OLD_BYTES, view.length)
        if [piece.sectors for piece in pieces] == [ALL_SECTORS]:
            filled += min(end, at + BLOCK_BYTES) - max(start, at)
    return filled == BLOCK_BYTES


def _expect(
    blocks: Mapping[str, SnapshotBlocks],
    child: Child,
    batch: Sequence[Candidate],
    replaced: Collection[int],
    executor: Executor,
) -> None:
    """Have the blocks fetched ahead in the order in which ``Child.read`` reads them."""
    order: dict[str, list[int]] = defaultdict(list)
    for disk, index in sorted(sources(batch)):
        order[disk].append(index)
    order[child.views[0].volume.disk] += [each.index for each in batch if each.index not in replaced]
    for disk, indexes in order.items():
        blocks[disk].expect(indexes, executor)
