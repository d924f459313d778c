"""What keeps a snapshot from being deleted, where moto differs: images of it, and EBS snapshot locks, which moto lacks.

`install` changes moto for the whole process, as that of `snapshots` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from sandbox.aws.images import EbsImage
from sandbox.aws.snapshots import RULES


@dataclass
class Locks:
    """Locked snapshots: their mode, and when each lock expires, in seconds since 1970."""

    held: dict[str, tuple[str, float]] = field(default_factory=dict)
    sticky: set[str] = field(default_factory=set)
    """Snapshots whose deletion EC2 accepts and does not do: what it lists is eventually consistent at best."""

    def reset(self) -> None:
        """Restore the defaults: no lock."""
        self.__init__()  # type: ignore[misc]

    def holds(self, snapshot_id: str) -> bool:
        """Whether a lock keeps a snapshot now."""
        return snapshot_id in self.held and RULES.now_s() < self.held[snapshot_id][1]


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
    """LockSnapshot for a number of days, in either mode. Source: EC2 API reference."""
    snapshot_id, mode, days = (self._get_param(name) for name in ("SnapshotId", "LockMode", "LockDuration"))
    if not self.ec2_backend.snapshots.get(snapshot_id):
        raise EC2ClientError("InvalidSnapshot.NotFound", f"The snapshot '{snapshot_id}' does not exist.")
    expires_s = RULES.now_s() + timedelta(days=int(days)).total_seconds()
    LOCKS.held[snapshot_id] = (str(mode), expires_s)
    return ActionResult({"SnapshotId": snapshot_id, "LockState": mode, "LockExpiresOn": _time(expires_s)})


def _describe_locked(self: ElasticBlockStore) -> ActionResult:
    """DescribeLockedSnapshots by lock-state, in pages. Source: EC2 API reference."""
    states = next((f["Values"] for f in self._get_param("Filters", []) if f["Name"] == "lock-state"), None)
    found = [
        {"SnapshotId": snapshot_id, "LockState": state, "LockExpiresOn": _time(expires_s)}
        for snapshot_id, (mode, expires_s) in LOCKS.held.items()
        if (state := mode if LOCKS.holds(snapshot_id) else "expired") in (states or [mode, "expired"])
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
