"""When a schedule runs: the instants that EventBridge Scheduler makes of it, and the runs that a clock change skips."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from quiesce.policy.cron import Cron

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@dataclass(frozen=True)
class Run:
    """A run of a schedule.

    Attributes:
        at: in UTC.
        moved: its own time does not exist on that day, because the clock is put forward over it: Scheduler skips it, so
            a policy runs at the end of the gap.
    """

    at: datetime
    moved: bool = False


def cron_runs(cron: Cron, zone: ZoneInfo, after: datetime) -> Iterator[Run]:
    """Yield the runs of a cron expression after an instant, ascending, each instant once, to the end of 2199.

    A time that the clock shows twice is due the first time only. Scheduler skips a time that does not exist, and a time
    that exists twice it runs once (AWS re:Post, eventbridge-scheduler-adjust-dst); which of the two AWS does not say.

    Args:
        cron: what is due on the clock of the zone.
        zone: where that clock hangs.
        after: in UTC; a run at this instant is not yielded.
    """
    last = after
    # A day earlier, because a local day may begin long before the same day in UTC.
    for day in cron.days((after.astimezone(zone) - DAY).date()):
        # A run that Scheduler makes itself wins over one that was moved to the same instant.
        runs: dict[datetime, bool] = {}
        for hour in cron.hours:
            for minute in cron.minutes:
                local = datetime.combine(day, time(hour, minute))
                exists = local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local
                at = local.replace(tzinfo=zone).astimezone(UTC) if exists else end_of_gap(local, zone)
                runs[at] = runs.get(at, True) and not exists
        for at in sorted(runs):
            if at > last:
                yield Run(at, moved=runs[at])
                last = at


def rate_runs(every: timedelta, start: datetime, after: datetime) -> Iterator[Run]:
    """Yield the runs of an interval after an instant, without end: ``start`` is the first, and a day has 24 hours."""
    count = max(0, (after - start) // every + 1)
    while True:
        yield Run(start + count * every)
        count += 1


def end_of_gap(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant at which the clock was put forward over a time that it therefore never showed."""
    # By the offset before the change the time lies behind the change, by the one after it lies before.
    late = local.replace(tzinfo=zone).astimezone(UTC)
    early = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    offset = late.astimezone(zone).utcoffset()
    while late - early > MINUTE:
        middle = early + (late - early) // MINUTE // 2 * MINUTE
        if middle.astimezone(zone).utcoffset() == offset:
            late = middle
        else:
            early = middle
    return late
