"""The writing side of the EBS direct APIs: snapshots that are started, written block by block, and completed.

Source: EBS direct APIs' reference and EBS User Guide (writing snapshots, checksums, encryption outcomes, ensuring
idempotency, quotas); names, places and patterns of fields: botocore's model. Where AWS documents no answer, the
strictest one is given, and a comment says so.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.disks.sparse_disk import SparseDisk

BLOCK_BYTES = 524_288
MAX_GIB = 65_536
# Of what was written or copied, as EC2 describes it.
NO_VOLUME = "vol-ffffffff"
MAX_TAGS = 50
TIMEOUT_MIN, DEFAULT_TIMEOUT_MIN = range(10, 4321), 60
# In an account and Region (EBS quotas).
MAX_PENDING = 100
FIELDS = {
    "VolumeSize",
    "ParentSnapshotId",
    "Tags",
    "Description",
    "ClientToken",
    "Encrypted",
    "KmsKeyArn",
    "Timeout",
}


class ApiError(Exception):
    """An error that these APIs answer with: its name and reason."""

    def __init__(self, code: str, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.code, self.reason = code, reason


def refused(reason: str, message: str) -> ApiError:
    """Return the error for a request that does not fit."""
    return ApiError("ValidationException", reason, message)


@dataclass
class Written:
    """A snapshot that was started here; ``digests`` are of the blocks written so far, by index.

    ``hidden`` is how many more calls do not know it: right after StartSnapshot, EBS may say that it does not exist
    (coldsnap, a client by AWS, repeats Puts for two minutes for that reason).
    """

    snapshot: Any
    parent_id: str | None
    disk: SparseDisk
    timeout_s: int
    hidden: int = 0
    digests: dict[int, bytes] = field(default_factory=dict)

    @property
    def checksum(self) -> str:
        """The aggregated checksum: SHA-256 over the blocks' own, ascending, as bytes (so does coldsnap)."""
        return base64.b64encode(hashlib.sha256(b"".join(d for _, d in sorted(self.digests.items()))).digest()).decode()


@dataclass
class Ec2Snapshots:
    """What the service needs of EC2.

    Attributes:
        find: returns EC2's snapshot with this id, or None.
        make: makes a pending one of this size in GiB, with a description and a parent or None.
        keep: takes the disk of one that was completed.
        pending: returns how many snapshots are pending.
        encrypts: returns whether encryption by default is on.
    """

    find: Callable[[str], Any]
    make: Callable[[int, str, Any], Any]
    keep: Callable[[str, SparseDisk], None]
    pending: Callable[[], int]
    encrypts: Callable[[], bool]


