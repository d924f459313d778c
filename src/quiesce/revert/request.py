"""What is to be built, out of what, and for whom: the input of the revert machine."""

from typing import Literal

from quiesce.executions import Crossing
from quiesce.points.evidence import Verified


class RawSnapshot(Crossing):
    """A snapshot of a recovery point as EC2 made it: its volumes are as after a power failure."""

    snapshot_id: str
    volume_id: str
    device: str
    size_gib: int


class WantedCopy(Crossing):
    """A shadow copy that a volume is to be as of; ``path`` is what Windows called the volume."""

    shadow_id: str
    path: str
    volume_id: str = ""


class RevertRequest(Crossing):
    """What to build, as a recovery or a backup asks for it.

    Attributes:
        built_for: the id of the recovery or run that it is for; the same id never makes a second child.
        instance_id: the server that was backed up.
        set_id: of the shadow copies.
        snapshots: all of the recovery point: a store may lie on any of them.
        copies: all of the recovery point.
        where_possible: whether to go on where some of the volumes can't be built.
        on_failure: whether a build that failed leaves its children for another execution under the same id, until
            EBS's own timeout ends them. A child that is not what was planned is deleted in any case.
        extra_tags: for the children, besides quiesce's own.
    """

    built_for: str
    instance_id: str
    set_id: str
    snapshots: list[RawSnapshot]
    copies: list[WantedCopy]
    where_possible: bool = False
    on_failure: Literal["keep", "clean-up"] = "keep"
    extra_tags: dict[str, str] = {}


class VerifiedRun(Verified):
    """What Verify found, and what it wants the revert machine to build, if ``to_build``."""

    to_build: bool = False
    request: RevertRequest | None = None
