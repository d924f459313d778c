"""The servers of a policy as the overview shows them: how each stands, and its calendar. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from quiesce.pages import calendar
from quiesce.pages.calendar import Cell, Span
from quiesce.pages.found import Found, PolicyFound, ServerFound
from quiesce.pages.words import LEVEL_WORDS, Mark, ago, count, moment
from quiesce.points.record import Record
from quiesce.policy.coming import coming
from quiesce.policy.zones import zone_of
from quiesce.report.standing import standing

# A page is to be read: of a large fleet the worst is shown, and the rest is counted.
MOST_SERVERS = 300
BAD, GOOD = Mark("bad", "bad", "Not good"), Mark("good", "good", "Good")


@dataclass(frozen=True)
class Stands:
    """How a server stands in a policy.

    Attributes:
        server: as the policy means it.
        policy: the policy.
        records: its runs in it, in any order.
        missed: when a run was due of which nothing is known, in UTC.
        span: the days of its calendar.
        newest_good: its newest Successful run.
        problem: what is not good; empty if all is.
        since: since when, in UTC; None if that is not known.
        run: the run that is not good; None if what is not good is that none ran.
    """

    server: ServerFound
    policy: PolicyFound
    records: Sequence[Record]
    missed: Sequence[datetime]
    span: Span
    newest_good: Record | None
    problem: str
    since: datetime | None
    run: Record | None

    @property
    def name(self) -> str:
        """The server's name, as EC2 has it now, else as its newest run knew it, else its id."""
        newest = max(self.records, key=lambda record: record.started_at, default=None)
        return self.server.name or (newest.instance_name if newest else "") or self.server.instance_id

    @property
    def passive(self) -> bool:
        """Whether its newest run was skipped, and nothing is wrong with that: another node of its cluster counts."""
        newest = max(self.records, key=lambda record: record.started_at, default=None)
        return not self.problem and newest is not None and newest.status == "Skipped"

    @property
    def weight(self) -> tuple[bool, bool, str, str]:
        """What is worst comes first."""
        failed = bool(self.problem) and (self.run is None or self.run.status == "Failed")
        return (not self.problem, not failed, self.name.casefold(), self.server.instance_id)


@dataclass(frozen=True)
class ServerRow:
    """A server in a policy's calendar."""

    name: str
    instance_id: str
    mark: Mark
    last_good: str
    last_good_at: str
    weeks: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class PolicyPart:
    """A policy's calendar: its zone, when it runs next, and its servers, the worst first."""

    name: str
    zone: str
    next_start: str
    days: Sequence[Sequence[str]]
    servers: Sequence[ServerRow]
    left_out: int
    problem: str


def stands_of(policy: PolicyFound, found: Found) -> list[Stands]:
    """Return how each server stands that a policy means now, the worst first.

    Of a policy that can't be read it is not known which those are: the servers of its newest runs are shown.
    """
    records = calendar.of_policy(found.records, policy.name)
    servers = policy.servers if policy.policy else [ServerFound(instance_id) for instance_id in records]
    span = calendar.span_of(found.now, zone_for(policy, found))
    each = [_stand(server, policy, records, span, found.now) for server in servers]
    return sorted(each, key=lambda one: one.weight)


def _stand(
    server: ServerFound, policy: PolicyFound, by_server: Mapping[str, list[Record]], span: Span, now: datetime
) -> Stands:
    records = by_server.get(server.instance_id, [])
    stood = standing(policy.name, records, [record for own in by_server.values() for record in own])
    missed = calendar.missed_times(policy, records, span, now)
    newest = stood.newest
    # A schedule that goes by without a run is not good, however good the run before it was.
    late = [at for at in missed if newest is None or at > newest.started_at]
    problem, since = stood.problem, stood.since
    if late and not problem:
        problem, since = f"{count(len(late), 'scheduled run')} did not happen: nothing is known of a run then", late[0]
    elif newest is None:
        since = late[0] if late else policy.since
    return Stands(server, policy, records, missed, span, stood.newest_good, problem, since, None if late else newest)


def zone_for(policy: PolicyFound, found: Found) -> ZoneInfo:
    """Return the zone on whose clock a policy's days begin."""
    return zone_of(policy.policy.timezone) if policy.policy else found.zone


def part_of(policy: PolicyFound, stands: Sequence[Stands], found: Found) -> PolicyPart:
    """Return a policy's calendar."""
    starts = coming(policy.policy, policy.first_starts, found.now, 1) if policy.policy and not found.paused else []
    zone = zone_for(policy, found)
    return PolicyPart(
        name=policy.name,
        zone=zone.key,
        next_start=f"{starts[0].local:%a %H:%M}" if starts else "",
        days=_day_names(calendar.span_of(found.now, zone)),
        servers=[_row(each, found) for each in stands[:MOST_SERVERS]],
        left_out=max(0, len(stands) - MOST_SERVERS),
        problem=policy.problem,
    )


def _row(stands: Stands, found: Found) -> ServerRow:
    good = stands.newest_good
    at = (good.snapshots_at or good.started_at) if good else None
    days = calendar.cells(stands.records, stands.missed, stands.span, found.whole_since, found.link)
    none = "passive node of a cluster" if stands.passive else "none is known"
    return ServerRow(
        name=stands.name,
        instance_id=stands.server.instance_id,
        mark=BAD if stands.problem else GOOD,
        last_good=f"{ago(at, found.now)}, {LEVEL_WORDS[good.consistency.level]}" if good and at else none,
        last_good_at=moment(at, stands.span.zone).utc if at else "",
        weeks=list(calendar.weeks(days)),
    )


def _day_names(span: Span) -> list[list[str]]:
    """Return the days of the heading, the first of each week with its month."""
    return [
        [f"{day.day} {day:%b}" if day.weekday() == 0 else str(day.day) for day in week]
        for week in calendar.weeks(span.days)
    ]