@dataclass
class Writes:
    """The service, and the faults that tests set.

    Attributes:
        disk_of: returns the disk in a completed snapshot.
        unseen_calls: how many calls do not know a new snapshot yet.
        limit_error: StartSnapshot's answer while too many are pending; which of two errors it is, is not documented.
        dropped: blocks that are acknowledged and not kept, by index, as no EBS should: only reading back shows it.
    """

    ec2: Ec2Snapshots
    disk_of: Callable[[str], SparseDisk]
    now_s: Callable[[], float]
    keyless: set[str]
    max_pending: int = MAX_PENDING
    unseen_calls: int = 0
    limit_error: str = "ServiceQuotaExceededException"
    dropped: set[int] = field(default_factory=set)
    made: dict[str, Written] = field(default_factory=dict)
    _tokens: dict[str, tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=dict)

    def reset(self) -> None:
        """Undo all faults, and forget all snapshots."""
        self.__init__(self.ec2, self.disk_of, self.now_s, self.keyless)  # type: ignore[misc]

    def start(self, body: bytes) -> dict[str, Any]:
        """StartSnapshot: the same token and request give the first answer, even if the snapshot is gone by now."""
        request = json.loads(body or b"{}")
        self._refuse_request(request)
        token = request.get("ClientToken")
        if token in self._tokens:
            first, answer = self._tokens[token]
            if first != request:
                raise ApiError(
                    "ConflictException", "", "The request uses the same client token as a non-identical one."
                )
            return answer
        parent = self._parent_of(request)
        if self.ec2.pending() >= self.max_pending:
            raise ApiError(self.limit_error, "", "Too many snapshots are pending.")
        snapshot = self.ec2.make(request["VolumeSize"], request.get("Description", ""), parent)
        snapshot.add_tags({tag["Key"]: tag["Value"] for tag in request.get("Tags", [])})
        disk = self.disk_of(parent.id).copy() if parent else SparseDisk(request["VolumeSize"] << 30)
        timeout_s = 60 * request.get("Timeout", DEFAULT_TIMEOUT_MIN)
        self.made[snapshot.id] = Written(
            snapshot, parent.id if parent else None, disk, timeout_s, hidden=self.unseen_calls
        )
        snapshot.cancelled_s = self.now_s() + timeout_s
        answer = {
            "SnapshotId": snapshot.id,
            "OwnerId": snapshot.owner_id,
            "Status": "pending",
            "StartTime": snapshot.started_s,
            "VolumeSize": request["VolumeSize"],
            "BlockSize": BLOCK_BYTES,
            **{name: request[name] for name in ("Description", "Tags", "ParentSnapshotId") if name in request},
            "SseType": "sse-kms" if snapshot.encrypted else "none",
        }
        if token:
            self._tokens[token] = (request, answer)
        return answer

    def put(self, snapshot_id: str, index: int, headers: dict[str, str], data: bytes) -> dict[str, str]:
        """PutSnapshotBlock: writes a block, or writes it again."""
        written = self._open(snapshot_id)
        self._refuse_keyless(written)
        if headers.get("x-amz-data-length") != str(BLOCK_BYTES) or len(data) != BLOCK_BYTES:
            raise refused("INVALID_PARAMETER_VALUE", f"a block has {BLOCK_BYTES} bytes, not {len(data)}")
        if not 0 <= index < written.disk.size_bytes // BLOCK_BYTES:
            raise refused("INVALID_BLOCK", f"block {index} is outside of the volume")
        if not 0 <= int(headers.get("x-amz-progress", 0)) <= 100:  # noqa: PLR2004
            raise refused("INVALID_PARAMETER_VALUE", "the progress is a percentage")
        digest = hashlib.sha256(data).digest()
        told = (headers.get("x-amz-checksum-algorithm"), headers.get("x-amz-checksum"))
        if told != ("SHA256", base64.b64encode(digest).decode()):
            raise refused("INVALID_BLOCK", "the checksum is not that of the data")
        if index not in self.dropped:
            written.disk.write(index * BLOCK_BYTES, data)
        written.digests[index] = digest
        written.snapshot.cancelled_s = self.now_s() + written.timeout_s
        return {"x-amz-Checksum": str(told[1]), "x-amz-Checksum-Algorithm": "SHA256"}

    def complete(self, snapshot_id: str, headers: dict[str, str]) -> dict[str, str]:
        """CompleteSnapshot: seals a snapshot; its count and checksum must be those of what was written."""
        written = self._open(snapshot_id)
        if headers.get("x-amz-changedblockscount") != str(len(written.digests)):
            count = headers.get("x-amz-changedblockscount")
            raise refused("INVALID_PARAMETER_VALUE", f"{len(written.digests)} blocks were written, not {count}")
        told = [headers.get(f"x-amz-checksum{end}") for end in ("", "-algorithm", "-aggregation-method")]
        if any(told) and told != [written.checksum, "SHA256", "LINEAR"]:
            raise refused("INVALID_PARAMETER_VALUE", "the aggregated checksum is not that of the blocks")
        self.ec2.keep(snapshot_id, written.disk)
        written.snapshot.seal(self.now_s())
        return {"Status": written.snapshot.status}

    def changed(self, first_id: str, second_id: str) -> list[int]:
        """The blocks in which two snapshots of one line differ: of a child those written, whatever was there before."""
        written = self.made.get(second_id)
        if written is not None and written.parent_id == first_id:
            return sorted(written.digests)
        volumes = {getattr(self.ec2.find(each), "volume_id", NO_VOLUME) for each in (first_id, second_id)}
        if volumes == {NO_VOLUME} or len(volumes) > 1:
            raise refused("UNRELATED_SNAPSHOTS", "The snapshots are not of the same volume or line.")
        disks = self.disk_of(first_id), self.disk_of(second_id)
        blocks = {index for disk in disks for index in disk.written_blocks(BLOCK_BYTES)}
        return sorted(i for i in blocks if len({disk.read(i * BLOCK_BYTES, BLOCK_BYTES) for disk in disks}) > 1)

    def _refuse_request(self, request: dict[str, Any]) -> None:
        size, tags, token = request.get("VolumeSize"), request.get("Tags", []), request.get("ClientToken", "token")
        wrong = {
            f"unknown fields {sorted(set(request) - FIELDS)}": bool(set(request) - FIELDS),
            f"VolumeSize {size}": not isinstance(size, int) or not 1 <= size <= MAX_GIB,
            "ParentSnapshotId with Encrypted": "ParentSnapshotId" in request and "Encrypted" in request,
            "Description": len(request.get("Description", "-")) not in range(1, 256),
            # Up to 64 by the User Guide, which is stricter than the model.
            "ClientToken": re.fullmatch(r"[!-~]{1,64}", token) is None,
            "Timeout": request.get("Timeout", DEFAULT_TIMEOUT_MIN) not in TIMEOUT_MIN,
        }
        if problems := [words for words, holds in wrong.items() if holds]:
            raise refused("INVALID_PARAMETER_VALUE", ", ".join(problems))
        keys = [tag["Key"] for tag in tags]
        if len(tags) > MAX_TAGS or len(set(keys)) < len(keys) or any(key.startswith("aws:") for key in keys):
            raise refused("INVALID_TAG", f"the tags {keys}")

    def _parent_of(self, request: dict[str, Any]) -> Any:
        parent_id = request.get("ParentSnapshotId")
        if parent_id is None:
            raise ApiError("SandboxCannotTell", "", "not simulated: a snapshot without a parent")
        parent = self.ec2.find(parent_id)
        if parent is None:
            raise ApiError("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", f"'{parent_id}' does not exist.")
        if parent.status != "completed" or parent.storage_tier != "standard":
            words = f"not known: the answer for a parent that is {parent.status}, {parent.storage_tier}"
            raise ApiError("SandboxCannotTell", "", words)
        if request["VolumeSize"] != parent.volume_size:
            raise refused("INVALID_VOLUME_SIZE", f"the parent has {parent.volume_size} GiB")
        if parent_id in self.keyless:
            raise ApiError("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED", "The key may not be used.")
        if self.ec2.encrypts() and not parent.encrypted:
            words = "Encryption by default is on: the parent has to be encrypted by copying it."
            raise refused("INVALID_PARAMETER_VALUE", words)
        return parent

    def _open(self, snapshot_id: str) -> Written:
        """Return a snapshot that takes blocks; which reasons EBS gives where it does not is not documented."""
        written, known = self.made.get(snapshot_id), self.ec2.find(snapshot_id)
        if known is None or (written and written.hidden > 0):
            if written:
                written.hidden -= 1
            message = f"The snapshot '{snapshot_id}' does not exist."
            raise ApiError("ResourceNotFoundException", "SNAPSHOT_NOT_FOUND", message)
        if written is None:
            raise refused("INVALID_SNAPSHOT_ID", "The snapshot was not created by StartSnapshot.")
        if written.snapshot.sealed_s is not None:
            raise refused("INVALID_SNAPSHOT_ID", "The snapshot was completed.")
        if written.snapshot.status != "pending":
            raise refused("WRITE_REQUEST_TIMEOUT", f"The snapshot is {written.snapshot.status}.")
        return written

    def _refuse_keyless(self, written: Written) -> None:
        if written.parent_id in self.keyless:
            raise ApiError("AccessDeniedException", "DEPENDENCY_ACCESS_DENIED", "The key may not be used.")
