"""What was kept on each day, by the records: how many recovery points, and how large their volumes are. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from quiesce.pages.calendar import Span
from quiesce.pages.words import count
from quiesce.points.record import Record

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Column:
    """A day of the chart; ``height`` and ``x`` in percent."""

    x: float
    width: float
    height: float
    words: str


@dataclass(frozen=True)
class Chart:
    """The recovery points that were kept at the end of each day."""

    columns: Sequence[Column]
    most: str
    first: str
    last: str
    points: str
    volumes: str
    change: str
    rows: Sequence[tuple[str, str, str]]


def chart(records: Sequence[Record], span: Span) -> Chart | None:
    """Return the chart, None if no run has left anything."""
    points = [record for record in records if record.snapshots and record.snapshots_at]
    if not points:
        return None
    days = [day for day in span.days if day <= span.today]
    kept = [_kept(points, day, span) for day in days]
    most = max(len(each) for each in kept) or 1
    columns = [
        Column(
            x=round(number * 100 / len(days), 3),
            width=round(78 / len(days), 3),
            height=round(len(each) / most * 100, 2),
            words=f"{day:%a} {day.day} {day:%b}: {count(len(each), 'recovery point')}",
        )
        for number, (day, each) in enumerate(zip(days, kept, strict=True))
    ]
    now, week = kept[-1], kept[max(0, len(kept) - 8)]
    more = len(now) - len(week)
    return Chart(
        columns=columns,
        most=f"{most:,}",
        first=f"{days[0].day} {days[0]:%b}",
        last="today",
        points=f"{len(now):,}",
        volumes=f"{_gib(now):,} GiB",
        change=f"{more:+,} in 7 days" if more else "as many as 7 days ago",
        rows=[
            (f"{day:%a} {day.day} {day:%b}", f"{len(each):,}", f"{_gib(each):,} GiB")
            for day, each in zip(reversed(days), reversed(kept), strict=True)
        ],
    )


def _kept(points: Sequence[Record], day: date, span: Span) -> list[Record]:
    ends = datetime.combine(day + DAY, time(), span.zone)
    return [
        point
        for point in points
        if point.snapshots_at and point.snapshots_at < ends and (point.removed_at is None or point.removed_at >= ends)
    ]


def _gib(points: Sequence[Record]) -> int:
    """Return the size of each volume once: EBS stores of its later snapshots what has changed."""
    sizes = {snapshot.volume_id: snapshot.size_gib for point in points for snapshot in point.snapshots}
    return sum(sizes.values())
