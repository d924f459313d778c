"""The posture as one look finds it, for the command line, pages and programs: ``posture/latest.json`` of the bucket.

Its fields are explained in docs/reference/posture.md. A later version may add some.
"""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from quiesce.policy.alert import AlertLevel

POSTURE_KEY = "posture/latest.json"
Standing = Literal["behind", "waiting", "good", "no goal"]
# From the one that a person must look at first.
STANDINGS: tuple[Standing, ...] = ("behind", "waiting", "good", "no goal")
PolicyStanding = Literal["behind", "waiting", "good", "no goal", "no servers"]


class PosturePart(BaseModel):
    """The base of all parts: whoever is older than the stack still reads it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Goal(PosturePart):
    """A policy's ``alert``: how many seconds old a server's newest good recovery point may be."""

    no_good_point_for_s: int
    level: AlertLevel


class GoodPoint(PosturePart):
    """A server's newest good recovery point by one policy.

    ``at`` is when EC2 began its snapshots, which it still has; ``evidence`` what Verify read out of them, empty if it
    looked for nothing.
    """

    run_id: str
    at: datetime
    level: str
    evidence: str = ""


class ServerPosture(PosturePart):
    """How a server stands in one policy.

    ``points``: how many recovery points of the policy the table lists. ``newest``: None if none is good.
    ``age_s``: since the newest good one, or since ``first_seen`` if there was none; None if neither is known.
    ``cluster``: whose node it said to be, empty if it said nothing of one; ``through``: the node whose recovery point
    counts for it, by which ``age_s`` is then measured, empty if its own counts.
    ``lost``: newer ones that would be good, and whose snapshots EC2 no longer has.
    """

    instance_id: str
    name: str = ""
    state: str
    standing: Standing
    points: int
    newest: GoodPoint | None = None
    first_seen: datetime | None = None
    age_s: int | None = None
    cluster: str = ""
    through: str = ""
    lost: list[str] = []


class PolicyPosture(PosturePart):
    """How a policy stands: as its worst server does, or ``no servers`` where it means none.

    ``goal``: None if the policy has no ``alert``: nobody is told then. ``scheduled``: whether a schedule of it is on.
    ``oldest_age_s``: the greatest ``age_s`` of its servers, which is what they would lose now: the measured RPO.
    ``points``: of its servers, together. ``servers``: the worst first.
    """

    policy: str
    goal: Goal | None = None
    scheduled: bool
    standing: PolicyStanding
    oldest_age_s: int | None = None
    points: int
    behind: int
    servers: list[ServerPosture]


class Unprotected(PosturePart):
    """A Windows server that no policy covers, and why; ``newest_at`` is of the newest recovery point that it has."""

    instance_id: str
    name: str = ""
    state: str
    reason: str
    newest_at: datetime | None = None


class LeftOver(PosturePart):
    """Recovery points of a server and policy that are not added to any more, and why; nothing of them is removed.

    ``kind``: ``left`` (the policy no longer means the server), ``no policy`` (none of this name is in force), ``gone``
    (the server is terminated or gone).
    """

    instance_id: str
    name: str = ""
    policy: str
    kind: Literal["left", "no policy", "gone"]
    reason: str
    points: int
    newest_at: datetime


class Unproven(PosturePart):
    """A server whose newest good recovery point is not proven application-consistent, and why."""

    instance_id: str
    name: str = ""
    policy: str
    run_id: str
    at: datetime
    reason: str


class Posture(PosturePart):
    """All servers of the account and Region as one look found them.

    ``looked_at``: in UTC; all ages are as of then. ``unknown``: what the look could not know, in words: while there is
    something, ``unprotected`` and ``left`` may name servers that are covered.
    ``windows_servers``: those that are not terminated; ``covered``: those of them that a policy means.
    """

    version: Literal[1] = 1
    stack: str
    looked_at: datetime
    unknown: list[str]
    windows_servers: int
    covered: int
    policies: list[PolicyPosture]
    unprotected: list[Unprotected]
    left: list[LeftOver]
    unproven: list[Unproven]

    @property
    def behind(self) -> int:
        """How many servers are behind, each counted once for each policy."""
        return sum(policy.behind for policy in self.policies)
