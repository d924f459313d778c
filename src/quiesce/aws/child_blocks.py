"""A child's blocks through the EBS direct APIs: put into it while it is pending, read back once it is completed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.aws.snapshot_blocks import LONG_PAGE_BLOCKS
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.errors import AwsUnavailable, NotReady
from quiesce.revert.hashes import hash_of

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient

# After these, another call later may succeed: EBS knows a new snapshot late, and a token may have expired. What is
# wrong for good stays so, and the state machine's tries are counted.
NOT_YET = {"ResourceNotFoundException", "ValidationException"}


@dataclass(frozen=True)
class ChildBlocks:
    """The blocks of one child.

    Raises, in all of its calls:
        NotReady: EBS refuses the call now; retried by the state machine.
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """

    client: "EBSClient"
    child_id: str

    def put(self, index: int, data: bytes, digest: str) -> None:
        """Write a block with its hash, or write it again; safe to repeat and to call from several threads."""
        self._call(
            "PutSnapshotBlock",
            self.client.put_snapshot_block,
            BlockIndex=index,
            BlockData=data,
            DataLength=len(data),
            Checksum=digest,
            ChecksumAlgorithm="SHA256",
        )

    def changed(self, parent_id: str, first: int, after: int) -> Iterator[dict[int, str]]:
        """Yield, page by page, the blocks from ``first`` to before ``after`` that its parent has not, with tokens.

        A token may be refused once the next page was listed.
        """
        page: dict[str, Any] = {"StartingBlockIndex": first}
        while True:
            with repeatable("ebs:ListChangedBlocks"):
                answer = self._listed(FirstSnapshotId=parent_id, MaxResults=LONG_PAGE_BLOCKS, **page)
                tokens = {block["BlockIndex"]: block["SecondBlockToken"] for block in answer["ChangedBlocks"]}
                following, block_bytes = answer.get("NextToken"), answer["BlockSize"]
            if block_bytes != BLOCK_BYTES or list(tokens) != sorted(tokens) or min(tokens, default=first) < first:
                raise AwsUnavailable(
                    f"ebs:ListChangedBlocks: the list of {self.child_id} from block {first} is no list"
                )
            yield {index: token for index, token in tokens.items() if index < after}
            if not following or max(tokens, default=0) >= after:
                return
            page = {"NextToken": following}

    def read_back(self, index: int, token: str) -> str:
        """Return the hash of a block as the child has it; one that came damaged has another hash than EBS told."""
        answer = self._call("GetSnapshotBlock", self.client.get_snapshot_block, BlockIndex=index, BlockToken=token)
        with repeatable("ebs:GetSnapshotBlock"):
            data, told = answer["BlockData"].read(), (answer["ChecksumAlgorithm"], answer["Checksum"])
        digest = hash_of(data)
        if told != ("SHA256", digest):
            raise AwsUnavailable(f"ebs:GetSnapshotBlock: block {index} of {self.child_id} came without its checksum")
        return digest

    def _listed(self, **arguments: Any) -> Any:
        try:
            return self.client.list_changed_blocks(SecondSnapshotId=self.child_id, **arguments)
        except ClientError as error:
            raise self._not_yet("ListChangedBlocks", error) from error

    def _call(self, name: str, call: Any, **arguments: Any) -> Any:
        with repeatable(f"ebs:{name}"):
            try:
                return call(SnapshotId=self.child_id, **arguments)
            except ClientError as error:
                raise self._not_yet(name, error) from error

    def _not_yet(self, name: str, error: ClientError) -> Exception:
        if code_of(error) in NOT_YET:
            return NotReady(f"ebs:{name}: EBS does not take it for {self.child_id} now: {error}")
        return error
