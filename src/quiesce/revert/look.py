"""What can be built out of a recovery point: each shadow copy judged, and the children planned."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quiesce.disks.buildable import Buildable, children, judge, work_of
from quiesce.disks.child import Child
from quiesce.disks.raw import BLOCK_BYTES
from quiesce.disks.search import Evidence
from quiesce.disks.shadow_copies import Disk, Stores
from quiesce.disks.view import View
from quiesce.disks.volsnap import CopyEntry
from quiesce.executions import Crossing
from quiesce.revert.built import LookedAt
from quiesce.revert.plan import Part, PlannedChild, PlannedView
from quiesce.revert.price import Estimate, estimate
from quiesce.revert.request import RawSnapshot, WantedCopy

# One call of the function builds so many blocks: minutes, and one list of hashes of about 900 KiB.
PART_BLOCKS = 12_000
# How many parts are built side by side: together they stay below EBS's 1,000 Puts a second in a Region.
SIDE_BY_SIDE = 5
# For one shadow copy: a state document of 256 KiB has room for hundreds.
MAX_WORDS = 300


class Looked(Crossing):
    """What can be built out of a recovery point, and what that takes.

    Attributes:
        copies: all of the recovery point.
        children: for those that can be built, and for disks whose volumes have other shadow copies.
        estimate: for all children together.
    """

    copies: list[LookedAt]
    children: list[PlannedChild]
    estimate: Estimate
    calls: dict[str, int] = {}

    @property
    def refusals(self) -> list[str]:
        """Why some volumes can't be built, or why that is not known; empty if all can."""
        return [copy.words for copy in self.copies if copy.verdict != "buildable"]


@dataclass(frozen=True)
class Parents:
    """What EC2 says of raw snapshots: which are not encrypted, and whether the account encrypts by default."""

    unencrypted: Collection[str] = ()
    encrypted_by_default: bool = False

    def must_be_copied(self, snapshot_id: str) -> bool:
        """Say whether EBS refuses the raw snapshot as a parent (EBS User Guide, encryption outcomes)."""
        return self.encrypted_by_default and snapshot_id in self.unencrypted


def _without_limit() -> None:
    """Allow any time."""


class _Copied(NamedTuple):
    view: View
    wanted: WantedCopy
    entry: CopyEntry


def look(
    disks: Sequence[Disk],
    found: Iterable[tuple[WantedCopy, Evidence]],
    snapshots: Sequence[RawSnapshot],
    parents: Parents = Parents(),
    check_time: Callable[[], None] = _without_limit,
) -> Looked:
    """Say what can be built, and plan it; no data of a volume is read for it.

    Args:
        disks: all of the recovery point, named by their raw snapshots.
        found: each shadow copy of the recovery point, with the evidence for it (``disks.search.examine``).
        snapshots: all of the recovery point.
        parents: what EC2 says of them.
        check_time: called now and then; raises ``NotRead`` if there is no time left.

    Returns:
        What could not be read is ``not known``; never an exception for what is on the disks.
    """
    stores = Stores(disks)
    judged = [(wanted, evidence, _judge(stores, evidence, check_time)) for wanted, evidence in found]
    built = {
        id(judgement.view.origin): _Copied(judgement.view, wanted, evidence.found.entry)
        for wanted, evidence, judgement in judged
        if judgement.verdict == "buildable" and judgement.view and evidence.found
    }
    made = children(disks, [copied.view for copied in built.values()]) if built else []
    planned = [_planned(child, built, snapshots, parents) for child in made]
    return Looked(
        copies=[_looked_at(*each, snapshots) for each in judged], children=planned, estimate=estimate_of(planned)
    )


def estimate_of(planned: Sequence[PlannedChild]) -> Estimate:
    """Return what building some children takes at most."""
    return estimate(
        sum(child.blocks_read for child in planned),
        sum(child.blocks_written for child in planned),
        side_by_side=max(1, min(SIDE_BY_SIDE, sum(len(child.parts) for child in planned))),
        copied_gib=sum(child.size_gib for child in planned if child.copied_first),
    )


def split(child: Child, size_bytes: int) -> list[Part]:
    """Split a child's disk into parts of about the same work; together they cover it."""
    parts, first, blocks, last = [], 0, 0, -(-size_bytes // BLOCK_BYTES)
    for candidate in child.candidates():
        if blocks == PART_BLOCKS:
            parts.append(Part(first=first, after=candidate.index, blocks=blocks))
            first, blocks = candidate.index, 0
        blocks += 1
    return [*parts, Part(first=first, after=last, blocks=blocks)]


def _judge(stores: Stores, evidence: Evidence, check_time: Callable[[], None]) -> Buildable:
    if evidence.verdict == "present" and evidence.found:
        return judge(stores, evidence.found, check_time)
    unknown = evidence.verdict == "not verifiable"
    return Buildable("not known" if unknown else "not buildable", f"it is {evidence.verdict}: {evidence.reason}")


def _looked_at(wanted: WantedCopy, evidence: Evidence, judged: Buildable, snapshots: Sequence[RawSnapshot]) -> LookedAt:
    disk = evidence.found.original.disk if evidence.found else ""
    reason = judged.reason if len(judged.reason) <= MAX_WORDS else f"{judged.reason[: MAX_WORDS - 3]}..."
    return LookedAt(
        shadow_id=wanted.shadow_id,
        path=wanted.path,
        volume_id=next((raw.volume_id for raw in snapshots if raw.snapshot_id == disk), wanted.volume_id),
        snapshot_id=disk,
        as_of=evidence.found.entry.created_at if evidence.found else None,
        verdict=judged.verdict,
        reason=reason,
        blocks_read=judged.work.read if judged.work else 0,
        blocks_written=judged.work.written if judged.work else 0,
    )


def _planned(
    child: Child, built: Mapping[int, _Copied], snapshots: Sequence[RawSnapshot], parents: Parents
) -> PlannedChild:
    first = child.views[0].volume
    raw = next(raw for raw in snapshots if raw.snapshot_id == first.disk)
    work = work_of(child)
    return PlannedChild(
        snapshot_id=raw.snapshot_id,
        volume_id=raw.volume_id,
        device=raw.device,
        size_gib=raw.size_gib,
        disks=sorted({volume.disk for view in child.views for volume in (view.volume, *view.storages)}),
        views=[_planned_view(view, built.get(id(view.origin))) for view in child.views],
        parts=split(child, first.extent.disk.size_bytes),
        blocks_read=work.read,
        blocks_written=work.written,
        copied_first=parents.must_be_copied(raw.snapshot_id),
    )


def _planned_view(view: View, copied: _Copied | None) -> PlannedView:
    planned = PlannedView(start=view.start, length=view.length)
    if copied is None:
        return planned
    _, wanted, entry = copied
    shadow = {"shadow_id": wanted.shadow_id, "store_id": str(entry.store_id), "path": wanted.path}
    return planned.model_copy(update={**shadow, "as_of": entry.created_at})
