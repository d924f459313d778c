"""The EBS direct APIs over simulated snapshots: written blocks by page and token, checksums, and refusals.

Reading is here, writing in ``direct_writes``.
Source: AWS, EBS User Guide, EBS direct APIs (concepts, reading snapshots, frequently asked questions), and their
reference; names, places and patterns of fields: botocore's model. AWS documents no answer for a pending or archived
snapshot.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from sandbox.aws.direct_writes import ApiError, Writes
from sandbox.aws.faults import Answer
from sandbox.disks.sparse_disk import SparseDisk

BLOCK_BYTES = 524_288
FEWEST, MOST = 100, 10_000
BLOCK_TOKEN_S, PAGE_TOKEN_S = 7 * 86_400, 3_600
ID = "(snap-[0-9a-f]{1,59})"
PATHS = {
    ("GET", re.compile(rf"/snapshots/{ID}/blocks")): "ListSnapshotBlocks",
    ("GET", re.compile(rf"/snapshots/{ID}/blocks/([0-9]+)")): "GetSnapshotBlock",
    ("GET", re.compile(rf"/snapshots/{ID}/changedblocks")): "ListChangedBlocks",
    ("PUT", re.compile(rf"/snapshots/{ID}/blocks/([0-9]+)")): "PutSnapshotBlock",
    ("POST", re.compile(rf"/snapshots/completion/{ID}")): "CompleteSnapshot",
    ("POST", re.compile("/snapshots")): "StartSnapshot",
}
STATUS = {
    "AccessDeniedException": 403,
    "ConcurrentLimitExceededException": 400,
    "ConflictException": 503,
    "InternalServerException": 500,
    "RequestThrottledException": 400,
    "ResourceNotFoundException": 404,
    "SandboxCannotTell": 400,
    "ServiceQuotaExceededException": 402,
    "ValidationException": 400,
}


def told(error: ApiError) -> Answer:
    """Return an error as an answer."""
    body = json.dumps({"Message": str(error)} | ({"Reason": error.reason} if error.reason else {}))
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
    return STATUS[error.code], headers, body.encode()


class Call(NamedTuple):
    """What a request asks for: the API's name, and the snapshot and block in its path."""

    operation: str
    snapshot_id: str
    index: int


def call_of(method: str, path: str) -> Call:
    """Return what a request asks for."""
    for (verb, pattern), operation in PATHS.items():
        if verb == method and (found := pattern.fullmatch(path)):
            snapshot_id, index, *_ = (*found.groups(), "", "0")[:2]
            return Call(operation, snapshot_id, int(index or 0))
    raise ApiError("SandboxCannotTell", "", f"the sandbox does not know {method} {path}")


