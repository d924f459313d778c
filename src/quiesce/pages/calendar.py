"""The calendar of a server in a policy: five weeks, a cell a day on the clock of the policy's zone. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from quiesce.pages.found import PolicyFound, RunLink
from quiesce.pages.words import Mark, count
from quiesce.points.record import Record
from quiesce.policy.coming import due_between

T = TypeVar("T")
WEEKS, DAYS_OF_WEEK = 5, 7
DAY = timedelta(days=1)
# A scheduled run's id ends with the time for which it was due.
SCHEDULED = re.compile(r"-(\d{8}T\d{6}Z)$")
# A start by hand, and what waits for a busy server, may come so much later than the time that was due.
LATE = timedelta(hours=2)

APPLICATION = Mark("good", "good", "Successful, application-consistent")
CRASH = Mark("disk", "good", "Successful, crash-consistent")
PARTIAL = Mark("part", "warn", "Partially successful")
MISSED = Mark("missed", "bad", "Due, and no run is known")
FAILED = Mark("bad", "bad", "Failed")
SKIPPED = Mark("none", "good", "Skipped: a passive node of a cluster")
# From the worst to the best; what was skipped shows only where nothing else ran.
GRADES = (FAILED, MISSED, PARTIAL, CRASH, APPLICATION, SKIPPED)
LEGEND = (APPLICATION, CRASH, PARTIAL, MISSED, FAILED, Mark("none", "calm", "No run, and none was due"))


@dataclass(frozen=True)
class Cell:
    """A day: the worst and the best of it; neither if nothing ran and nothing was due. ``words`` says all of it."""

    day: date
    worst: Mark | None
    best: Mark | None
    words: str
    link: str
    is_today: bool
    is_coming: bool


@dataclass(frozen=True)
class Span:
    """The days of the calendar, whole weeks from a Monday on, and the zone on whose clock they begin."""

    first: date
    today: date
    zone: ZoneInfo

    @property
    def days(self) -> list[date]:
        """All days, also those of this week that are still to come."""
        return [self.first + number * DAY for number in range(WEEKS * DAYS_OF_WEEK)]

    @property
    def begins(self) -> datetime:
        """When the first day begins, in UTC."""
        return datetime.combine(self.first, time(), self.zone).astimezone(UTC)


def span_of(now: datetime, zone: ZoneInfo) -> Span:
    """Return the five weeks that end with this one."""
    today = now.astimezone(zone).date()
    monday = today - today.weekday() * DAY
    return Span(monday - (WEEKS - 1) * DAYS_OF_WEEK * DAY, today, zone)


def missed_times(found: PolicyFound, records: Sequence[Record], span: Span, now: datetime) -> list[datetime]:
    """Return when a run was due of which nothing is known, in UTC: not before the policy's text was in force.

    Args:
        found: the policy.
        records: of the server in this policy.
        span: of the calendar.
        now: in UTC; what may still start is not missed.
    """
    if found.policy is None or found.since is None:
        return []
    after, late = max(span.begins, found.since), found.policy.latest + LATE
    times = [start.at for start in due_between(found.policy, found.first_starts, after, now - late)]
    ran = sorted(due_time(record) for record in records)
    return [at for at in times if not any(at - timedelta(minutes=1) <= each <= at + late for each in ran)]


def due_time(record: Record) -> datetime:
    """Return the time for which a scheduled run was due, else when it started: its day in the calendar."""
    if match := SCHEDULED.search(record.run_id):
        due = datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if timedelta() <= record.started_at - due <= DAY:
            return due
    return record.started_at


def cells(
    records: Sequence[Record], missed: Sequence[datetime], span: Span, known_since: datetime | None, link: RunLink
) -> list[Cell]:
    """Return the days of a server in a policy.

    Args:
        records: its runs in this policy, in any order.
        missed: as ``missed_times`` returns them.
        span: of the calendar.
        known_since: before that, not all runs are known; None if all are.
        link: to a run's page.
    """
    by_day: dict[date, list[Record]] = {}
    for record in records:
        by_day.setdefault(due_time(record).astimezone(span.zone).date(), []).append(record)
    lost: dict[date, int] = {}
    for at in missed:
        day = at.astimezone(span.zone).date()
        lost[day] = lost.get(day, 0) + 1
    unknown = known_since.astimezone(span.zone).date() if known_since else None
    return [
        _cell(day, by_day.get(day, []), lost.get(day, 0), span, link)
        if unknown is None or day > unknown or day in by_day
        else Cell(day, None, None, f"{_name(day)}: not looked at", "", day == span.today, is_coming=False)
        for day in span.days
    ]


def grade(record: Record) -> Mark:
    """Return what a run is worth in the calendar."""
    if record.status == "Successful":
        return APPLICATION if record.consistency.level == "application" else CRASH
    if record.status == "Skipped":
        return SKIPPED
    return PARTIAL if record.status == "PartiallySuccessful" else FAILED


def legend_of(records: Sequence[Record]) -> Sequence[Mark]:
    """Return what the marks mean, those of clusters where there are any."""
    return (*LEGEND, SKIPPED) if any(record.status == "Skipped" for record in records) else LEGEND


def _cell(day: date, records: list[Record], lost: int, span: Span, link: RunLink) -> Cell:
    records = [record for record in records if record.status != "Skipped"] or records
    marks = [grade(record) for record in records] + [MISSED] * lost
    ordered = sorted(marks, key=GRADES.index)
    is_today, is_coming = day == span.today, day > span.today
    if not ordered:
        words = "still to come" if is_coming else "no run, and none is known to have been due"
        return Cell(day, None, None, f"{_name(day)}: {words}", "", is_today, is_coming)
    worst, best = ordered[0], ordered[-1]
    run = min(records, key=lambda record: (GRADES.index(grade(record)), record.started_at), default=None)
    words = worst.word if worst == best else f"worst: {worst.word}; best: {best.word}"
    parts = [f"{_name(day)}: {words}"]
    parts += [count(len(records), "run")] if len(records) > 1 else []
    parts += [run.reason] if run and run.status != "Successful" else []
    url = link(run.instance_id, run.run_id) if run else ""
    return Cell(day, worst, best, "; ".join(parts), url, is_today, is_coming)


def _name(day: date) -> str:
    return f"{day:%a} {day.day} {day:%b}"


def weeks(days: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield the days of each week."""
    for first in range(0, len(days), DAYS_OF_WEEK):
        yield days[first : first + DAYS_OF_WEEK]


def of_policy(records: Sequence[Record], policy: str) -> Mapping[str, list[Record]]:
    """Return the runs of a policy by their server."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record.policy == policy:
            found.setdefault(record.instance_id, []).append(record)
    return found
