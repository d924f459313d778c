"""EBS snapshots as on EC2, where moto differs: one point in time, pending until completed, limits, ordered failures.

`install` changes moto for the whole process: for the sandbox and for in-process tests alike.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import SimpleNamespace
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidSnapshotIdError
from moto.ec2.models import elastic_block_store as moto_ebs
from moto.ec2.models.elastic_block_store import EBSBackend
from moto.ec2.responses.elastic_block_store import ElasticBlockStore
from moto.ec2.utils import random_snapshot_id

MAX_EXCLUDED_VOLUMES = 40
MAX_PENDING_PER_VOLUME = {"st1": 1, "sc1": 1}
MAX_PENDING_PER_VOLUME_OTHERS = 5


class Fate(Enum):
    """How a snapshot ends."""

    COMPLETES = "completed"
    ERRS = "error"
    NEVER_COMPLETES = "pending"
    VANISHES = "gone"


@dataclass
class SnapshotRules:
    """The knobs of simulated EBS: one set for the process, because moto's volumes are one set too."""

    duration_s: float = 0.2
    volume_interval_s: float = 15.0
    page_size: int = 1000
    """EC2 may return fewer results than asked for, and a token for the rest."""
    hidden_lookups: int = 0
    """How many look-ups by tag miss a new snapshot: tags are eventually consistent."""
    skipped_s: float = 0.0
    fates: dict[str, Fate] = field(default_factory=dict)
    captured: list[Callable[[str, Sequence["EbsSnapshot"]], None]] = field(default_factory=list)

    def now_s(self) -> float:
        """The sandbox's clock, in seconds since 1970."""
        return time.time() + self.skipped_s

    def skip(self, seconds: float) -> None:
        """Put the sandbox's clock forward, without waiting."""
        self.skipped_s += seconds

    def order(self, volume_id: str, fate: Fate) -> None:
        """Decide how the next snapshot of a volume ends."""
        self.fates[volume_id] = fate

    def reset(self) -> None:
        """Restore the defaults, but keep the listeners."""
        self.__init__(captured=self.captured)  # type: ignore[misc]


RULES = SnapshotRules()


class EbsSnapshot(moto_ebs.Snapshot):
    """A snapshot whose state depends on the time passed, as on EBS."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.started_s = RULES.now_s()
        self.start_time = datetime.fromtimestamp(self.started_s, UTC).replace(tzinfo=None)
        self.duration_s = RULES.duration_s
        self.fate = RULES.fates.pop(self.volume_id, Fate.COMPLETES)
        self.hidden_lookups = RULES.hidden_lookups

    @property
    def elapsed(self) -> float:
        """The part of the data that EBS has copied, 0 to 1."""
        if self.duration_s <= 0:
            return 1.0
        return min(1.0, (RULES.now_s() - self.started_s) / self.duration_s)

    @property
    def status(self) -> str:
        """The state, as DescribeSnapshots names it."""
        return self.fate.value if self.elapsed >= 1 else "pending"

    @status.setter
    def status(self, _by_moto: str) -> None:
        """Ignore moto's value: the state depends on the time."""

    @property
    def state(self) -> str:
        """The state, as CreateSnapshots names it (moto leaves it out of that answer)."""
        return self.status

    @property
    def state_message(self) -> str | None:
        """StateMessage of a snapshot in error."""
        return "The snapshot failed." if self.status == "error" else None

    @property
    def progress(self) -> str:
        """The part of the data copied, in percent; a snapshot that never completes stops at 99."""
        percent = int(self.elapsed * 100)
        return f"{min(percent, 99) if self.fate is Fate.NEVER_COMPLETES else percent}%"

    @property
    def completion_time(self) -> datetime | None:
        """When the snapshot completed (UTC)."""
        return self.start_time + timedelta(seconds=self.duration_s) if self.status == "completed" else None


# A snapshot that was written by the EBS direct APIs comes from no volume.
NO_VOLUME = "vol-ffffffff"


class WrittenSnapshot(EbsSnapshot):
    """A snapshot that the EBS direct APIs write: pending until it is sealed and then completed, or cancelled."""

    def __init__(self, backend: Any, snapshot_id: str, size_gib: int, description: str, *, encrypted: bool) -> None:
        self.sealed_s: float | None = None
        self.cancelled_s = float("inf")
        volume = SimpleNamespace(id=NO_VOLUME, size=size_gib, encrypted=encrypted)
        super().__init__(backend, snapshot_id, volume, description, encrypted=encrypted)

    def seal(self, now_s: float) -> None:
        """Take no more blocks, and complete."""
        self.sealed_s = now_s

    @property
    def elapsed(self) -> float:
        """The part of the time that EBS takes to complete it, 0 until it is sealed."""
        if self.sealed_s is None:
            return 0.0
        return 1.0 if self.duration_s <= 0 else min(1.0, (RULES.now_s() - self.sealed_s) / self.duration_s)

    @property
    def status(self) -> str:
        """The state, as DescribeSnapshots names it; what was never completed in time is in error."""
        if self.sealed_s is None:
            return "error" if RULES.now_s() >= self.cancelled_s else "pending"
        return self.fate.value if self.elapsed >= 1 else "pending"

    @status.setter
    def status(self, _by_moto: str) -> None:
        """Ignore moto's value."""

    @property
    def completion_time(self) -> datetime | None:
        """When the snapshot completed (UTC)."""
        if self.sealed_s is None or self.status != "completed":
            return None
        return datetime.fromtimestamp(self.sealed_s + self.duration_s, UTC).replace(tzinfo=None)


