"""A completed EBS snapshot as bytes, read through the EBS direct APIs: written blocks only, each with its checksum.

What can't be read raises `NotRead`; zeros stand only for blocks that were never written, by EBS's own listing.
"""

import base64
import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from quiesce.aws.clients import repeatable
from quiesce.disks.raw import BLOCK_BYTES, NotRead
from quiesce.errors import AccessDenied

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient

# The shortest page that ListSnapshotBlocks allows: each look needs a single block.
PAGE_BLOCKS = 100
# The page where many blocks are needed: 500 MiB of a volume at least.
LONG_PAGE_BLOCKS = 1000
# How many blocks of a snapshot are fetched ahead of those that are read.
AHEAD_BLOCKS = 16
# Far more than an undamaged recovery point needs, and within the time of a function.
MAX_CALLS = 2000
# Time for one call of 20 s with its retries, and for the function's answer with what was read.
RESERVE_MS = 60_000
# How many blocks of each snapshot stay in memory: structures lie side by side, and a server may have 128 volumes.
KEPT_BLOCKS = 8
# How often a block that does not match its checksum is fetched.
TRIES = 2
ZEROS = bytes(BLOCK_BYTES)
ZEROS_HASH = base64.b64encode(hashlib.sha256(ZEROS).digest()).decode()
T = TypeVar("T", bytes, str)


class _TokenRefused(NotRead):
    """EBS refuses a block's token: tokens expire, and may change with another listing (EBS User Guide)."""


@dataclass
class Allowance:
    """How many more calls may be sent for all snapshots of a run together, and for how long.

    Attributes:
        remaining_ms: how long Lambda still lets the function run.
        calls: how many are left.
        limit: how many there were.
    """

    remaining_ms: Callable[[], int]
    calls: int = MAX_CALLS
    limit: int = MAX_CALLS

    def renew(self, limit: int) -> None:
        """Allow so many calls from now on."""
        self.calls = self.limit = limit

    def take(self) -> None:
        """Use up one call.

        Raises:
            NotRead: there is none left, or no time.
        """
        self.check_time()
        if self.calls <= 0:
            raise NotRead(f"more than {self.limit} calls of the EBS direct APIs would be needed")
        self.calls -= 1

    def check_time(self) -> None:
        """Check that there is time left.

        Raises:
            NotRead: there is none: the function still reports what it read until then.
        """
        if self.remaining_ms() < RESERVE_MS:
            raise NotRead("the function had no time left to read it")


class SnapshotBlocks:
    """The bytes of one snapshot.

    Attributes:
        size_bytes: of the whole volume.
        fetched: how many blocks were fetched.
        page_blocks: how many are listed in one call.
    """

    def __init__(self, client: "EBSClient", snapshot_id: str, allowance: Allowance) -> None:
        """Open a snapshot that is completed and not archived.

        Raises:
            NotRead: it is gone, or AWS refuses to let it be read.
            AwsThrottled, AwsUnavailable: retried by the state machine.
        """
        self.size_bytes = self.fetched = 0
        self.page_blocks = PAGE_BLOCKS
        self._expected: Iterator[int] = iter(())
        self._coming: deque[tuple[int, Future[bytes]]] = deque()
        self._client, self._id, self._allowance = client, snapshot_id, allowance
        self._tokens: dict[int, str] = {}
        self._listed: list[range] = []
        self._kept: dict[int, bytes] = {}
        self._list(0)

    def read(self, offset: int, length: int) -> bytes:
        """Read exactly ``length`` bytes, more than 0, inside of the volume; raises as opening it does."""
        first, last = offset // BLOCK_BYTES, (offset + length - 1) // BLOCK_BYTES
        start = offset - first * BLOCK_BYTES
        whole = [self._block(index) for index in range(first, last + 1)]
        # Most reads are of a few KiB: a copy of the whole block would cost more than its checksum.
        data = whole[0] if len(whole) == 1 else b"".join(whole)
        return data[start : start + length]

    def expect(self, indexes: Iterable[int], executor: Executor) -> None:
        """Fetch blocks ahead, some at a time, in the order in which they will be read; forgets what was expected."""
        self.page_blocks = LONG_PAGE_BLOCKS
        self._coming.clear()
        self._executor, self._expected = executor, iter(indexes)
        self._fetch_ahead()

    def _fetch_ahead(self) -> None:
        while len(self._coming) < AHEAD_BLOCKS and (index := next(self._expected, None)) is not None:
            # Here, and not in the other threads: one list is for many blocks.
            self._list_around(index)
            self._coming.append((index, self._executor.submit(self._fetch, index)))

    def _next_block(self, index: int) -> bytes:
        """Return a block that was fetched ahead, or else fetch it; those before it will not be read any more."""
        if all(coming != index for coming, _ in self._coming):
            return self._fetch(index)
        coming, fetched = self._coming.popleft()
        while coming != index:
            coming, fetched = self._coming.popleft()
        data = fetched.result()
        self._fetch_ahead()
        return data

    def _block(self, index: int) -> bytes:
        if index not in self._kept:
            data = self._next_block(index)
            if len(self._kept) >= KEPT_BLOCKS:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = data
        return self._kept[index]

    def telling(self, index: int) -> Callable[[], str]:
        """Return what gets a block's SHA-256 as EBS tells it, in any thread; raises as opening does, there, too.

        Only to compare with: the block's bytes are not checked, and not used.
        """
        self._list_around(index)
        return partial(self._with_token, index, self._told, ZEROS_HASH)

    def _fetch(self, index: int) -> bytes:
        return self._with_token(index, self._get, ZEROS)

    def _with_token(self, index: int, get: Callable[[int], T], unwritten: T) -> T:
        self._list_around(index)
        if index not in self._tokens:
            return unwritten
        try:
            return get(index)
        except _TokenRefused:
            self._list(index)
            return get(index)

    def _list_around(self, index: int) -> None:
        if not any(index in part for part in self._listed):
            self._list(index)

    def _get(self, index: int) -> bytes:
        for _ in range(TRIES):
            data, told = self._answer(index)
            checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
            if (*told, len(data)) == ("SHA256", checksum, BLOCK_BYTES):
                return data
        raise NotRead(f"block {index} came {TRIES} times without its checksum")

    def _told(self, index: int) -> str:
        _, (algorithm, checksum) = self._answer(index)
        if algorithm != "SHA256":
            raise NotRead(f"block {index} came with a checksum of another kind: {algorithm}")
        return checksum

    def _answer(self, index: int) -> tuple[bytes, tuple[str, str]]:
        with self._asked("GetSnapshotBlock"):
            answer = self._client.get_snapshot_block(
                SnapshotId=self._id, BlockIndex=index, BlockToken=self._tokens[index]
            )
            data, told = answer["BlockData"].read(), (answer["ChecksumAlgorithm"], answer["Checksum"])
        self.fetched += 1
        return data, told

    def _list(self, start: int) -> None:
        """List the tokens of some written blocks from this one on; an empty page need not be the last."""
        page: dict[str, Any] = {"StartingBlockIndex": start}
        while True:
            with self._asked("ListSnapshotBlocks"):
                answer = self._client.list_snapshot_blocks(SnapshotId=self._id, MaxResults=self.page_blocks, **page)
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
