"""Evidence: are the shadow copies of a recovery point inside its snapshots? Pure decisions, each with its reason.

What could not be read is never taken for something that is not there: a fault makes a verdict ``not verifiable``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from quiesce.disks.raw import Malformed
from quiesce.disks.shadow_copies import Disk, ShadowCopy, Stores
from quiesce.disks.volsnap import CopyEntry, StoreHeader

Verdict = Literal["present", "absent", "damaged", "not verifiable"]
# The worst first: a contradiction before a doubt.
WORST_FIRST: tuple[Verdict, ...] = ("damaged", "absent", "not verifiable", "present")
# What nobody could read may be what is missing; what is broken may be it, too.
GRAVEST_DOUBT_FIRST: tuple[Verdict, ...] = ("not verifiable", "damaged", "absent")
# The server's clock may stand so far from ours. It only decides which stores are read first.
CLOCK_TOLERANCE = timedelta(minutes=15)

_Claim = tuple[ShadowCopy, StoreHeader]


@dataclass(frozen=True)
class ExpectedCopy:
    """A shadow copy that the session on the server made.

    Attributes:
        disk: the name of the disk with the volume that it is a copy of; None if that is not known.
        created_at: by the server's clock, in UTC; spares reading the stores of other times. None if not known.
    """

    copy_id: UUID
    set_id: UUID
    disk: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """What was found of one expected shadow copy; ``found`` is None if no store has its id."""

    copy_id: UUID
    verdict: Verdict
    reason: str
    found: ShadowCopy | None = None


def worst(evidence: Iterable[Evidence]) -> Evidence | None:
    """Return what a recovery point is worth: the worst of its shadow copies; None if it has none."""
    return min(evidence, key=lambda one: WORST_FIRST.index(one.verdict), default=None)


def examine(disks: Sequence[Disk], expected: Sequence[ExpectedCopy]) -> list[Evidence]:
    """Look for each expected shadow copy on all disks of a recovery point.

    Args:
        disks: all of them, those that could not be opened too: a store may lie on any.
        expected: all shadow copies of the recovery point.

    Returns:
        ``present``: listed, and its store begins as it should, with both ids, on volumes that are all there.
        ``absent``: every volume that could list it was read, and it is in none, or marked as deleted, or one of its
        two volumes is not in the recovery point. ``damaged``: it is there, and contradicts what was recorded or the
        format. ``not verifiable``: something that could hold it could not be read.
    """
    stores = Stores(disks)
    near = [stores.read_copy(*listed) for listed in stores.listed if _is_near(listed[1], expected)]
    claims = [_claims(one, near) for one in expected]
    if all(claims):
        return [_judge_found(one, found) for one, found in zip(expected, claims, strict=True)]
    far = [stores.read_copy(*listed) for listed in stores.listed if not _is_near(listed[1], expected)]
    orphans = {store.copy_id for store in stores.read_orphans()}
    search = _Search(disks, [*near, *far], orphans, {one.copy_id for one in expected})
    return [search.judge(one) for one in expected]


def _is_near(entry: CopyEntry, expected: Sequence[ExpectedCopy]) -> bool:
    created_at = entry.created_at
    return created_at is None or any(
        one.created_at is None or abs(one.created_at - created_at) <= CLOCK_TOLERANCE for one in expected
    )


def _judge_found(one: ExpectedCopy, claims: list[_Claim]) -> Evidence:
    (copy, store), *others = claims
    if copy.entry.marked_deleted and not others:
        return Evidence(one.copy_id, "absent", "it is marked as deleted: Windows would not show it", copy)
    disk = copy.original.disk
    checks = {
        "more than one store has this shadow copy's id": bool(others),
        f"it is of the set {store.set_id}, not {one.set_id}": store.set_id != one.set_id,
        f"it is a copy of a volume on {disk}, not on {one.disk}": one.disk is not None and one.disk != disk,
        "it is not persistent: it would not outlive a restart": not store.persistent,
        f"its store is damaged: {copy.fault}": isinstance(copy.fault, Malformed),
    }
    if wrong := [words for words, holds in checks.items() if holds]:
        return Evidence(one.copy_id, "damaged", "; ".join(wrong), copy)
    if copy.fault:
        return Evidence(one.copy_id, "not verifiable", f"its store could not be read: {copy.fault}", copy)
    writers = "writers were involved" if store.writers_involved else "no writers were involved"
    return Evidence(one.copy_id, "present", f"it is listed, its store begins as it should, and {writers}", copy)


def _first(faults: Sequence[str]) -> str:
    """Name the first of several faults: each copy says it, and all of it has to fit into the state document."""
    return f" ({len(faults)} places): {faults[0]}" if faults[1:] else f": {faults[0]}"


def _claims(one: ExpectedCopy, copies: Iterable[ShadowCopy]) -> list[_Claim]:
    """Return the shadow copies whose store has the id; more than one is a contradiction."""
    return [(copy, copy.store) for copy in copies if copy.store and copy.store.copy_id == one.copy_id]


@dataclass(frozen=True)
class _Search:
    """Everything that was read, where not every expected shadow copy was found at once."""

    disks: Sequence[Disk]
    copies: Sequence[ShadowCopy]
    orphans: set[UUID]
    expected: set[UUID]

    def judge(self, one: ExpectedCopy) -> Evidence:
        if claims := _claims(one, self.copies):
            return _judge_found(one, claims)
        verdict, reason = self._missing(one)
        return Evidence(one.copy_id, verdict, reason)

    def _missing(self, one: ExpectedCopy) -> tuple[Verdict, str]:
        if one.disk is not None and one.disk not in {disk.name for disk in self.disks}:
            return "absent", f"{one.disk}, with the volume that it is a copy of, is not in the recovery point"
        if unread := self._unread(one.disk):
            return "not verifiable", f"it may be where nothing could be read{_first(unread)}"
        nameless = [copy for copy in self.copies if copy.store is None]
        doubts = [self._doubt(copy) for copy in nameless if one.disk in (None, copy.original.disk)]
        doubts.sort(key=lambda doubt: GRAVEST_DOUBT_FIRST.index(doubt[0]))
        if doubts and doubts[0][0] != "absent":
            return doubts[0]
        if one.copy_id in self.orphans:
            return "absent", "its storage is here, but no volume of the recovery point lists it"
        if strangers := self._strangers(one):
            return "damaged", f"its set holds a shadow copy with an id that nobody recorded: {strangers[0]}"
        return doubts[0] if doubts else ("absent", "no volume of the recovery point lists it")

    def _unread(self, name: str | None) -> list[str]:
        """What could not be read of the disk with this name, or of all."""
        disks = [disk for disk in self.disks if name in (None, disk.name)]
        faults = [(disk.name, disk.fault) for disk in disks]
        faults += [(disk.name, volume.fault) for disk in disks for volume in disk.volumes]
        return [f"{where}: {fault}" for where, fault in faults if fault]

    def _doubt(self, copy: ShadowCopy) -> tuple[Verdict, str]:
        """Say what a listed shadow copy means whose id is not known: it may be the one that is missing."""
        listed = f"a shadow copy created at {copy.entry.created_at} is listed on {copy.original.disk}"
        if copy.storage is not None:
            verdict: Verdict = "damaged" if isinstance(copy.fault, Malformed) else "not verifiable"
            return verdict, f"{listed}, and its store is not readable: {copy.fault}"
        header = copy.original.header
        wanted = header.storage_volume_id if header else None
        if wanted in self._volume_ids():
            return "damaged", f"{listed}, and its storage is missing on volume {wanted}"
        if unread := self._unread(None):
            return "not verifiable", f"{listed}, and its storage may be where nothing could be read{_first(unread)}"
        return "absent", f"{listed}, and keeps its storage on volume {wanted}, which is not in the recovery point"

    def _volume_ids(self) -> set[UUID]:
        volumes = [volume for disk in self.disks for volume in disk.volumes]
        return {volume.header.volume_id for volume in volumes if volume.header}

    def _strangers(self, one: ExpectedCopy) -> list[UUID]:
        of_set = [copy.store.copy_id for copy in self.copies if copy.store and copy.store.set_id == one.set_id]
        return [copy_id for copy_id in of_set if copy_id not in self.expected]
