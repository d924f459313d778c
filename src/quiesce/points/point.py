"""Recovery points: what past runs left, as a recovery reads it, and which of them is meant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from quiesce.backup.state import Consistency, Source, Volume
from quiesce.errors import RecoveryRefused
from quiesce.recovery.input import RecoveryRequest

# As many as a message can bear.
NAMED_POINTS = 5


class PointPart(BaseModel):
    """What all parts share: a record of a later version may say more, and that is no reason not to recover."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PointVolume(Volume):
    """A volume, as a record of any version has it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PointSource(Source):
    """The server, as a record of any version has it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PointConsistency(Consistency):
    """How good it is, as a record of any version has it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PointSnapshot(PointPart):
    """One snapshot of a recovery point, with the volume it was made from, if the run knew it."""

    snapshot_id: str
    size_gib: int
    volume: PointVolume | None


class PointCopy(PointPart):
    """A shadow copy inside the snapshots."""

    path: str
    shadow_id: str


class PointShadow(PointPart):
    """What VSS made in the run: the application-consistent state lies in these copies, if they are good."""

    good: bool
    copies: list[PointCopy]


class RecoveryPoint(PointPart):
    """What a recovery reads of a run's record."""

    run_id: str
    status: Literal["Successful", "PartiallySuccessful", "Failed"]
    consistency: PointConsistency
    instance_id: str
    instance_name: str
    source: PointSource | None = None
    shadow: PointShadow | None = None
    snapshots_at: datetime | None
    snapshots: list[PointSnapshot]

    @property
    def usable(self) -> bool:
        """Whether the run left snapshots of all its volumes."""
        return self.status != "Failed" and self.snapshots_at is not None


def choose(request: RecoveryRequest, points: Sequence[RecoveryPoint]) -> RecoveryPoint:
    """Choose the recovery point that a request means, from those of the server.

    ``latest whole`` is the latest that counts as a generation; a time means the latest that is not younger.

    Raises:
        RecoveryRefused: there is none; the remedy names those there are.
    """
    if request.recovery_point is not None:
        return _named(request.recovery_point, points)
    found = sorted((p for p in points if p.usable), key=_time)
    if request.at == "latest whole":
        fitting = [point for point in found if point.status == "Successful"]
    elif (moment := request.moment) is not None:
        fitting = [point for point in found if _time(point) <= moment]
    else:
        fitting = found
    if not fitting:
        raise RecoveryRefused("at", f"{request.instance_id} has no recovery point for '{request.at}'", _known(found))
    return fitting[-1]


def _named(run_id: str, points: Sequence[RecoveryPoint]) -> RecoveryPoint:
    point = next((p for p in points if p.run_id == run_id), None)
    if point is None:
        usable = sorted((p for p in points if p.usable), key=_time)
        raise RecoveryRefused("recovery_point", f"there is no recovery point '{run_id}'", _known(usable))
    if not point.usable:
        raise RecoveryRefused("recovery_point", f"run '{run_id}' failed: its snapshots are not whole", "choose another")
    return point


def _known(points: Sequence[RecoveryPoint]) -> str:
    if not points:
        return "look at the records in the bucket (output ReadRecords of the stack): no run has left a recovery point"
    latest = [f"{p.run_id} ({_time(p):%Y-%m-%d %H:%M:%S} UTC, {p.status})" for p in points[-NAMED_POINTS:]]
    return f"choose one of the latest: {', '.join(latest)}"


def _time(point: RecoveryPoint) -> datetime:
    if point.snapshots_at is None:
        raise ValueError(f"run {point.run_id} left no snapshots: it is no recovery point")
    return point.snapshots_at
