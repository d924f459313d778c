"""A completed EBS snapshot as bytes, read through the EBS direct APIs: written blocks only, each with its checksum.

What can't be read raises `NotRead`; zeros stand only for blocks that were never written, by EBS's own listing.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import repeatable
from quiesce.disks.raw import BLOCK_BYTES, NotRead
from quiesce.errors import AccessDenied

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient

# The shortest page that ListSnapshotBlocks allows: each look needs a single block.
PAGE_BLOCKS = 100
# Far more than an undamaged recovery point needs, and within the time of a function.
MAX_CALLS = 2000
# Time for one call of 20 s with its retries, and for the function's answer with what was read.
RESERVE_MS = 60_000
# How many blocks of each snapshot stay in memory: structures lie side by side, and a server may have 128 volumes.
KEPT_BLOCKS = 8
# How often a block that does not match its checksum is fetched.
TRIES = 2
ZEROS = bytes(BLOCK_BYTES)


class _TokenRefused(NotRead):
    """EBS refuses a block's token: tokens expire, and may change with another listing (EBS User Guide)."""


@dataclass
class Allowance:
    """How many more calls may be sent for all snapshots of a run together, and for how long.

    Attributes:
        remaining_ms: how long Lambda still lets the function run.
        calls: how many are left.
    """

    remaining_ms: Callable[[], int]
    calls: int = MAX_CALLS

    def take(self) -> None:
        """Use up one call.

        Raises:
            NotRead: there is none left, or no time: Verify still reports what it read until then.
        """
        if self.remaining_ms() < RESERVE_MS:
            raise NotRead("the function had no time left to read it")
        if self.calls <= 0:
            raise NotRead(f"more than {MAX_CALLS} calls of the EBS direct APIs would be needed")
        self.calls -= 1


class SnapshotBlocks:
    """The bytes of one snapshot.

    Attributes:
        size_bytes: of the whole volume.
        fetched: how many blocks were fetched.
    """

    def __init__(self, client: "EBSClient", snapshot_id: str, allowance: Allowance) -> None:
        """Open a snapshot that is completed and not archived.

        Raises:
            NotRead: it is gone, or AWS refuses to let it be read.
            AwsThrottled, AwsUnavailable: retried by the state machine.
        """
        self.size_bytes = self.fetched = 0
        self._client, self._id, self._allowance = client, snapshot_id, allowance
        self._tokens: dict[int, str] = {}
        self._listed: list[range] = []
        self._kept: dict[int, bytes] = {}
        self._list(0)

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes, more than 0, inside of the volume; raises as opening it does."""
        first, last = offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES
        data = b"".join(self._block(index) for index in range(first, last + 1))
        return data[offset - first * BLOCK_BYTES :][:length]

    def _block(self, index: int) -> bytes:
        if index not in self._kept:
            data = self._fetch(index)
            if len(self._kept) >= KEPT_BLOCKS:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = data
        return self._kept[index]

    def _fetch(self, index: int) -> bytes:
        if not any(index in part for part in self._listed):
            self._list(index)
        if index not in self._tokens:
            return ZEROS
        try:
            return self._get(index)
        except _TokenRefused:
            self._list(index)
            return self._get(index)

    def _get(self, index: int) -> bytes:
        for _ in range(TRIES):
            with self._asked("GetSnapshotBlock"):
                answer = self._client.get_snapshot_block(
                    SnapshotId=self._id, BlockIndex=index, BlockToken=self._tokens[index]
                )
                data, told = answer["BlockData"].read(), (answer["ChecksumAlgorithm"], answer["Checksum"])
            self.fetched += 1
            checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
            if (*told, len(data)) == ("SHA256", checksum, BLOCK_BYTES):
                return data
        raise NotRead(f"block {index} came {TRIES} times without its checksum")

    def _list(self, start: int) -> None:
        """List the tokens of some written blocks from this one on; an empty page need not be the last."""
        page: dict[str, Any] = {"StartingBlockIndex": start}
        while True:
            with self._asked("ListSnapshotBlocks"):
                answer = self._client.list_snapshot_blocks(SnapshotId=self._id, MaxResults=PAGE_BLOCKS, **page)
                block_bytes, self.size_bytes = answer["BlockSize"], answer["VolumeSize"] << 30
                tokens = {block["BlockIndex"]: block["BlockToken"] for block in answer["Blocks"]}
            if block_bytes != BLOCK_BYTES:
                raise NotRead(f"its blocks have {block_bytes} bytes instead of {BLOCK_BYTES}")
            if list(tokens) != sorted(tokens) or min(tokens, default=start) < start:
                raise NotRead(f"the listing from block {start} on is out of order")
            self._tokens |= tokens
            following = answer.get("NextToken")
            if tokens or not following:
                end = max(tokens) + 1 if following else self.size_bytes // BLOCK_BYTES
                self._listed.append(range(start, end))
                return
            page = {"NextToken": following}

    @contextmanager
    def _asked(self, call: str) -> Iterator[None]:
        """Count a call, and raise ``NotRead`` for what AWS refuses for good."""
        self._allowance.take()
        try:
            with repeatable(f"ebs:{call}"):
                yield
        except (AccessDenied, ClientError) as error:
            refusal = error if isinstance(error, ClientError) else error.__cause__
            reason = refusal.response.get("Reason", "") if isinstance(refusal, ClientError) else ""
            error_type = _TokenRefused if reason == "INVALID_BLOCK_TOKEN" else NotRead
            raise error_type(f"{call} was refused{f' ({reason})' if reason else ''}: {error}") from error
