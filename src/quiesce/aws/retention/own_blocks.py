"""How much of a snapshot no other holds, by the EBS direct APIs' lists of what changed: no block is read.

EBS's own way to say what the archive would save (EBS User Guide, "Determining the reduction in standard tier storage
costs"): what changed since the snapshot before it, and has changed again in the one after it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import repeatable
from quiesce.aws.snapshot_blocks import Allowance
from quiesce.disks.raw import BLOCK_BYTES, NotRead
from quiesce.errors import AccessDenied

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient

# The longest page that the lists have.
PAGE_BLOCKS = 10_000


@dataclass(frozen=True)
class OwnBlocks:
    """The lists of one look.

    Raises, in all of its calls:
        NotRead: AWS refuses a list, or there is no time for it.
        AwsThrottled, AwsUnavailable: retried by the state machine.
    """

    client: "EBSClient"
    allowance: Allowance

    def own_bytes(self, snapshot_id: str, before: str, after: str) -> int:
        """Return how many bytes of a snapshot are neither in the one before it nor in the one after it.

        Args:
            snapshot_id: the snapshot's.
            before: the next older one of its volume, empty if there is none.
            after: the next newer one, empty if there is none.
        """
        own = self._changed(before, snapshot_id, "SecondBlockToken") if before else self._written(snapshot_id)
        if after:
            own = _both(own, self._changed(snapshot_id, after, "FirstBlockToken"))
        return sum(1 for _ in own) * BLOCK_BYTES

    def _written(self, snapshot_id: str) -> Iterator[int]:
        return self._listed("ListSnapshotBlocks", self.client.list_snapshot_blocks, "Blocks", "BlockToken",
                            SnapshotId=snapshot_id)  # fmt: skip

    def _changed(self, first: str, second: str, token: str) -> Iterator[int]:
        """Yield the blocks that differ, of those that the snapshot has whose token is named."""
        return self._listed("ListChangedBlocks", self.client.list_changed_blocks, "ChangedBlocks", token,
                            FirstSnapshotId=first, SecondSnapshotId=second)  # fmt: skip

    def _listed(self, call: str, send: Any, name: str, token: str, **which: str) -> Iterator[int]:
        page: dict[str, str] = {}
        last = -1
        while True:
            self.allowance.take()
            try:
                with repeatable(f"ebs:{call}"):
                    answer = send(MaxResults=PAGE_BLOCKS, **which, **page)
                    indexes = [int(block["BlockIndex"]) for block in answer[name]]
                    following, block_bytes = answer.get("NextToken"), answer["BlockSize"]
                    has = [int(block["BlockIndex"]) for block in answer[name] if block.get(token)]
            except (AccessDenied, ClientError) as error:
                raise NotRead(f"{call} was refused: {error}") from error
            if block_bytes != BLOCK_BYTES or indexes != sorted({*indexes}) or min(indexes, default=last + 1) <= last:
                raise NotRead(f"{call} of {', '.join(which.values())} is out of order, or has other blocks")
            last = max(indexes, default=last)
            yield from has
            if not following:
                return
            page = {"NextToken": following}


def _both(first: Iterator[int], second: Iterator[int]) -> Iterator[int]:
    """Yield what two ascending lists have in common."""
    ours, theirs = next(first, None), next(second, None)
    while ours is not None and theirs is not None:
        if ours == theirs:
            yield ours
        if ours <= theirs:
            ours = next(first, None)
        else:
            theirs = next(second, None)
