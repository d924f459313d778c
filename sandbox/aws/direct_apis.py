"""The EBS direct APIs over simulated snapshots: written blocks by page and token, checksums, and refusals.

Source: AWS, EBS User Guide, EBS direct APIs (concepts, reading snapshots, frequently asked questions), and their
reference; names, places and patterns of fields: botocore's model. AWS documents no answer for a pending or archived
snapshot.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from sandbox.aws.faults import Answer
from sandbox.disks.sparse_disk import SparseDisk

BLOCK_BYTES = 524_288
FEWEST, MOST = 100, 10_000
BLOCK_TOKEN_S, PAGE_TOKEN_S = 7 * 86_400, 3_600
PATH = re.compile(r"/snapshots/(snap-[0-9a-f]+)/blocks(?:/([0-9]+))?")
STATUS = {
    "AccessDeniedException": 403,
    "InternalServerException": 500,
    "RequestThrottledException": 400,
    "ResourceNotFoundException": 404,
    "SandboxCannotTell": 400,
    "ServiceQuotaExceededException": 402,
    "ValidationException": 400,
}


class ApiError(Exception):
    """An error that these APIs answer with: its name and reason."""

    def __init__(self, code: str, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.code, self.reason = code, reason


class Call(NamedTuple):
    """What a request's path asks for: one block, or the list of blocks if `index` is None."""

    snapshot_id: str
    index: int | None

    @property
    def operation(self) -> str:
        """The name of the API."""
        return "ListSnapshotBlocks" if self.index is None else "GetSnapshotBlock"


def call_of(path: str) -> Call:
    """Return what a path asks for."""
    found = PATH.fullmatch(path)
    if found is None:
        raise ApiError("SandboxCannotTell", "", f"the sandbox does not know {path}")
    return Call(found[1], None if found[2] is None else int(found[2]))


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
    _listings: int = 0

    def reset(self) -> None:
        """Undo all of these."""
        self.__init__(self.snapshot_of, self.disk_of, self.now_s)  # type: ignore[misc]

    def answer(self, path: str, query: dict[str, str]) -> Answer:
        """Answer a GET request."""
        try:
            call = call_of(path)
            if self.errors:
                raise self.errors.pop(0)
            self._refuse_snapshot(call.snapshot_id)
            return self._list(call, query) if call.index is None else self._get(call.snapshot_id, call.index, query)
        except ApiError as error:
            body = json.dumps({"Message": str(error)} | ({"Reason": error.reason} if error.reason else {}))
            headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
            return STATUS[error.code], headers, body.encode()

    def _refuse_snapshot(self, snapshot_id: str) -> None:
        snapshot = self.snapshot_of(snapshot_id)
        if snapshot is None:
            message = f"The snapshot '{snapshot_id}' does not exist."
            raise ApiError("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", message)
        if snapshot.status != "completed" or snapshot.storage_tier != "standard":
            message = f"not known: the answer for a snapshot that is {snapshot.status}, {snapshot.storage_tier}"
            raise ApiError("SandboxCannotTell", "", message)

    def _list(self, call: Call, query: dict[str, str]) -> Answer:
        size = int(query.get("maxResults", MOST))
        if not FEWEST <= size <= MOST:
            raise ApiError("ValidationException", "INVALID_PARAMETER_VALUE", f"maxResults is {size}")
        start = self._page_start(call.snapshot_id, query)
        self._listings += 1
        disk = self.disk_of(call.snapshot_id)
        left = [index for index in disk.written_blocks(BLOCK_BYTES) if index >= start]
        shown = left[: min(size, self.page_blocks)]
        if self.empty_pages:
            self.empty_pages, shown = self.empty_pages - 1, []
        expires_s = int(self.now_s()) + BLOCK_TOKEN_S
        tokens = [(index, self._token(call.snapshot_id, index, expires_s)) for index in shown]
        page = {
            "Blocks": [{"BlockIndex": index, "BlockToken": token} for index, token in tokens],
            "ExpiryTime": expires_s,
            "VolumeSize": disk.size_bytes >> 30,
            "BlockSize": BLOCK_BYTES,
        }
        if len(shown) < len(left):
            following = shown[-1] + 1 if shown else start
            page["NextToken"] = _packed("page", call.snapshot_id, following, int(self.now_s()) + PAGE_TOKEN_S)
        return 200, {"Content-Type": "application/json"}, json.dumps(page).encode()

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
    status, headers, body = apis.answer(parts.path, query)
    return AWSResponse(request.url, status, headers, _Raw(body))