@dataclass
class DirectApis:
    """The service, and the faults that tests set.

    Attributes:
        snapshot_of: returns EC2's snapshot with this id, or None.
        disk_of: returns the disk in a snapshot.
        page_blocks: the most blocks of a page; EBS may return fewer than asked for.
        empty_pages: how many of the next pages are empty, with a token for the next.
        rotating: each listing invalidates the block tokens of earlier ones.
        keyless: snapshots whose key the caller may not use.
        damaged: how many more times a block is sent with a wrong byte, by snapshot and index.
        errors: the errors that the next calls get, one each.
    """

    snapshot_of: Callable[[str], Any]
    disk_of: Callable[[str], SparseDisk]
    now_s: Callable[[], float]
    page_blocks: int = MOST
    empty_pages: int = 0
    rotating: bool = False
    keyless: set[str] = field(default_factory=set)
    damaged: dict[tuple[str, int], int] = field(default_factory=dict)
    errors: list[ApiError] = field(default_factory=list)
    writes: Writes | None = None
    _listings: int = 0

    def reset(self) -> None:
        """Undo all of these."""
        writes = self.writes
        self.__init__(self.snapshot_of, self.disk_of, self.now_s)  # type: ignore[misc]
        self.writes = writes
        if writes:
            writes.keyless = self.keyless
            writes.reset()

    def answer(
        self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str] = {}, body: bytes = b""
    ) -> Answer:
        """Answer a request; the names of its headers in any case."""
        try:
            call = call_of(method, path)
            if self.errors:
                raise self.errors.pop(0)
            lower = {name.lower(): value for name, value in headers.items()}
            return self._write(call, lower, body) if method != "GET" else self._read(call, query)
        except ApiError as error:
            return told(error)

    def _write(self, call: Call, headers: dict[str, str], body: bytes) -> Answer:
        if self.writes is None:
            raise ApiError("SandboxCannotTell", "", "no snapshot can be written here")
        if call.operation == "StartSnapshot":
            return _json(201, self.writes.start(body))
        if call.operation == "PutSnapshotBlock":
            answered = self.writes.put(call.snapshot_id, call.index, headers, body)
            return 201, {"Content-Type": "application/json", **answered}, b"{}"
        return _json(202, self.writes.complete(call.snapshot_id, headers))

    def _read(self, call: Call, query: dict[str, str]) -> Answer:
        self._refuse_snapshot(call.snapshot_id)
        if call.operation == "GetSnapshotBlock":
            return self._get(call.snapshot_id, call.index, query)
        if call.operation == "ListSnapshotBlocks":
            written = self.disk_of(call.snapshot_id).written_blocks(BLOCK_BYTES)
            return self._list(call.snapshot_id, query, written, lambda index, token: {"BlockToken": token(index)})
        return self._list_changes(call.snapshot_id, query)

    def _list_changes(self, snapshot_id: str, query: dict[str, str]) -> Answer:
        first_id = query.get("firstSnapshotId", "")
        self._refuse_snapshot(first_id)
        if self.writes is None:
            raise ApiError("SandboxCannotTell", "", "not simulated: changes between snapshots of a volume")
        in_first = set(self.disk_of(first_id).written_blocks(BLOCK_BYTES))

        def described(index: int, token: Callable[..., str]) -> dict[str, str]:
            # A block that the first snapshot does not have has no token of it.
            first = {"FirstBlockToken": token(index, first_id)} if index in in_first else {}
            return first | {"SecondBlockToken": token(index)}

        changed = self.writes.changed(first_id, snapshot_id)
        return self._list(snapshot_id, query, changed, described, "ChangedBlocks")

    def _refuse_snapshot(self, snapshot_id: str) -> None:
        snapshot = self.snapshot_of(snapshot_id)
        if snapshot is None:
            message = f"The snapshot '{snapshot_id}' does not exist."
            raise ApiError("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", message)
        if snapshot.status != "completed" or snapshot.storage_tier != "standard":
            message = f"not known: the answer for a snapshot that is {snapshot.status}, {snapshot.storage_tier}"
            raise ApiError("SandboxCannotTell", "", message)

    def _list(
        self,
        snapshot_id: str,
        query: dict[str, str],
        blocks: list[int],
        described: Callable[[int, Callable[..., str]], dict[str, str]],
        name: str = "Blocks",
    ) -> Answer:
        size = int(query.get("maxResults", MOST))
        if not FEWEST <= size <= MOST:
            raise ApiError("ValidationException", "INVALID_PARAMETER_VALUE", f"maxResults is {size}")
        start = self._page_start(snapshot_id, query)
        self._listings += 1
        left = [index for index in blocks if index >= start]
        shown = left[: min(size, self.page_blocks)]
        if self.empty_pages:
            self.empty_pages, shown = self.empty_pages - 1, []
        expires_s = int(self.now_s()) + BLOCK_TOKEN_S

        def token(index: int, of: str = snapshot_id) -> str:
            return self._token(of, index, expires_s)

        page = {
            name: [{"BlockIndex": index, **described(index, token)} for index in shown],
            "ExpiryTime": expires_s,
            "VolumeSize": self.disk_of(snapshot_id).size_bytes >> 30,
            "BlockSize": BLOCK_BYTES,
        }
        if len(shown) < len(left):
            following = shown[-1] + 1 if shown else start
            page["NextToken"] = _packed("page", snapshot_id, following, int(self.now_s()) + PAGE_TOKEN_S)
        return _json(200, page)

    def _page_start(self, snapshot_id: str, query: dict[str, str]) -> int:
        """The index of the first block to list: a page token takes precedence over startingBlockIndex."""
        if "pageToken" not in query:
            return int(query.get("startingBlockIndex", 0))
        kind, listed_id, start, expires_s = _unpacked(query["pageToken"])
        if (kind, listed_id) != ("page", snapshot_id) or int(expires_s) < self.now_s():
            raise ApiError("ValidationException", "INVALID_PAGE_TOKEN", "The page token is invalid.")
        return int(start)

    def _get(self, snapshot_id: str, index: int, query: dict[str, str]) -> Answer:
        if snapshot_id in self.keyless:
            raise ApiError("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED", "The key may not be used.")
        token = query.get("blockToken", "")
        *_, expires_s = _unpacked(token)
        if token != self._token(snapshot_id, index, int(expires_s)) or int(expires_s) < self.now_s():
            raise ApiError("ValidationException", "INVALID_BLOCK_TOKEN", "The block token is invalid.")
        data = self.disk_of(snapshot_id).read(index * BLOCK_BYTES, BLOCK_BYTES)
        headers = {
            "Content-Type": "application/octet-stream",
            "x-amz-Data-Length": str(len(data)),
            "x-amz-Checksum": base64.b64encode(hashlib.sha256(data).digest()).decode(),
            "x-amz-Checksum-Algorithm": "SHA256",
        }
        if self.damaged.get((snapshot_id, index)):
            self.damaged[snapshot_id, index] -= 1
            data = bytes([data[0] ^ 1]) + data[1:]
        return 200, {**headers, "Content-Length": str(len(data))}, data

    def _token(self, snapshot_id: str, index: int, expires_s: int) -> str:
        return _packed(str(self._listings if self.rotating else 0), snapshot_id, index, expires_s)


def _json(status: int, answer: Mapping[str, Any]) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def _packed(*parts: object) -> str:
    return base64.b64encode("/".join(map(str, parts)).encode()).decode()


def _unpacked(token: str) -> list[str]:
    """Return the parts of a token; for a foreign one, parts that no snapshot has and that have expired."""
    try:
        parts = base64.b64decode(token, validate=True).decode().split("/")
    except ValueError:
        parts = []
    return parts if len(parts) == len(("kind", "snapshot", "index", "expires")) else ["", "", "0", "0"]


class _Raw(BytesIO):
    """A body as urllib3 passes it on."""

    def stream(self, **_how: Any) -> Any:
        yield self.read()


def respond(apis: DirectApis, request: AWSPreparedRequest) -> AWSResponse:
    """Answer a request as botocore's event `before-send.ebs` hands it over, instead of the network."""
    parts = urlsplit(request.url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    sent = request.body.read() if hasattr(request.body, "read") else request.body or b""
    given = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    body = sent.encode() if isinstance(sent, str) else bytes(sent)
    status, headers, answer = apis.answer(request.method, parts.path, query, given, body)
    return AWSResponse(request.url, status, headers, _Raw(answer))
