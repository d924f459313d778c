"""Evidence: are the shadow copies of a recovery point inside its snapshots? Pure decisions, each with its reason.

What could not be read never counts as absent: a fault makes a verdict ``not verifiable``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from quiesce.disks.raw import Malformed
from quiesce.disks.shadow_copies import Disk, ShadowCopy, Stores
from quiesce.disks.verdicts import Verdict
from quiesce.disks.volsnap import CopyEntry, StoreHeader

# The worst first: a contradiction before a doubt.
WORST_FIRST: tuple[Verdict, ...] = ("damaged", "absent", "not verifiable", "present")
# An unreadable store may be the missing one, and so may a damaged one.
GRAVEST_DOUBT_FIRST: tuple[Verdict, ...] = ("not verifiable", "damaged", "absent")
# How far the session's time may lie from the catalog's; it only decides which stores are read first.
CLOCK_TOLERANCE = timedelta(minutes=15)

_Claim = tuple[ShadowCopy, StoreHeader]


@dataclass(frozen=True)
class ExpectedCopy:
    """A shadow copy that the session on the server made.

    Attributes:
        disk: the name of the disk that holds the volume it is a copy of; None if unknown.
        created_at: by the server's clock, in UTC, to read the stores of that time first; None if unknown.
    """

    copy_id: UUID
    set_id: UUID
    disk: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """What was found of one expected shadow copy; ``found`` is None if no readable store has its id."""

    copy_id: UUID
    verdict: Verdict
    reason: str
    found: ShadowCopy | None = None


def worst(evidence: Iterable[Evidence]) -> Evidence | None:
    """Return the evidence that counts for a recovery point: its worst shadow copy's, None if it has none."""
    return min(evidence, key=lambda found: WORST_FIRST.index(found.verdict), default=None)


def examine(disks: Sequence[Disk], expected: Sequence[ExpectedCopy]) -> list[Evidence]:
    """Look for each expected shadow copy on all disks of a recovery point.

    Args:
        disks: all of them, also those that could not be opened: a store may lie on any.
        expected: all shadow copies of the recovery point.

    Returns:
        ``present``: a volume lists it, its store begins as it should with both ids, and both volumes are there.
        ``absent``: every volume that could list it was read and none does, or it is marked as deleted, or one of its
        two volumes is not in the recovery point. ``damaged``: it is there, but contradicts the session or the format.
        ``not verifiable``: something that could hold it could not be read.
    """
    stores = Stores(disks)
    near = [stores.read_copy(*listed) for listed in stores.listed if _is_near(listed[1], expected)]
    claims = [_claims(wanted, near) for wanted in expected]
    if all(claims):
        return [_judge_found(wanted, found) for wanted, found in zip(expected, claims, strict=True)]
    far = [stores.read_copy(*listed) for listed in stores.listed if not _is_near(listed[1], expected)]
    orphans = {store.copy_id for store in stores.read_orphans()}
    search = _Search(disks, [*near, *far], orphans, {wanted.copy_id for wanted in expected})
    return [search.judge(wanted) for wanted in expected]


def _is_near(entry: CopyEntry, expected: Sequence[ExpectedCopy]) -> bool:
    created_at = entry.created_at
    return created_at is None or any(
        wanted.created_at is None or abs(wanted.created_at - created_at) <= CLOCK_TOLERANCE for wanted in expected
    )


def _judge_found(wanted: ExpectedCopy, claims: list[_Claim]) -> Evidence:
    (copy, store), *others = claims
    if copy.entry.marked_deleted and not others:
        return Evidence(wanted.copy_id, "absent", "it is marked as deleted: Windows would not show it", copy)
    disk = copy.original.disk
    checks = {
        "more than one store has this shadow copy's id": bool(others),
        f"it is of the set {store.set_id}, not {wanted.set_id}": store.set_id != wanted.set_id,
        f"it is a copy of a volume on {disk}, not on {wanted.disk}": wanted.disk is not None and wanted.disk != disk,
        "it is not persistent: it would not outlive a restart": not store.persistent,
        f"its store is damaged: {copy.fault}": isinstance(copy.fault, Malformed),
    }
    if wrong := [words for words, holds in checks.items() if holds]:
        return Evidence(wanted.copy_id, "damaged", "; ".join(wrong), copy)
    if copy.fault:
        return Evidence(wanted.copy_id, "not verifiable", f"its store could not be read: {copy.fault}", copy)
    writers = "writers were involved" if store.writers_involved else "no writers were involved"
    return Evidence(wanted.copy_id, "present", f"it is listed, its store begins as it should, and {writers}", copy)


