"""What keeps a snapshot from being deleted, where moto differs: images of it, and EBS snapshot locks, which moto lacks.

`install` changes moto for the whole process, as that of `snapshots` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from sandbox.aws.images import EbsImage
from sandbox.aws.snapshots import RULES

HOUR_S, DAY_S = 3600, 86_400
MAX_DAYS, MAX_COOL_OFF = 36_500, 72


@dataclass
class Locks:
    """Locked snapshots: their mode, and when each lock expires, in seconds since 1970."""

    cooling: dict[str, float] = field(default_factory=dict)
    """Until when a compliance lock can still be ended or shortened, in seconds since 1970."""
    asked: list[tuple[str, str, int, int]] = field(default_factory=list)
    """Each lock that was made: snapshot, mode, days, hours of cooling off."""

    held: dict[str, tuple[str, float]] = field(default_factory=dict)
    sticky: set[str] = field(default_factory=set)
    """Snapshots whose deletion EC2 accepts and does not do: what it lists is eventually consistent at best."""

    def reset(self) -> None:
        """Restore the defaults: no lock."""
        self.__init__()  # type: ignore[misc]

    def holds(self, snapshot_id: str) -> bool:
        """Whether a lock keeps a snapshot now."""
        return snapshot_id in self.held and RULES.now_s() < self.held[snapshot_id][1]

    def state(self, snapshot_id: str) -> str:
        """The state of a snapshot's lock as EC2 has it, empty if it never had one."""
        if snapshot_id not in self.held:
            return ""
        if not self.holds(snapshot_id):
            return "expired"
        mode = self.held[snapshot_id][0]
        cools = mode == "compliance" and RULES.now_s() < self.cooling.get(snapshot_id, 0.0)
        return f"{mode}-cooloff" if cools else mode


LOCKS = Locks()


def _delete_snapshot(original: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse the deletion of a snapshot that an image uses, or that is locked.

    Source: EC2 API reference, errors overview, InvalidSnapshot.InUse ("currently in use by ami-..."), and
    LockSnapshot, "A locked snapshot can't be deleted". The code of the latter error is not documented.
    """

    def delete(self: Any, snapshot_id: str) -> Any:
        for image in list(self.amis.values()):
            used = [m["Ebs"]["SnapshotId"] for m in image.block_device_mappings if m.get("Ebs", {}).get("SnapshotId")]
            if snapshot_id in used:
                raise EC2ClientError("InvalidSnapshot.InUse", f"{snapshot_id} is currently in use by {image.id}")
        if LOCKS.holds(snapshot_id):
            raise EC2ClientError("SandboxCannotTell", f"{snapshot_id} is locked; EC2's code for it is not documented")
        return self.snapshots[snapshot_id] if snapshot_id in LOCKS.sticky else original(self, snapshot_id)

    return delete


def _lock(self: ElasticBlockStore) -> ActionResult:
    """LockSnapshot, for a number of days. Source: EC2 API reference, with its rules for a snapshot that is locked.

    It names no code for what it refuses; what the product never sends is a `SandboxCannotTell`.
    """
    names = ("SnapshotId", "LockMode", "LockDuration", "CoolOffPeriod", "ExpirationDate")
    snapshot_id, mode, days, cool_off, date = (self._get_param(name) for name in names)
    if not self.ec2_backend.snapshots.get(snapshot_id):
        raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    expires_s = RULES.now_s() + int(days or 0) * DAY_S
    if (refused := _refused_lock(snapshot_id, mode, days, cool_off, expires_s)) or date:
        raise EC2ClientError("SandboxCannotTell", f"LockSnapshot of {snapshot_id}: {refused or 'ExpirationDate'}")
    LOCKS.held[snapshot_id] = (mode, expires_s)
    LOCKS.cooling[snapshot_id] = RULES.now_s() + int(cool_off or 0) * HOUR_S
    LOCKS.asked.append((snapshot_id, mode, int(days), int(cool_off or 0)))
    return ActionResult(
        {"SnapshotId": snapshot_id, "LockState": LOCKS.state(snapshot_id), "LockDuration": int(days)}
        | {"LockCreatedOn": _time(RULES.now_s()), "LockExpiresOn": _time(expires_s)}
    )


def _refused_lock(snapshot_id: str, mode: Any, days: Any, cool_off: Any, expires_s: float) -> str:
    """Why EC2 refuses a lock, empty if it takes it."""
    if mode not in ("governance", "compliance") or not 1 <= int(days or 0) <= MAX_DAYS:
        return "LockMode is governance or compliance, LockDuration 1 to 36500 days"
    if cool_off and (mode == "governance" or not 1 <= int(cool_off) <= MAX_COOL_OFF):
        return "CoolOffPeriod is of compliance alone, 1 to 72 hours"
    if LOCKS.state(snapshot_id) == "compliance":
        longer = mode == "compliance" and expires_s > LOCKS.held[snapshot_id][1]
        return "" if longer and not cool_off else "after the cooling-off period a lock can only be extended"
    return ""


def _describe_locked(self: ElasticBlockStore) -> ActionResult:
    """DescribeLockedSnapshots by lock-state, in pages. Source: EC2 API reference."""
    states = next((f["Values"] for f in self._get_param("Filters", []) if f["Name"] == "lock-state"), None)
    found = [
        {"SnapshotId": snapshot_id, "LockState": LOCKS.state(snapshot_id), "LockExpiresOn": _time(expires_s)}
        for snapshot_id, (_, expires_s) in LOCKS.held.items()
        if states is None or LOCKS.state(snapshot_id) in states
    ]
    start = int(self._get_param("NextToken") or 0)
    end = start + min(int(self._get_param("MaxResults") or 1000), RULES.page_size)
    return ActionResult({"Snapshots": found[start:end]} | ({"NextToken": str(end)} if end < len(found) else {}))


def _filter_value(original: Callable[..., Any]) -> Callable[..., Any]:
    """Give DescribeImages the filter by snapshot, which moto lacks. Source: EC2 API reference, DescribeImages."""

    def value(self: Any, filter_name: str, method_name: str | None = None) -> Any:
        if filter_name == "block-device-mapping.snapshot-id":
            return [m["Ebs"]["SnapshotId"] for m in self.block_device_mappings if m.get("Ebs", {}).get("SnapshotId")]
        return original(self, filter_name, method_name)

    return value


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def install() -> None:
    """Put these rules into moto; calling it again changes nothing."""
    if hasattr(ElasticBlockStore, "describe_locked_snapshots"):
        return
    EBSBackend.delete_snapshot = _delete_snapshot(EBSBackend.delete_snapshot)  # type: ignore[method-assign]
    EbsImage.get_filter_value = _filter_value(EbsImage.get_filter_value)  # type: ignore[method-assign]
    ElasticBlockStore.lock_snapshot = _lock  # type: ignore[attr-defined]
    ElasticBlockStore.describe_locked_snapshots = _describe_locked  # type: ignore[attr-defined]
