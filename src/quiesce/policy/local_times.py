"""Times and durations as people write them in a policy: dates and times of a zone's clock, and spans such as 90m."""

import calendar
import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from quiesce.policy.next_runs import end_of_gap

LAST_MINUTE = time(23, 59)
DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])")
HOW_TO_WRITE = "write it as 2026-12-24 or 2026-12-24 22:00, without a zone: it is in the schedule's"
UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
HOW_LONG = "a number and m, h or d, such as 90m, 6h or 1d"


def read_span(value: Any) -> timedelta:
    """Read a span such as ``90m``, ``6h`` or ``1d``, which is 24 hours.

    Raises:
        ValueError: it is another text, or none; the message says what to write.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(f"has no unit; write {value}m, {value}h or {value}d")
    match = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"must be {HOW_LONG}")
    return int(match[1]) * UNITS[match[2]]


def read_date(text: str) -> date:
    """Read ``2026-12-24``.

    Raises:
        ValueError: it has another form, or there is no such day.
    """
    match = DATE.fullmatch(text)
    if not match:
        raise ValueError(HOW_TO_WRITE)
    year, month, day = map(int, match.groups())
    if not (1970 <= year <= 2199 and 1 <= month <= 12):  # noqa: PLR2004
        raise ValueError("there is no such month; years are from 1970 to 2199")
    if not 1 <= day <= (last := calendar.monthrange(year, month)[1]):
        raise ValueError(f"there is no such day: {calendar.month_name[month]} {year} has {last} days")
    return date(year, month, day)


def local_time_text(value: Any) -> str:
    """Return a date, or a date and time, as ``2026-12-24`` or ``2026-12-24 22:00``.

    Args:
        value: a text, or what YAML makes of one: a date, or a time without a zone.

    Raises:
        ValueError: it is none, or has a zone; the message says what to write.
    """
    if isinstance(value, datetime):
        if value.tzinfo or value.second or value.microsecond:
            raise ValueError(HOW_TO_WRITE)
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise ValueError(HOW_TO_WRITE)
    day, blank, clock = value.replace("T", " ").partition(" ")
    read_date(day)
    clock = clock.removesuffix(":00") if clock.count(":") == 2 else clock  # noqa: PLR2004
    if blank and not TIME.fullmatch(clock):
        raise ValueError(HOW_TO_WRITE)
    return f"{day} {clock}".strip()


def instant_of(text: str, zone: ZoneInfo, *, ends: bool = False) -> datetime:
    """Return in UTC what ``local_time_text`` returned, by a zone's clock.

    A time that the clock skips is the end of the gap; one that it shows twice is the first.

    Args:
        text: a date alone is its first minute, or with ``ends`` its last.
        zone: where the clock hangs.
        ends: whether it is the end of a span.
    """
    day, _, clock = text.partition(" ")
    at = time.fromisoformat(clock) if clock else (LAST_MINUTE if ends else time())
    local = datetime.combine(read_date(day), at)
    instant = local.replace(tzinfo=zone).astimezone(UTC)
    return instant if instant.astimezone(zone).replace(tzinfo=None) == local else end_of_gap(local, zone)
