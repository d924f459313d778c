"""Recovery points: what past runs left, as a recovery reads it out of their records."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from quiesce.points.parts import Consistency, Source, Volume
from quiesce.points.record import BuiltSnapshot, Revert, Status


class PointPart(BaseModel):
    """The base of all parts: a record of a later version may have more fields, and a recovery can still read it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PointVolume(Volume):
    """A volume, as a record of any version has it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PointSource(Source):
    """The server, as a record of any version has it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class PointConsistency(Consistency):
    """The consistency, as a record of any version has it."""

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
    volume_id: str = ""


class PointShadow(PointPart):
    """What VSS made in the run: these copies hold the application-consistent state, if they are good."""

    good: bool
    set_id: str = ""
    copies: list[PointCopy]


class PointBuilt(BuiltSnapshot):
    """A snapshot that the backup built, as a record of any version has it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class RecoveryPoint(PointPart):
    """What a recovery reads of a run's record, and how many of its snapshots EC2 has in the archive."""

    run_id: str
    status: Status
    reason: str = ""
    windows: str = ""
    started_at: datetime | None = None
    consistency: PointConsistency
    instance_id: str
    instance_name: str
    source: PointSource | None = None
    shadow: PointShadow | None = None
    revert: Revert = "at-recovery"
    built: list[PointBuilt] = []
    session: dict[str, Any] | None = None
    attempts: list[Any] = []
    failure: dict[str, Any] | None = None
    snapshots_at: datetime | None
    snapshots: list[PointSnapshot]
    removed_at: datetime | None = None
    removed_because: str = ""
    archived: int = 0

    @property
    def froze(self) -> bool:
        """Whether the run may have had a session on its server; of one that broke off it is not known."""
        return bool(self.session or self.attempts or self.failure)
