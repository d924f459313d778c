"""A snapshot's bytes, read through the EBS direct APIs by a real boto3 client."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError
from botocore.retries.quota import RetryQuota
from botocore.validate import ParamValidator

from quiesce.aws.clients import REPEATABLE
from quiesce.aws.snapshot_blocks import (
    KEPT_BLOCKS,
    MAX_CALLS,
    PAGE_BLOCKS,
    RESERVE_MS,
    TRIES,
    ZEROS,
    Allowance,
    SnapshotBlocks,
)
from quiesce.disks.raw import BLOCK_BYTES, NotRead
from quiesce.errors import AwsThrottled, AwsUnavailable, QuiesceError
from sandbox.aws.direct_apis import BLOCK_TOKEN_S, ApiError, DirectApis, respond
from sandbox.disks.sparse_disk import SparseDisk

SNAPSHOT = "snap-0123456789abcdef0"
SIZE_GIB = 8
TIME = lambda: 180_000  # noqa: E731 - enough for every test
LAST_BLOCK = SIZE_GIB * 2048 - 1
MODEL = botocore.session.get_session().get_service_model("ebs")


@dataclass
class Ebs:
    """The service with one snapshot, and its client."""

    disk: SparseDisk
    snapshot: Any
    apis: DirectApis
    client: Any
    now_s: float = 1_800_000_000.0
    calls: list[str] = field(default_factory=list)

    def write(self, *indexes: int) -> None:
        """Write blocks, each with its own number in its bytes."""
        for index in indexes:
            self.disk.write(index * BLOCK_BYTES, index.to_bytes(8, "big") * 64)

    def open(self, **changes: Any) -> SnapshotBlocks:
        return SnapshotBlocks(self.client, SNAPSHOT, Allowance(TIME, **changes))

    def count(self, operation: str) -> int:
        return sum(one.startswith(operation) for one in self.calls)


@pytest.fixture
def ebs(monkeypatch: pytest.MonkeyPatch) -> Ebs:
    disk, snapshot = SparseDisk(SIZE_GIB << 30), SimpleNamespace(status="completed", storage_tier="standard")
    client = boto3.client("ebs", config=REPEATABLE, region_name="eu-central-1")
    known = {SNAPSHOT: snapshot}
    apis = DirectApis(known.get, lambda _: disk, lambda: made.now_s)
    made = Ebs(disk, snapshot, apis, client)

    def send(request: Any, event_name: str, **_: Any) -> AWSResponse:
        made.calls.append(f"{event_name.rpartition('.')[2]} {request.url}")
        return respond(apis, request)

    client.meta.events.register("before-send.ebs", send)
    monkeypatch.setattr(RetryQuota, "acquire", lambda _quota, _amount: True)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    made.write(0, 2, 3, 500, LAST_BLOCK)
    return made


def number(data: bytes) -> int:
    return int.from_bytes(data[:8], "big")


def test_a_snapshot_is_as_large_as_its_volume_was(ebs: Ebs) -> None:
    assert ebs.open().size_bytes == SIZE_GIB << 30


def test_what_is_read_is_what_was_written(ebs: Ebs) -> None:
    snapshot = ebs.open()
    assert number(snapshot.read(2 * BLOCK_BYTES, 8)) == 2
    assert snapshot.read(3 * BLOCK_BYTES - 16, 24) == ebs.disk.read(3 * BLOCK_BYTES - 16, 24)
    assert number(snapshot.read(LAST_BLOCK * BLOCK_BYTES, 8)) == LAST_BLOCK


def test_a_block_is_fetched_once_and_one_that_was_never_written_not_at_all(ebs: Ebs) -> None:
    snapshot = ebs.open()
    for _ in range(3):
        snapshot.read(2 * BLOCK_BYTES, 8)
        assert snapshot.read(7 * BLOCK_BYTES, 100) == ZEROS[:100]
    assert (snapshot.fetched, ebs.count("GetSnapshotBlock"), ebs.count("ListSnapshotBlocks")) == (1, 1, 1)


def test_what_is_kept_in_memory_has_a_bound(ebs: Ebs) -> None:
    ebs.write(*range(KEPT_BLOCKS + 4))
    snapshot = ebs.open()
    for index in range(KEPT_BLOCKS + 4):
        assert number(snapshot.read(index * BLOCK_BYTES, 8)) == index
    assert number(snapshot.read(0, 8)) == 0
    assert snapshot.fetched == KEPT_BLOCKS + 5


def test_a_block_far_away_is_listed_from_its_own_number_on(ebs: Ebs) -> None:
    ebs.write(*range(1000, 1000 + 3 * PAGE_BLOCKS))
    snapshot = ebs.open()
    assert number(snapshot.read(LAST_BLOCK * BLOCK_BYTES, 8)) == LAST_BLOCK
    assert snapshot.read((LAST_BLOCK - 1) * BLOCK_BYTES, 8) == ZEROS[:8]
    assert [one.partition("startingBlockIndex=")[2] for one in ebs.calls if one.startswith("List")] == [
        "0",
        str(LAST_BLOCK),
        str(LAST_BLOCK - 1),
    ]


@pytest.mark.parametrize("page_blocks", [1, 2, 3])
def test_pages_may_have_fewer_blocks_than_were_asked_for(ebs: Ebs, page_blocks: int) -> None:
    ebs.apis.page_blocks = page_blocks
    snapshot = ebs.open()
    assert [number(snapshot.read(index * BLOCK_BYTES, 8)) for index in (0, 1, 2, 3, 4, 500)] == [0, 0, 2, 3, 0, 500]


def test_a_page_may_be_empty_and_not_the_last(ebs: Ebs) -> None:
    ebs.apis.empty_pages = 3
    assert number(ebs.open().read(500 * BLOCK_BYTES, 8)) == 500


def test_tokens_that_another_listing_has_changed_are_asked_for_anew(ebs: Ebs) -> None:
    ebs.apis.rotating, ebs.apis.page_blocks = True, 2
    snapshot = ebs.open()
    assert [number(snapshot.read(index * BLOCK_BYTES, 8)) for index in (500, 0, 3, 2)] == [500, 0, 3, 2]


def test_a_token_that_has_expired_is_asked_for_anew(ebs: Ebs) -> None:
    snapshot = ebs.open()
    ebs.now_s += BLOCK_TOKEN_S + 1
    assert number(snapshot.read(2 * BLOCK_BYTES, 8)) == 2
    assert ebs.count("GetSnapshotBlock") == 2


def test_a_token_that_is_refused_again_is_the_end_of_it(ebs: Ebs) -> None:
    snapshot = ebs.open()
    refused = ApiError("ValidationException", "INVALID_BLOCK_TOKEN")
    ebs.client.meta.events.register_first(
        "before-call.ebs.GetSnapshotBlock", lambda **_: ebs.apis.errors.append(refused)
    )
    with pytest.raises(NotRead, match="INVALID_BLOCK_TOKEN"):
        snapshot.read(2 * BLOCK_BYTES, 8)


def test_a_block_that_comes_damaged_is_fetched_again(ebs: Ebs) -> None:
    ebs.apis.damaged[SNAPSHOT, 2] = 1
    snapshot = ebs.open()
    assert number(snapshot.read(2 * BLOCK_BYTES, 8)) == 2
    assert snapshot.fetched == 2


def test_a_block_that_never_has_its_checksum_is_not_read(ebs: Ebs) -> None:
    ebs.apis.damaged[SNAPSHOT, 2] = 99
    with pytest.raises(NotRead, match=f"block 2 came {TRIES} times without its checksum"):
        ebs.open().read(2 * BLOCK_BYTES, 8)


def hash_of(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def test_a_hash_that_is_told_is_the_blocks_and_its_bytes_count_for_nothing(ebs: Ebs) -> None:
    ebs.apis.damaged[SNAPSHOT, 2] = 1
    snapshot = ebs.open()
    assert snapshot.telling(2)() == hash_of(ebs.disk.read(2 * BLOCK_BYTES, BLOCK_BYTES))
    assert snapshot.telling(1)() == hash_of(ZEROS)
    assert ebs.count("GetSnapshotBlock") == 1
    assert number(snapshot.read(2 * BLOCK_BYTES, 8)) == 2
    assert ebs.count("GetSnapshotBlock") == 2, "what was not checked is not kept"


def test_a_hash_is_told_with_a_token_that_was_asked_for_anew(ebs: Ebs) -> None:
    telling = ebs.open().telling(2)
    ebs.now_s += BLOCK_TOKEN_S + 1
    assert telling() == hash_of(ebs.disk.read(2 * BLOCK_BYTES, BLOCK_BYTES))


def test_a_hash_of_another_kind_is_not_compared() -> None:
    block = {"BlockData": BytesIO(ZEROS), "ChecksumAlgorithm": "CRC32", "Checksum": hash_of(ZEROS)}
    client: Any = SimpleNamespace(list_snapshot_blocks=a_page(), get_snapshot_block=lambda **_: block)
    with pytest.raises(NotRead, match="block 2 came with a checksum of another kind: CRC32"):
        SnapshotBlocks(client, SNAPSHOT, Allowance(TIME)).telling(2)()


NOT_READ = {
    "the role may not": ApiError("AccessDeniedException", "UNAUTHORIZED_ACCOUNT"),
    "the snapshot is gone": ApiError("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND"),
    "the page's token has expired": ApiError("ValidationException", "INVALID_PAGE_TOKEN"),
    "a quota is used up": ApiError("ServiceQuotaExceededException", "DEPENDENCY_SERVICE_QUOTA_EXCEEDED"),
}


@pytest.mark.parametrize("error", NOT_READ.values(), ids=NOT_READ)
def test_what_is_refused_for_good_is_not_read_and_says_why(ebs: Ebs, error: ApiError) -> None:
    ebs.apis.errors.append(error)
    with pytest.raises(NotRead, match=error.reason):
        ebs.open()
    assert len(ebs.calls) == 1


def test_a_key_that_may_not_be_used_shows_with_the_first_block(ebs: Ebs) -> None:
    ebs.apis.keyless.add(SNAPSHOT)
    with pytest.raises(NotRead, match=r"GetSnapshotBlock was refused \(DEPENDENCY_ACCESS_DENIED"):
        ebs.open().read(0, 8)


PASSING: dict[str, tuple[ApiError, type[QuiesceError]]] = {
    "too fast": (ApiError("RequestThrottledException", "RESOURCE_LEVEL_THROTTLE"), AwsThrottled),
    "a fault of AWS": (ApiError("InternalServerException", ""), AwsUnavailable),
}


@pytest.mark.parametrize("error", [error for error, _ in PASSING.values()], ids=PASSING)
def test_what_passes_is_tried_again_by_boto3(ebs: Ebs, error: ApiError) -> None:
    ebs.apis.errors += [error] * 3
    assert number(ebs.open().read(2 * BLOCK_BYTES, 8)) == 2


@pytest.mark.parametrize(("error", "kind"), PASSING.values(), ids=PASSING)
def test_what_does_not_pass_is_for_the_state_machine_to_try_again(
    ebs: Ebs, error: ApiError, kind: type[QuiesceError]
) -> None:
    ebs.apis.errors += [error] * 4
    with pytest.raises(kind):
        ebs.open()


def break_off(_body: Any) -> bytes:
    """Break the connection in the middle of a block, where boto3 no longer retries."""
    raise ReadTimeoutError(endpoint_url="the block's")


def test_a_block_whose_connection_breaks_is_for_the_state_machine_to_try_again(
    ebs: Ebs, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = ebs.open()
    monkeypatch.setattr("botocore.response.StreamingBody.read", break_off)
    with pytest.raises(AwsUnavailable):
        snapshot.read(2 * BLOCK_BYTES, 8)


def test_a_block_that_comes_short_is_for_the_state_machine_to_try_again(ebs: Ebs) -> None:
    snapshot = ebs.open()
    whole = ebs.apis.answer
    ebs.apis.answer = lambda *request: (*whole(*request)[:2], b"short")  # type: ignore[method-assign]
    with pytest.raises(AwsUnavailable):
        snapshot.read(2 * BLOCK_BYTES, 8)


def a_page(**changes: Any) -> Callable[..., dict[str, Any]]:
    blocks = [{"BlockIndex": index, "BlockToken": f"{index}"} for index in changes.pop("indexes", (0, 2))]
    page = {"Blocks": blocks, "BlockSize": BLOCK_BYTES, "VolumeSize": SIZE_GIB, **changes}
    return lambda **_: page


WRONG = {
    "blocks of another size": a_page(BlockSize=4096),
    "blocks in no order": a_page(indexes=(3, 2)),
}


@pytest.mark.parametrize("listing", WRONG.values(), ids=WRONG)
def test_a_listing_that_is_not_as_documented_is_not_believed(listing: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(NotRead):
        SnapshotBlocks(SimpleNamespace(list_snapshot_blocks=listing), SNAPSHOT, Allowance(TIME))  # type: ignore[arg-type]


def test_a_listing_that_begins_before_what_was_asked_for_is_not_believed() -> None:
    client: Any = SimpleNamespace(list_snapshot_blocks=a_page(NextToken="next"))
    snapshot = SnapshotBlocks(client, SNAPSHOT, Allowance(TIME))
    with pytest.raises(NotRead, match="from block 9 on is out of order"):
        snapshot.read(9 * BLOCK_BYTES, 8)


def test_a_listing_without_end_ends_with_the_allowance() -> None:
    client: Any = SimpleNamespace(list_snapshot_blocks=a_page(indexes=(), NextToken="next"))
    with pytest.raises(NotRead, match=f"more than {MAX_CALLS} calls"):
        SnapshotBlocks(client, SNAPSHOT, Allowance(TIME))


def test_all_snapshots_of_a_run_share_one_allowance(ebs: Ebs) -> None:
    allowance = Allowance(TIME, calls=3)
    for _ in range(3):
        SnapshotBlocks(ebs.client, SNAPSHOT, allowance)
    with pytest.raises(NotRead, match="calls of the EBS direct APIs"):
        SnapshotBlocks(ebs.client, SNAPSHOT, allowance)


def test_what_was_read_before_the_functions_time_is_over_stays_read(ebs: Ebs) -> None:
    ebs.write(0, 9)
    left = [RESERVE_MS] * 2 + [RESERVE_MS - 1]
    snapshot = SnapshotBlocks(ebs.client, SNAPSHOT, Allowance(lambda: left.pop(0)))
    assert snapshot.read(0, 8) == bytes(8)
    with pytest.raises(NotRead, match="the function had no time left"):
        snapshot.read(9 * BLOCK_BYTES, 8)
    assert snapshot.read(0, 8) == bytes(8)
    assert ebs.count("GetSnapshotBlock") == 1


@pytest.mark.parametrize("operation", ["ListSnapshotBlocks", "GetSnapshotBlock"])
def test_the_sandbox_answers_what_botocores_model_says(ebs: Ebs, operation: str) -> None:
    ebs.apis.page_blocks = 2
    listed = ebs.client.list_snapshot_blocks(SnapshotId=SNAPSHOT)
    block = listed["Blocks"][0]
    got = ebs.client.get_snapshot_block(SnapshotId=SNAPSHOT, **block)
    answer = {"ListSnapshotBlocks": listed, "GetSnapshotBlock": {**got, "BlockData": b""}}[operation]
    shape = MODEL.operation_model(operation).output_shape
    answer.pop("ResponseMetadata")
    assert set(answer) == set(shape.members)
    assert not ParamValidator().validate(answer, shape).has_errors()


REFUSED = {
    "too many at once": ({"MaxResults": 10_001}, "INVALID_PARAMETER_VALUE"),
    "a page's token of nobody's": ({"NextToken": "bm90aGluZw=="}, "INVALID_PAGE_TOKEN"),
}


@pytest.mark.parametrize(("parameters", "reason"), REFUSED.values(), ids=REFUSED)
def test_the_sandbox_refuses_what_the_service_would(ebs: Ebs, parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ebs.client.exceptions.ValidationException) as refused:
        ebs.client.list_snapshot_blocks(SnapshotId=SNAPSHOT, **parameters)
    assert refused.value.response["Reason"] == reason


def test_the_sandbox_takes_a_token_for_its_own_block_only(ebs: Ebs) -> None:
    first, second, *_ = ebs.client.list_snapshot_blocks(SnapshotId=SNAPSHOT)["Blocks"]
    with pytest.raises(ebs.client.exceptions.ValidationException):
        ebs.client.get_snapshot_block(SnapshotId=SNAPSHOT, BlockIndex=1, BlockToken=first["BlockToken"])
    assert ebs.client.get_snapshot_block(SnapshotId=SNAPSHOT, **second)["DataLength"] == BLOCK_BYTES


@pytest.mark.parametrize("change", [{"status": "pending"}, {"storage_tier": "archive"}], ids=str)
def test_the_sandbox_does_not_guess_what_a_snapshot_that_is_not_at_hand_answers(ebs: Ebs, change: Any) -> None:
    vars(ebs.snapshot).update(change)
    with pytest.raises(ebs.client.exceptions.ClientError, match="SandboxCannotTell"):
        ebs.client.list_snapshot_blocks(SnapshotId=SNAPSHOT)
