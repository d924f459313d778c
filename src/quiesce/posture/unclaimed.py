"""What carries the stack's tag and nobody will remove: listed weekly with its price, never removed silently.

EBS charges for the blocks of a snapshot that the one before it does not hold, and tells nobody how many those are. So a
price is two bounds: the greatest snapshot of each volume once, and all snapshots in full.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from quiesce.posture.state import LeftOver, Posture, PosturePart
from quiesce.prices import ARCHIVED_GIB_DOLLARS, STORED_GIB_DOLLARS

UNCLAIMED_KEY = "posture/unclaimed.json"
Kind = Literal["snapshots", "record", "built", "image", "points"]
KINDS: dict[Kind, str] = {
    "points": "Recovery points that no policy adds to any more",
    "snapshots": "Snapshots with our tag and without a record",
    "built": "Built snapshots that no record names",
    "image": "Images whose server is gone, and of which no recovery point is left",
    "record": "Records whose snapshots are gone",
}
# A run or a recovery that goes on may have made them.
YOUNG = timedelta(days=2)
GIB = 2**30
# Of one item, so many snapshots are named.
NAMED_IDS = 20


class Unclaimed(PosturePart):
    """One thing that nobody will remove.

    ``what``: a run's id or an image's. ``snapshots``: the first 20. ``gib``: all of them in full.
    ``dollars_at_least``, ``dollars_at_most``: for a month.
    """

    kind: Kind
    what: str = ""
    instance_id: str = ""
    policy: str = ""
    reason: str
    count: int
    gib: float = 0.0
    dollars_at_least: float = 0.0
    dollars_at_most: float = 0.0
    snapshots: list[str] = []


class UnclaimedList(PosturePart):
    """The weekly list; ``unknown`` says what could not be looked at, ``looked_at`` is in UTC."""

    version: Literal[1] = 1
    stack: str
    looked_at: datetime
    unknown: list[str]
    items: list[Unclaimed]


@dataclass(frozen=True)
class Stored:
    """A snapshot with the stack's tag, as EC2 describes it; ``size`` is in bytes: of its blocks, or of its volume."""

    snapshot_id: str
    volume_id: str
    instance_id: str
    run_id: str
    built_for: str
    started_at: datetime
    size: int
    archived: bool = False

    @property
    def dollars(self) -> float:
        """What it would cost for a month if it shared no block with another one."""
        return self.size / GIB * (ARCHIVED_GIB_DOLLARS if self.archived else STORED_GIB_DOLLARS)


@dataclass(frozen=True)
class Image:
    """An image with the stack's tag, and the snapshots that it holds."""

    image_id: str
    instance_id: str
    snapshots: tuple[str, ...]


@dataclass(frozen=True)
class Owner:
    """The recovery point that names a snapshot in its record."""

    instance_id: str
    policy: str
    run_id: str


@dataclass
class _Sum:
    count: int = 0
    bytes: int = 0
    dollars: float = 0.0
    greatest: dict[str, float] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)

    def add(self, stored: Stored) -> None:
        self.count += 1
        self.bytes += stored.size
        self.dollars += stored.dollars
        self.greatest[stored.volume_id] = max(self.greatest.get(stored.volume_id, 0.0), stored.dollars)
        if len(self.ids) < NAMED_IDS:
            self.ids.append(stored.snapshot_id)

    def item(self, kind: Kind, reason: str, *, what: str = "", instance_id: str = "", policy: str = "") -> Unclaimed:
        return Unclaimed(
            kind=kind,
            what=what,
            instance_id=instance_id,
            policy=policy,
            reason=reason,
            count=self.count,
            gib=round(self.bytes / GIB, 1),
            dollars_at_least=round(sum(self.greatest.values()), 2),
            dollars_at_most=round(self.dollars, 2),
            snapshots=self.ids,
        )


@dataclass
class Ledger:
    """Sums up snapshots one by one, since a large account has a million of them.

    Attributes:
        owners: the recovery points that name a snapshot in their records, by its id; what is added is taken out of it.
        images: those with the stack's tag, by the ids of their snapshots.
        now: in UTC.
    """

    owners: dict[str, Owner]
    images: Mapping[str, Image]
    now: datetime
    _points: dict[tuple[str, str], _Sum] = field(default_factory=dict)
    _runs: dict[tuple[str, str], _Sum] = field(default_factory=dict)
    _built: dict[tuple[str, str], _Sum] = field(default_factory=dict)
    _images: dict[str, _Sum] = field(default_factory=dict)

    def add(self, stored: Stored) -> None:
        """Count one snapshot."""
        owner = self.owners.pop(stored.snapshot_id, None)
        if owner:
            self._points.setdefault((owner.instance_id, owner.policy), _Sum()).add(stored)
        elif image := self.images.get(stored.snapshot_id):
            self._images.setdefault(image.image_id, _Sum()).add(stored)
        elif stored.started_at <= self.now - YOUNG:
            built = self._built if stored.built_for else self._runs
            built.setdefault((stored.instance_id, stored.built_for or stored.run_id), _Sum()).add(stored)

    @property
    def without_record(self) -> list[tuple[str, str]]:
        """The servers and runs of snapshots that no listed record names: the table may know more of these runs."""
        return sorted(self._runs)

    def items(
        self, posture: Posture, recorded: Iterable[tuple[str, str]], missing: Iterable[str], gone: Iterable[str]
    ) -> list[Unclaimed]:
        """Return what nobody will remove, the dearest first.

        Args:
            posture: of the same look.
            recorded: those of ``without_record`` that have a record, and are only not listed yet.
            missing: snapshots that records name, and EC2 no longer has.
            gone: the servers that have neither an instance nor a recovery point any more.
        """
        known, lost = {*recorded}, {*gone}
        found = [self._left(each) for each in posture.left]
        found += [
            each.item("snapshots", "no record names them", what=run_id, instance_id=instance_id)
            for (instance_id, run_id), each in self._runs.items()
            if (instance_id, run_id) not in known
        ]
        found += [
            each.item("built", "no record names them", what=built_for, instance_id=instance_id)
            for (instance_id, built_for), each in self._built.items()
        ]
        found += [
            self._images.get(image.image_id, _Sum()).item(
                "image", "its server is gone", what=image.image_id, instance_id=image.instance_id
            )
            for image in {each.image_id: each for each in self.images.values()}.values()
            if image.instance_id in lost
        ]
        found += _records(self.owners, missing)
        return sorted(found, key=lambda each: (-each.dollars_at_most, each.kind, each.instance_id, each.what))

    def _left(self, left: LeftOver) -> Unclaimed:
        found = self._points.get((left.instance_id, left.policy), _Sum())
        return found.item("points", left.reason, instance_id=left.instance_id, policy=left.policy)


def _records(owners: Mapping[str, Owner], missing: Iterable[str]) -> list[Unclaimed]:
    found: dict[Owner, list[str]] = {}
    for snapshot_id in missing:
        found.setdefault(owners[snapshot_id], []).append(snapshot_id)
    return [
        Unclaimed(
            kind="record",
            what=owner.run_id,
            instance_id=owner.instance_id,
            policy=owner.policy,
            reason=f"EC2 no longer has {len(ids)} of its snapshots: others than quiesce have deleted them",
            count=len(ids),
            snapshots=ids[:NAMED_IDS],
        )
        for owner, ids in found.items()
    ]
