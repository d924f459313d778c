"""Verify: look for the shadow copies in the snapshots, before any log is truncated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from quiesce.aws.snapshot_blocks import Allowance, SnapshotBlocks
from quiesce.aws.snapshots import describe_snapshots
from quiesce.backup.awaiting import known_snapshots
from quiesce.backup.findings import gather
from quiesce.backup.state import RunState
from quiesce.disks.raw import NotRead
from quiesce.disks.search import Evidence, ExpectedCopy, examine, worst
from quiesce.disks.shadow_copies import Disk, read_disk, unread_disk
from quiesce.points.evidence import NOTHING_TO_VERIFY, ReadSnapshot, Verified, VerifiedCopy
from quiesce.points.parts import ShadowCopy, Snapshot
from quiesce.steps.backup.entry import enter, leave
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

# For one shadow copy or snapshot: a state document of 256 KiB has room for 160 of them, besides everything else.
MAX_WORDS = 300


@dataclass(frozen=True)
class _Opened:
    """A snapshot with what was read of it; ``blocks`` is None if it could not be opened."""

    snapshot: Snapshot
    disk: Disk
    blocks: SnapshotBlocks | None


@dataclass(frozen=True)
class VerifyStep:
    """What Verify needs."""

    ec2: "EC2Client"
    ebs: "EBSClient"

    def take(self, document: dict[str, Any], remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Read the evidence out of the snapshots, if the run is good so far and has shadow copies.

        Args:
            document: the state document.
            remaining_ms: how long the function may still run.

        Returns:
            The ``Verified``, with what could not be read.

        Raises:
            AwsThrottled, AwsUnavailable: retried.
        """
        state, _ = enter("verify", document)
        verified = NOTHING_TO_VERIFY
        if gather(state).awaits_evidence:
            verified = verify(self.ec2, self.ebs, state, remaining_ms)
        blocks = {read.snapshot_id: read.blocks for read in verified.snapshots}
        logger.info("verified", verdict=verified.verdict, reason=verified.reason, blocks=blocks)
        return leave(verified)


def verify(
    ec2_client: "EC2Client", ebs_client: "EBSClient", state: RunState, remaining_ms: Callable[[], int]
) -> Verified:
    """Look for each shadow copy of a run in all of its snapshots: its store may be on any.

    A shadow copy that an unreadable snapshot may hold is `not verifiable`.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
    """
    shadow, snapshots = state.shadow, known_snapshots(state)
    if shadow is None or not shadow.copies:
        return NOTHING_TO_VERIFY
    now = {s.snapshot_id: s for s in describe_snapshots(ec2_client, [s.snapshot_id for s in snapshots])}
    allowance = Allowance(remaining_ms)
    opened = [_open(ebs_client, snapshot, now.get(snapshot.snapshot_id), allowance) for snapshot in snapshots]
    evidence = examine([each.disk for each in opened], _expected(state, shadow.copies, snapshots))
    by_id = {snapshot.snapshot_id: snapshot for snapshot in snapshots}
    copies = [_verified_copy(found, copy, by_id) for found, copy in zip(evidence, shadow.copies, strict=True)]
    decisive = copies[evidence.index(worst(evidence) or evidence[0])]
    reason = f"{decisive.path or decisive.shadow_id} {decisive.verdict}: {decisive.reason}"
    return Verified(verdict=decisive.verdict, reason=reason, copies=copies, snapshots=[_read(each) for each in opened])


def _open(client: "EBSClient", snapshot: Snapshot, now: Snapshot | None, allowance: Allowance) -> _Opened:
    try:
        _check_at_hand(now)
        blocks = SnapshotBlocks(client, snapshot.snapshot_id, allowance)
    except NotRead as fault:
        return _Opened(snapshot, unread_disk(snapshot.snapshot_id, fault), None)
    return _Opened(snapshot, read_disk(snapshot.snapshot_id, blocks.read, blocks.size_bytes), blocks)


def _check_at_hand(now: Snapshot | None) -> None:
    """Refuse a snapshot that the EBS direct APIs do not serve: their answer is undocumented and could be misread."""
    if now is None:
        raise NotRead("EC2 does not know it any more")
    if now.state != "completed":
        raise NotRead(f"it is {now.state} by now")
    if now.archived:
        raise NotRead("it is archived: its blocks can't be read")


def _expected(state: RunState, copies: Sequence[ShadowCopy], snapshots: Sequence[Snapshot]) -> list[ExpectedCopy]:
    session = state.freeze.session.shadow if state.freeze and state.freeze.session else None
    created_at = datetime.fromtimestamp(session.created_ms / 1000, UTC) if session and session.created_ms else None
    set_id = UUID(state.shadow.set_id) if state.shadow else UUID(int=0)
    disks = {snapshot.volume_id: snapshot.snapshot_id for snapshot in snapshots}
    return [ExpectedCopy(UUID(copy.shadow_id), set_id, disks.get(copy.volume_id), created_at) for copy in copies]


def _verified_copy(evidence: Evidence, copy: ShadowCopy, snapshots: Mapping[str, Snapshot]) -> VerifiedCopy:
    reason = _bounded(evidence.reason)
    verified = VerifiedCopy(shadow_id=copy.shadow_id, path=copy.path, verdict=evidence.verdict, reason=reason)
    found = evidence.found
    if found is None:
        return verified
    snapshot, created_at = snapshots[found.original.disk], found.entry.created_at
    before = (snapshot.started_at - created_at).total_seconds() if created_at else None
    storage = snapshots[found.storage.disk].volume_id if found.storage else ""
    facts = {
        "volume_id": snapshot.volume_id,
        "storage_volume_id": storage,
        "created_at": created_at,
        "before_snapshot_s": before,
        "writers_involved": found.store.writers_involved if found.store else None,
    }
    return verified.model_copy(update=facts)


def _read(opened: _Opened) -> ReadSnapshot:
    faults = [opened.disk.fault, *(volume.fault for volume in opened.disk.volumes)]
    return ReadSnapshot(
        snapshot_id=opened.snapshot.snapshot_id,
        volume_id=opened.snapshot.volume_id,
        blocks=opened.blocks.fetched if opened.blocks else 0,
        problem=_bounded("; ".join(str(fault) for fault in faults if fault)),
    )


def _bounded(words: str) -> str:
    return words if len(words) <= MAX_WORDS else f"{words[: MAX_WORDS - 3]}..."
