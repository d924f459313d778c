"""What the overview is made of: whoever makes it has read this, from AWS or from elsewhere."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from quiesce.points.record import Record
from quiesce.policy.policy import Policy
from quiesce.recovery.account import Account

# Takes a server's id and a run's, and returns the link to the run's page; empty for none.
RunLink = Callable[[str, str], str]


def beside(instance_id: str, run_id: str) -> str:
    """Return the link to a run's page where overview and pages lie as they do in the bucket."""
    return f"../records/{instance_id}/{run_id}.html"


@dataclass(frozen=True)
class ServerFound:
    """A server that a policy means now; its name may be empty."""

    instance_id: str
    name: str = ""


@dataclass(frozen=True)
class PolicyFound:
    """A policy, or why its file is none.

    Attributes:
        name: the file's name without ``.yaml``.
        policy: None if there is none that can be read.
        problem: what is wrong with its file, or what it can't back up; empty if nothing is.
        servers: those that it means now.
        since: since when its text is in force, in UTC; before that it is not known what was due. None if not known.
        first_starts: when each interval (``every``) first ran, by its schedule's key.
    """

    name: str
    policy: Policy | None
    problem: str = ""
    servers: Sequence[ServerFound] = ()
    since: datetime | None = None
    first_starts: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class AlarmFound:
    """An alarm that is on."""

    name: str
    about: str
    since: datetime


@dataclass(frozen=True)
class RunningFound:
    """An execution that has not ended: ``kind`` is ``backup``, ``policy`` or ``recovery``."""

    kind: str
    name: str
    started_at: datetime


@dataclass(frozen=True)
class Unprotected:
    """A Windows server that no policy covers, and what there is to say of it."""

    instance_id: str
    name: str
    words: str = ""


@dataclass(frozen=True)
class Found:
    """What the overview shows.

    Attributes:
        stack: the stack's name.
        region: its Region.
        now: when all of this was asked, in UTC.
        zone: the stack's, for times that belong to no policy.
        policies: all of the bucket, those that can't be read among them.
        records: of the newest runs of all servers, in any order.
        whole_since: ``records`` has every run that ended since then; None if it has all there are.
        recoveries: the newest accounts, in any order.
        alarms: those that are on; None if nobody looked: the page then says so.
        running: what runs now; None if nobody looked.
        unprotected: servers without a policy; None if that is not known.
        unprotected_at: when they were looked for.
        paused: whether all schedules are paused.
        problems: what could not be read, in words.
        link: to the page of a run.
    """

    stack: str
    region: str
    now: datetime
    zone: ZoneInfo
    policies: Sequence[PolicyFound]
    records: Sequence[Record]
    whole_since: datetime | None = None
    recoveries: Sequence[Account] = ()
    alarms: Sequence[AlarmFound] | None = None
    running: Sequence[RunningFound] | None = None
    unprotected: Sequence[Unprotected] | None = None
    unprotected_at: datetime | None = None
    paused: bool = False
    problems: Sequence[str] = ()
    link: RunLink = beside
