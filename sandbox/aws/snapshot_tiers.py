"""The archive of EBS by the sandbox's clock: moto archives and restores at once, and refuses nothing.

`install` changes moto for the whole process, as that of `snapshots` does.
Source: EBS user guide, "Archive Amazon EBS snapshots" with its considerations, quotas and permissions; EC2 API
reference, ModifySnapshotTier, RestoreSnapshotTier, DescribeSnapshotTierStatus. They name no code for any refusal.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotIdError
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from sandbox.aws.keys import KEYS, to_attach
from sandbox.aws.snapshots import RULES, EbsSnapshot

DAY_S, GIB = 86_400, 2**30
MAX_ARCHIVING, MAX_RESTORING, MAX_ARCHIVED_OF_A_VOLUME = 25, 5, 25
MAX_DAYS = 180


@dataclass
class Archived:
    """A snapshot that was archived: when that is done, and its last restore; ``fails`` is why either fails."""

    started_s: float
    done_s: float
    restored_s: float = inf
    expires_s: float = inf
    permanent: bool = False
    fails: str = ""

    @property
    def restores(self) -> bool:
        """Whether a restore has begun."""
        return self.restored_s < inf

    @property
    def operation(self) -> str:
        """The last operation, and how far it is, as DescribeSnapshotTierStatus names it."""
        now_s = RULES.now_s()
        kind = ("permanent-restore" if self.permanent else "temporary-restore") if self.restores else "archival"
        if now_s < (self.restored_s if self.restores else self.done_s):
            return f"{kind}-in-progress"
        return f"{kind}-failed" if self.fails else f"{kind}-completed"

    @property
    def is_standard(self) -> bool:
        """Whether the snapshot can be used now."""
        if not self.restores:
            return RULES.now_s() < self.done_s or bool(self.fails)
        return not self.fails and self.restored_s <= RULES.now_s() < self.expires_s

    @property
    def is_restored(self) -> bool:
        """Whether it is restored for a time that is not over."""
        return self.restores and self.is_standard and not self.permanent


@dataclass
class Tiers:
    """The knobs of the simulated archive; without them everything happens at once and succeeds."""

    archiving_s: float = 0.0
    restoring_s: float = 0.0
    failing: dict[str, str] = field(default_factory=dict)
    """Snapshots of which the next archival or restore fails, with the words of EBS."""
    full_bytes: Callable[[str], int] | None = None
    """How large a snapshot is in full; without it EC2 names none."""
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    """Each change that was made: the call, the snapshot, and for how many days it is restored."""
    held: dict[str, Archived] = field(default_factory=dict)

    def reset(self) -> None:
        """Restore the defaults, but keep who knows the sizes: nothing is archived."""
        self.__init__(full_bytes=self.full_bytes)  # type: ignore[misc]

    def running(self, end: str) -> int:
        """How many archivals or restores go on in the account."""
        return sum(each.operation.endswith(f"{end}-in-progress") for each in self.held.values())


TIERS = Tiers()


def _tier(snapshot: Any) -> str:
    held = TIERS.held.get(snapshot.id)
    return "standard" if held is None or held.is_standard else "archive"


def _set_tier(snapshot: Any, tier: str) -> None:
    """Let a test say that a snapshot was archived long ago; moto says of a new one that it was not."""
    TIERS.held.pop(snapshot.id, None)
    if tier == "archive":
        TIERS.held[snapshot.id] = Archived(RULES.now_s() - DAY_S, RULES.now_s() - DAY_S)


def _expiry(snapshot: Any) -> datetime | None:
    held = TIERS.held.get(snapshot.id)
    return _time(held.expires_s) if held and held.is_restored else None


def _full_bytes(snapshot: Any) -> int | None:
    return TIERS.full_bytes(snapshot.id) if TIERS.full_bytes else None


def _found(self: ElasticBlockStore) -> Any:
    snapshot = self.ec2_backend.snapshots.get(self._get_param("SnapshotId"))
    if snapshot is None:
        raise InvalidSnapshotIdError
    return snapshot


def _refuse(words: str) -> None:
    raise EC2ClientError("SandboxCannotTell", f"{words}; EC2's code for it is not documented")


def _modify_tier(self: ElasticBlockStore) -> ActionResult:
    """ModifySnapshotTier: only to the archive, of a completed snapshot that no image uses."""
    snapshot, tier = _found(self), self._get_param("StorageTier")
    if tier != "archive":
        raise EC2ClientError("InvalidParameterValue", f"Value ({tier}) for parameter StorageTier is invalid.")
    self.error_on_dryrun()
    if snapshot.id in TIERS.held and not TIERS.held[snapshot.id].fails:
        _refuse(f"{snapshot.id} is {TIERS.held[snapshot.id].operation}")
    if snapshot.status != "completed":
        _refuse(f"{snapshot.id} is {snapshot.status}: only completed snapshots are archived")
    for image in list(self.ec2_backend.amis.values()):
        if snapshot.id in [m.get("Ebs", {}).get("SnapshotId") for m in image.block_device_mappings]:
            _refuse(f"{snapshot.id} is used by {image.id}, which is not disabled")
    if TIERS.running("archival") >= MAX_ARCHIVING:
        _refuse(f"{MAX_ARCHIVING} snapshots of the account are being archived")
    others = [self.ec2_backend.snapshots[i] for i in TIERS.held if i in self.ec2_backend.snapshots]
    if sum(other.volume_id == snapshot.volume_id for other in others) >= MAX_ARCHIVED_OF_A_VOLUME:
        _refuse(f"{MAX_ARCHIVED_OF_A_VOLUME} snapshots of {snapshot.volume_id} are archived")
    TIERS.held[snapshot.id] = Archived(
        RULES.now_s(), RULES.now_s() + TIERS.archiving_s, fails=_why_it_fails(self, snapshot)
    )
    # "the accounts with which the snapshot is shared lose access"
    snapshot.create_volume_permission_userids.clear()
    snapshot.create_volume_permission_groups.clear()
    TIERS.asked.append(("ModifySnapshotTier", snapshot.id, 0))
    return ActionResult({"SnapshotId": snapshot.id, "TieringStartTime": _time(RULES.now_s())})


def _restore_tier(self: ElasticBlockStore) -> ActionResult:
    """RestoreSnapshotTier: for a time or for good; what is restored for a time may be so for another from now."""
    snapshot, permanent = _found(self), bool(self._get_bool_param("PermanentRestore"))
    days = int(self._get_param("TemporaryRestoreDays") or 0)
    if permanent == bool(days):
        raise EC2ClientError("InvalidParameterCombination", "Give TemporaryRestoreDays or PermanentRestore")
    if not permanent and not 1 <= days <= MAX_DAYS:
        raise EC2ClientError("InvalidParameterValue", f"TemporaryRestoreDays is {days}, and may be 1 to {MAX_DAYS}")
    self.error_on_dryrun()
    held = TIERS.held.get(snapshot.id)
    if held is None or (held.is_standard and not held.is_restored):
        _refuse(f"{snapshot.id} is not archived")
    elif held.operation.endswith("in-progress"):
        _refuse(f"{snapshot.id} is {held.operation}")
    elif held.is_restored:
        held.expires_s, held.permanent = (inf if permanent else RULES.now_s() + days * DAY_S), permanent
    elif TIERS.running("restore") >= MAX_RESTORING:
        _refuse(f"{MAX_RESTORING} snapshots of the account are being restored")
    else:
        held.started_s, held.restored_s = RULES.now_s(), RULES.now_s() + TIERS.restoring_s
        held.permanent, held.expires_s = permanent, inf if permanent else held.restored_s + days * DAY_S
        held.fails = _why_it_fails(self, snapshot)
    TIERS.asked.append(("RestoreSnapshotTier", snapshot.id, days))
    answer = {"SnapshotId": snapshot.id, "RestoreStartTime": _time(RULES.now_s()), "IsPermanentRestore": permanent}
    return ActionResult(answer | ({} if permanent else {"RestoreDuration": days}))


def _why_it_fails(_self: ElasticBlockStore, snapshot: Any) -> str:
    """Source: EBS user guide, permissions to archive: of an encrypted one CreateGrant, Decrypt and DescribeKey."""
    key = KEYS.of(snapshot)
    if key and not KEYS.may(to_attach({key})):
        return "The key may not be used."
    return TIERS.failing.pop(snapshot.id, "")


def _describe_status(self: ElasticBlockStore) -> ActionResult:
    """DescribeSnapshotTierStatus, in pages; the guide shows it for archived snapshots, so for others it has nothing."""
    wanted = {each["Name"]: each["Values"] for each in self._get_param("Filters", [])}
    if wanted.keys() - {"snapshot-id", "last-tiering-operation", "volume-id"}:
        raise EC2ClientError("InvalidParameterValue", f"The filters {sorted(wanted)} are not all valid")
    found = [
        status
        for snapshot_id, held in TIERS.held.items()
        if (snapshot := self.ec2_backend.snapshots.get(snapshot_id))
        and snapshot_id in wanted.get("snapshot-id", [snapshot_id])
        and snapshot.volume_id in wanted.get("volume-id", [snapshot.volume_id])
        and (status := _status(snapshot, held))["LastTieringOperationStatus"]
        in wanted.get("last-tiering-operation", [held.operation])
    ]
    start = int(self._get_param("NextToken") or 0)
    end = start + min(int(self._get_param("MaxResults") or 1000), RULES.page_size)
    return ActionResult(
        {"SnapshotTierStatuses": found[start:end]} | ({"NextToken": str(end)} if end < len(found) else {})
    )


def _status(snapshot: Any, held: Archived) -> dict[str, Any]:
    ends_s = held.restored_s if held.restores else held.done_s
    passed = (RULES.now_s() - held.started_s) / (ends_s - held.started_s) if ends_s > held.started_s else 1.0
    return {
        "SnapshotId": snapshot.id,
        "VolumeId": snapshot.volume_id,
        "Status": snapshot.status,
        "OwnerId": snapshot.owner_id,
        "Tags": snapshot.tag_set,
        "StorageTier": snapshot.storage_tier,
        "LastTieringStartTime": _time(held.started_s),
        "LastTieringProgress": int(min(1.0, passed) * 100),
        "LastTieringOperationStatus": held.operation,
        "LastTieringOperationStatusDetail": held.fails,
    } | (
        ({"ArchivalCompleteTime": _time(held.done_s)} if RULES.now_s() >= held.done_s else {})
        | ({"RestoreExpiryTime": _time(held.expires_s)} if held.is_restored else {})
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def install() -> None:
    """Put these rules into moto; calling it again changes nothing."""
    EbsSnapshot.storage_tier = property(_tier, _set_tier)  # type: ignore[assignment]
    EbsSnapshot.restore_expiry_time = property(_expiry, lambda _snapshot, _by_moto: None)  # type: ignore[assignment]
    EbsSnapshot.full_snapshot_size_in_bytes = property(_full_bytes)  # type: ignore[attr-defined]
    ElasticBlockStore.modify_snapshot_tier = _modify_tier  # type: ignore[method-assign]
    ElasticBlockStore.restore_snapshot_tier = _restore_tier  # type: ignore[method-assign]
    ElasticBlockStore.describe_snapshot_tier_status = _describe_status  # type: ignore[method-assign]