def _first(faults: Sequence[str]) -> str:
    """Name the first of several faults: each copy's reason has it, and all must fit into the state document."""
    return f" ({len(faults)} places): {faults[0]}" if faults[1:] else f": {faults[0]}"


def _claims(wanted: ExpectedCopy, copies: Iterable[ShadowCopy]) -> list[_Claim]:
    """Return the shadow copies whose store has the id; more than one is a contradiction."""
    return [(copy, copy.store) for copy in copies if copy.store and copy.store.copy_id == wanted.copy_id]


@dataclass(frozen=True)
class _Search:
    """All that was read after the likely stores did not hold every expected shadow copy."""

    disks: Sequence[Disk]
    copies: Sequence[ShadowCopy]
    orphans: set[UUID]
    expected: set[UUID]

    def judge(self, wanted: ExpectedCopy) -> Evidence:
        if claims := _claims(wanted, self.copies):
            return _judge_found(wanted, claims)
        verdict, reason = self._missing(wanted)
        return Evidence(wanted.copy_id, verdict, reason)

    def _missing(self, wanted: ExpectedCopy) -> tuple[Verdict, str]:
        if wanted.disk is not None and wanted.disk not in {disk.name for disk in self.disks}:
            return "absent", f"{wanted.disk}, with the volume that it is a copy of, is not in the recovery point"
        if unread := self._unread(wanted.disk):
            return "not verifiable", f"it may be in what could not be read{_first(unread)}"
        nameless = [copy for copy in self.copies if copy.store is None]
        doubts = [self._doubt(copy) for copy in nameless if wanted.disk in (None, copy.original.disk)]
        doubts.sort(key=lambda doubt: GRAVEST_DOUBT_FIRST.index(doubt[0]))
        if doubts and doubts[0][0] != "absent":
            return doubts[0]
        if wanted.copy_id in self.orphans:
            return "absent", "its storage is here, but no volume of the recovery point lists it"
        if strangers := self._strangers(wanted):
            return "damaged", f"its set holds a shadow copy with an id that the session did not record: {strangers[0]}"
        return doubts[0] if doubts else ("absent", "no volume of the recovery point lists it")

    def _unread(self, name: str | None) -> list[str]:
        """Return what could not be read of the disk with this name, or of all disks."""
        disks = [disk for disk in self.disks if name in (None, disk.name)]
        faults = [(disk.name, disk.fault) for disk in disks]
        faults += [(disk.name, volume.fault) for disk in disks for volume in disk.volumes]
        return [f"{where}: {fault}" for where, fault in faults if fault]

    def _doubt(self, copy: ShadowCopy) -> tuple[Verdict, str]:
        """Judge a listed shadow copy whose id could not be read: it may be the missing one."""
        listed = f"a shadow copy created at {copy.entry.created_at} is listed on {copy.original.disk}"
        if copy.storage is not None:
            verdict: Verdict = "damaged" if isinstance(copy.fault, Malformed) else "not verifiable"
            return verdict, f"{listed}, and its store is not readable: {copy.fault}"
        header = copy.original.header
        storage_id = header.storage_volume_id if header else None
        if storage_id in self._volume_ids():
            return "damaged", f"{listed}, and its storage is missing on volume {storage_id}"
        if unread := self._unread(None):
            return "not verifiable", f"{listed}, and its storage may be in what could not be read{_first(unread)}"
        return "absent", f"{listed}, and keeps its storage on volume {storage_id}, which is not in the recovery point"

    def _volume_ids(self) -> set[UUID]:
        volumes = [volume for disk in self.disks for volume in disk.volumes]
        return {volume.header.volume_id for volume in volumes if volume.header}

    def _strangers(self, wanted: ExpectedCopy) -> list[UUID]:
        stores = [copy.store for copy in self.copies if copy.store and copy.store.set_id == wanted.set_id]
        return [store.copy_id for store in stores if store.copy_id not in self.expected]