def start_snapshot(backend: Any, size_gib: int, description: str, parent: Any) -> WrittenSnapshot:
    """Make a snapshot that waits for blocks; it is encrypted as its parent is."""
    snapshot = WrittenSnapshot(backend, random_snapshot_id(), size_gib, description, encrypted=parent.encrypted)
    snapshot.kms_key_id = snapshot.volume.kms_key_id = parent.kms_key_id or getattr(parent.volume, "kms_key_id", None)
    backend.snapshots[snapshot.id] = snapshot
    return snapshot


def included_volumes(backend: Any, specification: dict[str, Any]) -> list[str]:
    """Return the ids of the volumes that a CreateSnapshots call includes.

    Source: AWS, EC2 API reference, InstanceSpecification: "If you specify the ID of the root volume, the request
    fails", "up to 40 volume IDs per request". The codes of these errors are not documented there.

    Raises:
        EC2ClientError: EC2 refuses the call; `SandboxCannotTell` where EC2's answer is not known.
    """
    instance = backend.get_instance(specification["InstanceId"])
    excluded = set(specification.get("ExcludeDataVolumeIds", []))
    if len(excluded) > MAX_EXCLUDED_VOLUMES:
        raise EC2ClientError("InvalidParameterValue", f"At most {MAX_EXCLUDED_VOLUMES} volumes can be excluded")
    attached = {mapping.volume_id: device for device, mapping in instance.get_block_device_mapping}
    if any(attached.get(volume) == instance.root_device_name for volume in excluded):
        raise EC2ClientError("InvalidParameterValue", "The root volume cannot be in ExcludeDataVolumeIds")
    without_root = str(specification.get("ExcludeBootVolume", False)).lower() == "true"
    taken = [
        volume
        for volume, device in attached.items()
        if volume not in excluded and not (without_root and device == instance.root_device_name)
    ]
    if instance.state in {"running", "stopped"} and (excluded - attached.keys() or not taken):
        raise EC2ClientError("SandboxCannotTell", "not known: EC2's answer if it excludes foreign or all volumes")
    return taken


def refuse_by_state_and_rate(backend: Any, instance_id: str, volume_ids: Sequence[str]) -> None:
    """Refuse snapshots where EC2 refuses them.

    Source: AWS, EC2 API reference, errors overview: IncorrectInstanceState, ConcurrentSnapshotLimitExceeded,
    SnapshotCreationPerVolumeRateExceeded ("Wait at least 15 seconds between concurrent volume snapshots"); EBS quotas.
    """
    state = backend.get_instance(instance_id).state
    if state not in {"running", "stopped", "stopping"}:
        raise EC2ClientError("IncorrectInstanceState", f"The instance '{instance_id}' is in state '{state}'")
    for volume_id in volume_ids:
        earlier = [snapshot for snapshot in list(backend.snapshots.values()) if snapshot.volume_id == volume_id]
        if any(RULES.now_s() - snapshot.started_s < RULES.volume_interval_s for snapshot in earlier):
            raise EC2ClientError(
                "SnapshotCreationPerVolumeRateExceeded",
                "The maximum per volume CreateSnapshot request rate has been exceeded. "
                "Use an increasing or variable sleep interval between requests.",
            )
        limit = MAX_PENDING_PER_VOLUME.get(backend.volumes[volume_id].volume_type, MAX_PENDING_PER_VOLUME_OTHERS)
        if sum(snapshot.status != "completed" for snapshot in earlier) >= limit:
            raise EC2ClientError("ConcurrentSnapshotLimitExceeded", f"Maximum allowed in-progress snapshots: {limit}")


def _take_set(backend: Any, instance_id: str, volume_ids: Sequence[str], description: str) -> list[EbsSnapshot]:
    """Make one set with one start time; if one snapshot fails, all fail.

    Source: AWS, EC2 API reference, SnapshotInfo, "same for all snapshots initiated by the same request"; EBS user
    guide, "If any one snapshot in the multi-volume snapshot set fails, all of the other snapshots enter the `error`
    state".
    """
    snapshots = [backend.create_snapshot(volume_id, description) for volume_id in volume_ids]
    one_fails = any(snapshot.fate is Fate.ERRS for snapshot in snapshots)
    for snapshot in snapshots:
        snapshot.started_s, snapshot.start_time = snapshots[0].started_s, snapshots[0].start_time
        snapshot.fate = Fate.ERRS if one_fails else snapshot.fate
    for listener in RULES.captured:
        listener(instance_id, snapshots)
    return snapshots


