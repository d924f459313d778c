"""Blackouts: when a policy's schedules start nothing, in the words of ``except``."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from quiesce.policy.local_times import read_date

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
CLOCK = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9]|24:00"
FORMS = "'Sun 22:00-04:00', 'Mon-Fri 08:00-18:00', 'Sat,Sun', '12:00-13:00', '2026-12-24' or '2026-12-24 to 2027-01-02'"
MIDNIGHT = 24 * 60


@dataclass(frozen=True)
class Blackout:
    """A span that comes again, or some days of the calendar.

    Attributes:
        days: numbers of the days of the week on which it begins, Monday is 0; None on every day.
        begins, ends: minutes after midnight; it ends on the next day if ``ends`` is not after ``begins``. The end is
            not part of it.
        first, last: days of the calendar, whole; then nothing else holds.
    """

    days: frozenset[int] | None = None
    begins: int = 0
    ends: int = MIDNIGHT
    first: date | None = None
    last: date | None = None

    def covers(self, local: datetime) -> bool:
        """Say whether a time on the clock of the schedule's zone is in it."""
        if self.first and self.last:
            return self.first <= local.date() <= self.last
        minute = local.hour * 60 + local.minute
        if self.begins < self.ends:
            return self._begins_on(local) and self.begins <= minute < self.ends
        yesterday = local - timedelta(days=1)
        return (self._begins_on(local) and minute >= self.begins) or (self._begins_on(yesterday) and minute < self.ends)

    def _begins_on(self, local: datetime) -> bool:
        return self.days is None or local.weekday() in self.days


def read_blackout(text: str) -> Blackout:
    """Read one entry of ``except``.

    Raises:
        ValueError: it has none of the forms; the message shows them.
    """
    first, to, last = text.partition(" to ")
    if re.fullmatch(r"[0-9]{4}-.*", text):
        begins, ends = read_date(first.strip()), read_date((last if to else first).strip())
        if ends < begins:
            raise ValueError(f"{text!r} ends before it begins; write the earlier day first")
        return Blackout(first=begins, last=ends)
    match = re.fullmatch(rf"(?:([A-Za-z,-]+)(?: +|$))?(?:({CLOCK}) ?- ?({CLOCK}))?", text)
    if not match or not text:
        raise ValueError(f"{text!r} is no such time; write {FORMS}")
    days, begins_at, ends_at = match.groups()
    on = _days(days, text) if days else None
    if begins_at is None:
        return Blackout(on)
    minutes = _minutes(begins_at), _minutes(ends_at)
    if minutes[0] % MIDNIGHT == minutes[1] % MIDNIGHT and minutes != (0, MIDNIGHT):
        raise ValueError(f"{text!r} ends when it begins; write the days alone for whole days, such as 'Sun'")
    return Blackout(on, *minutes)


def _days(text: str, whole: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin = _day(first, whole)
        end = _day(last, whole) if dash else begin
        # Sat-Mon are three days.
        found |= {number % len(DAYS) for number in range(begin, (end if end >= begin else end + len(DAYS)) + 1)}
    return frozenset(found)


def _day(text: str, whole: str) -> int:
    names: Callable[[str], str] = str.casefold
    known = {names(day): number for number, day in enumerate(DAYS)}
    if names(text) not in known:
        raise ValueError(f"{whole!r}: {text or 'nothing'} is no day; the days are {', '.join(DAYS)}")
    return known[names(text)]


def _minutes(text: str) -> int:
    if text == "24:00":
        return MIDNIGHT
    clock = time.fromisoformat(text.zfill(5))
    return clock.hour * 60 + clock.minute
