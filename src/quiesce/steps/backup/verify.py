"""Verify: are the shadow copies in the snapshots, and can their volumes be built? Before any log is truncated."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from quiesce.aws.snapshot_blocks import Allowance
from quiesce.backup.awaiting import known_snapshots
from quiesce.backup.findings import gather
from quiesce.backup.requests import revert_request
from quiesce.backup.state import RunState
from quiesce.disks.search import Evidence, ExpectedCopy, examine, worst
from quiesce.disks.shadow_copies import Disk, Stores
from quiesce.errors import AwsThrottled, AwsUnavailable
from quiesce.points.evidence import NOTHING_TO_VERIFY, Build, ReadSnapshot, Verified, VerifiedCopy
from quiesce.points.parts import ShadowCopy, Snapshot
from quiesce.revert.request import VerifiedRun
from quiesce.revert.verified import look_at, together
from quiesce.steps.backup.entry import enter, leave
from quiesce.steps.snapshot_disks import OpenDisk, open_disks
from quiesce.telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_ebs import EBSClient
    from mypy_boto3_ec2 import EC2Client

# A reason has at most MAX_WORDS letters. Those of all entries of a list share ALL_WORDS, but each may have MIN_WORDS.
MAX_WORDS, MIN_WORDS, ALL_WORDS = 300, 100, 6_400
# For lists, bitmaps and NTFS of one volume; the function's time is the closer bound.
BUILD_CALLS = 20_000


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
        wanted = revert_request(state, verified)
        blocks = {read.snapshot_id: read.blocks for read in verified.snapshots}
        logger.info("verified", verdict=verified.verdict, reason=verified.reason, blocks=blocks)
        return leave(VerifiedRun(**dict(verified), to_build=wanted is not None, request=wanted))


def verify(
    ec2_client: "EC2Client", ebs_client: "EBSClient", state: RunState, remaining_ms: Callable[[], int]
) -> Verified:
    """Look for each shadow copy of a run in all of its snapshots: its store may be on any.

    A shadow copy that an unreadable snapshot may hold is `not verifiable`. Unless the policy's ``revert`` is ``off``,
    say then of each one that is present whether its volume can be built, as far as the time allows.

    Raises:
        AwsThrottled, AwsUnavailable: retried by the state machine.
    """
    shadow, snapshots = state.shadow, known_snapshots(state)
    if shadow is None or not shadow.copies:
        return NOTHING_TO_VERIFY
    allowance = Allowance(remaining_ms)
    opened = open_disks(ec2_client, ebs_client, [snapshot.snapshot_id for snapshot in snapshots], allowance)
    disks = [each.disk for each in opened]
    evidence = examine(disks, _expected(state, shadow.copies, snapshots))
    by_id = {snapshot.snapshot_id: snapshot for snapshot in snapshots}
    copies = [_verified_copy(found, copy, by_id) for found, copy in zip(evidence, shadow.copies, strict=True)]
    build = None
    if state.needed_plan().settings.revert != "off":
        copies = _with_builds(disks, evidence, copies, allowance)
        build = together([(copy.path or copy.shadow_id, copy.build) for copy in copies if copy.build])
    decisive = copies[evidence.index(worst(evidence) or evidence[0])]
    return Verified(
        verdict=decisive.verdict,
        reason=f"{decisive.path or decisive.shadow_id} {decisive.verdict}: {decisive.reason}",
        build=build and _in_bounds(build),
        copies=[_shortened(copy, _most_words(len(copies))) for copy in copies],
        snapshots=[_read(each, by_id[each.snapshot_id], _most_words(len(opened))) for each in opened],
    )


def _most_words(entries: int) -> int:
    """Return how many letters the reason of one of so many entries may have; the worst one's is beside them, too."""
    return max(MIN_WORDS, min(MAX_WORDS, ALL_WORDS // entries))


def _shortened(copy: VerifiedCopy, most: int) -> VerifiedCopy:
    build = copy.build and copy.build.model_copy(update={"reason": _bounded(copy.build.reason, most)})
    return copy.model_copy(update={"reason": _bounded(copy.reason, most), "build": build})


def _with_builds(
    disks: Sequence[Disk], evidence: Sequence[Evidence], copies: Sequence[VerifiedCopy], allowance: Allowance
) -> list[VerifiedCopy]:
    """Add whether each volume can be built: last, so that the evidence is there if the time does not suffice."""
    stores = Stores(disks)
    builds = []
    for found in evidence:
        allowance.renew(BUILD_CALLS)
        builds.append(_build(stores, found, allowance))
    return [copy.model_copy(update={"build": build}) for copy, build in zip(copies, builds, strict=True)]


def _build(stores: Stores, evidence: Evidence, allowance: Allowance) -> Build:
    if evidence.verdict != "present" or evidence.found is None:
        return Build(verdict="not known", reason=f"the evidence for its shadow copy is '{evidence.verdict}'")
    try:
        return _in_bounds(look_at(stores, evidence.found, allowance.check_time))
    except (AwsThrottled, AwsUnavailable) as error:
        # To look once more, from the start, could cost the evidence as well.
        return _in_bounds(Build(verdict="not known", reason=f"{type(error).__name__}: {error}"))


def _in_bounds(build: Build) -> Build:
    return build.model_copy(update={"reason": _bounded(build.reason)})


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


def _read(opened: OpenDisk, snapshot: Snapshot, most_words: int) -> ReadSnapshot:
    return ReadSnapshot(
        snapshot_id=opened.snapshot_id,
        volume_id=snapshot.volume_id,
        blocks=opened.blocks.fetched if opened.blocks else 0,
        problem=_bounded(opened.problem, most_words),
    )


def _bounded(words: str, most: int = MAX_WORDS) -> str:
    return words if len(words) <= most else f"{words[: most - 3]}..."