def create_in_servers_name(
    backend: Any, instance_id: str, description: str, tags: dict[str, str], *, without_root: bool
) -> list[EbsSnapshot]:
    """Create the snapshots of all volumes of a server, as a program on it asks for them.

    Raises:
        EC2ClientError: EC2 refuses the call.
    """
    volume_ids = included_volumes(backend, {"InstanceId": instance_id, "ExcludeBootVolume": without_root})
    refuse_by_state_and_rate(backend, instance_id, volume_ids)
    snapshots = _take_set(backend, instance_id, volume_ids, description)
    for snapshot in snapshots:
        snapshot.add_tags(tags)
    return snapshots


def _create_snapshots(self: ElasticBlockStore) -> ActionResult:
    """CreateSnapshots, in AWS's order: parameters, DryRun, then the instance's state and the rate."""
    specification = self._get_param("InstanceSpecification", {})
    volume_ids = included_volumes(self.ec2_backend, specification)
    tags = self._parse_tag_specification("snapshot").get("snapshot", {})
    instance = self.ec2_backend.get_instance(specification["InstanceId"])
    if str(getattr(instance, "hibernation_options", None) or {}).lower().count("true"):
        raise EC2ClientError("SandboxCannotTell", "not known: how EC2 refuses a server with hibernation enabled")
    self.error_on_dryrun()
    if self._get_param("CopyTagsFromSource") or self._get_param("Location"):
        raise EC2ClientError("SandboxCannotTell", "CopyTagsFromSource and Location are not simulated")
    instance_id = specification["InstanceId"]
    refuse_by_state_and_rate(self.ec2_backend, instance_id, volume_ids)
    snapshots = _take_set(self.ec2_backend, instance_id, volume_ids, self._get_param("Description", ""))
    for snapshot in snapshots:
        snapshot.add_tags(tags)
    return ActionResult({"Snapshots": snapshots})


def _create_snapshot(
    original: Callable[[ElasticBlockStore], ActionResult],
) -> Callable[[ElasticBlockStore], ActionResult]:
    """Keep the content of a single volume, too."""

    def create(self: ElasticBlockStore) -> ActionResult:
        before = set(self.ec2_backend.snapshots)
        answer = original(self)
        made = [snapshot for key, snapshot in list(self.ec2_backend.snapshots.items()) if key not in before]
        for listener in RULES.captured:
            listener("", made)
        return answer

    return create


def _visible(snapshot: EbsSnapshot, *, by_tag: bool) -> bool:
    if snapshot.status == Fate.VANISHES.value:
        return False
    if by_tag and snapshot.hidden_lookups > 0:
        snapshot.hidden_lookups -= 1
        return False
    return True


def _describe_snapshots(original: Callable[..., list[EbsSnapshot]]) -> Callable[..., list[EbsSnapshot]]:
    """Hide vanished snapshots from look-ups, and new ones from look-ups by tag.

    Source: AWS, EC2 developer guide, eventual consistency: a resource "might not be immediately visible".
    """

    def describe(self: Any, snapshot_ids: Sequence[str] | None = None, filters: Any = None) -> list[EbsSnapshot]:
        by_tag = any(name.startswith("tag") for name in filters or {})
        found = [s for s in original(self, snapshot_ids, filters) if _visible(s, by_tag=by_tag)]
        if len(found) < len(snapshot_ids or []):
            raise InvalidSnapshotIdError
        return found

    return describe


def _describe_page(self: ElasticBlockStore) -> ActionResult:
    """DescribeSnapshots with MaxResults and NextToken, which moto ignores. Source: AWS, EC2 API reference."""
    snapshot_ids = self._get_param("SnapshotIds", [])
    size = self._get_param("MaxResults")
    if size and snapshot_ids:
        raise EC2ClientError("InvalidParameterCombination", "The parameter snapshotSet cannot be used with maxResults")
    found = self.ec2_backend.describe_snapshots(snapshot_ids=snapshot_ids, filters=self._filters_from_querystring())
    start = int(self._get_param("NextToken") or 0)
    end = start + (min(int(size), RULES.page_size) if size else len(found))
    page = {"Snapshots": found[start:end]}
    return ActionResult(page | ({"NextToken": str(end)} if end < len(found) else {}))


def install() -> None:
    """Put these rules into moto; calling it again changes nothing."""
    if moto_ebs.Snapshot is EbsSnapshot:
        return
    moto_ebs.Snapshot = EbsSnapshot  # type: ignore[misc]
    EBSBackend.describe_snapshots = _describe_snapshots(EBSBackend.describe_snapshots)  # type: ignore[assignment]
    ElasticBlockStore.create_snapshots = _create_snapshots  # type: ignore[method-assign]
    ElasticBlockStore.create_snapshot = _create_snapshot(ElasticBlockStore.create_snapshot)  # type: ignore[method-assign]
    ElasticBlockStore.describe_snapshots = _describe_page  # type: ignore[method-assign]
