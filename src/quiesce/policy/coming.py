"""When a policy's schedules start it: what is due, and what the policy leaves out of it. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice, takewhile
from typing import NamedTuple

from quiesce.policy.policy import Policy
from quiesce.policy.schedule import Schedule
from quiesce.policy.zones import zone_of


class Start(NamedTuple):
    """A start of a schedule, at a time in UTC.

    ``moved``: clocks are put forward over its own time, and it runs at the end of the gap. ``left_out``: why nothing is
    backed up then, empty if it is.
    """

    at: datetime
    zone: str
    local: datetime
    schedule: str
    moved: bool
    left_out: str


def coming(policy: Policy, starts: Mapping[str, datetime], after: datetime, count: int) -> list[Start]:
    """Return the next starts of a policy, those among them at which it backs up nothing.

    Args:
        policy: in force.
        starts: when each interval (``every``) first ran, by its schedule's key; without one it begins at ``after``.
        after: in UTC.
        count: how many at most.
    """
    enabled = [each for each in policy.schedules if each.enabled]
    found = [start for each in enabled for start in islice(_starts(policy, each, starts, after), count)]
    return sorted(found, key=lambda start: start.at)[:count]


def due_between(policy: Policy, starts: Mapping[str, datetime], after: datetime, until: datetime) -> list[Start]:
    """Return the starts of a policy's enabled schedules in a span, without those at which it backs up nothing.

    Args:
        policy: in force.
        starts: as ``coming`` takes them; an interval without one is left out, since it is not known what was due.
        after: in UTC, not part of the span.
        until: in UTC, the end, part of the span.
    """
    known = [
        each for each in policy.schedules if each.enabled and (each.cron or each.key(policy.zone_name(each)) in starts)
    ]
    found = [
        start
        for each in known
        for start in takewhile(lambda start: start.at <= until, _starts(policy, each, starts, after))
        if not start.left_out
    ]
    return sorted(found, key=lambda start: start.at)


def _starts(policy: Policy, schedule: Schedule, starts: Mapping[str, datetime], after: datetime) -> Iterator[Start]:
    name = policy.zone_name(schedule)
    zone = zone_of(name)
    for run in schedule.runs(zone, starts.get(schedule.key(name), after), after):
        local = run.at.astimezone(zone)
        closed = (text for text, each in zip(policy.blackouts, policy.closed, strict=True) if each.covers(local))
        why = next((f"'except' has {text}" for text in closed), "")
        yield Start(run.at, name, local, schedule.words(name), run.moved, why)
