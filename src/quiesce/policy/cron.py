"""Cron expressions as EventBridge Scheduler documents them: minute, hour, day of month, month, day of week, year.

What AWS's pages do not say, and implementations read differently, is refused with what to write instead.
Source: EventBridge User Guide, "Setting a schedule pattern", and Scheduler User Guide, "Schedule types".
"""

import calendar
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

FIELDS = ("minute", "hour", "day of month", "month", "day of week", "year")
BOUNDS = {"minute": (0, 59), "hour": (0, 23), "day of month": (1, 31), "month": (1, 12), "day of week": (1, 7),
          "year": (1970, 2199)}  # fmt: skip
MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
# AWS counts from Sunday.
WEEKDAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), start=1)}
NAMES: Mapping[str, Mapping[str, int]] = {"month": MONTHS, "day of week": WEEKDAYS}
SATURDAY, WEEK = 7, 7
# The day of month that every month has.
SHORTEST_MONTH = 28


class CronError(ValueError):
    """An expression that quiesce does not take; the message has the field and what to write."""


@dataclass(frozen=True)
class Cron:
    """When a cron expression is due, by the clock on the wall.

    Attributes:
        monthly: days of a month; ``L`` its last day, ``LW`` its last weekday, ``15W`` the weekday nearest to the 15th.
        weekly: days of the week from 1, Sunday; ``6L`` the last Friday of a month, ``6#3`` its third one.
            One of the two is None.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    monthly: frozenset[int] | str | None
    months: frozenset[int]
    weekly: frozenset[int] | str | None
    years: frozenset[int]

    def days(self, first: date) -> Iterator[date]:
        """Yield the days on which it is due, from ``first`` on, to the end of 2199."""
        for year in sorted(self.years):
            for month in sorted(self.months):
                if (year, month) >= (first.year, first.month):
                    yield from (day for day in sorted(self._days_of(year, month)) if day >= first)

    def _days_of(self, year: int, month: int) -> set[date]:
        last = calendar.monthrange(year, month)[1]
        days = [date(year, month, day) for day in range(1, last + 1)]
        if isinstance(self.weekly, str):
            return _week_of_month(self.weekly, days)
        if self.weekly is not None:
            return {day for day in days if _weekday(day) in self.weekly}
        if isinstance(self.monthly, str):
            return {_day_of_month(self.monthly, days)}
        return {day for day in days if day.day in (self.monthly or ())}


def read_cron(text: str) -> Cron:
    """Read an expression without the word ``cron`` around it, such as ``0 2 ? * MON-FRI *``.

    Raises:
        CronError: it is not an expression that AWS documents.
    """
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise CronError(
            f"has {len(parts)} fields, and needs {len(FIELDS)}: {', '.join(FIELDS)}. In YAML, put it in double quotes: "
            "otherwise '#' begins a comment and a comma in [ ] parts values"
        )
    given = dict(zip(FIELDS, parts, strict=True))
    monthly, weekly = given["day of month"], given["day of week"]
    if (monthly == "?") == (weekly == "?"):
        raise CronError("exactly one of day of month and day of week must be '?'; the other says which days")
    numbers = {name: _numbers(name, given[name]) for name in ("minute", "hour", "month", "year")}
    return Cron(
        minutes=tuple(sorted(numbers["minute"])),
        hours=tuple(sorted(numbers["hour"])),
        monthly=None if monthly == "?" else _monthly(monthly),
        months=numbers["month"],
        weekly=None if weekly == "?" else _weekly(weekly),
        years=numbers["year"],
    )


def _monthly(text: str) -> frozenset[int] | str:
    if text in ("L", "LW"):
        return text
    if match := re.fullmatch(r"([0-9]{1,2})W", text):
        if not 1 <= int(match[1]) <= SHORTEST_MONTH:
            raise CronError(
                f"day of month: {text}: AWS does not say what it does in a month without that day; write LW"
            )
        return text
    if re.fullmatch(r"L-[0-9]+", text):
        raise CronError(f"day of month: {text}: AWS does not document it; write L, or a day such as 28")
    if set(text) & set("LW"):
        raise CronError(f"day of month: {text}: AWS does not document L or W in a list; make a schedule of each")
    return _numbers("day of month", text)


def _weekly(text: str) -> frozenset[int] | str:
    if text == "L":
        return frozenset({SATURDAY})
    day = "|".join(WEEKDAYS)
    if match := re.fullmatch(rf"([1-7]|{day})(L|#[1-5])", text):
        return f"{WEEKDAYS.get(match[1], match[1])}{match[2]}"
    if set(text) & set("L#") - set("".join(WEEKDAYS)):
        raise CronError(f"day of week: {text}: '#' and 'L' stand behind one day: 2#1, MON#1, 6L; a schedule of each")
    if "/" in text:
        raise CronError(f"day of week: {text}: AWS knows no steps here; write the days: MON,WED,FRI")
    return _numbers("day of week", text)


def _numbers(name: str, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        found |= _part(name, part)
    return frozenset(found)


def _part(name: str, part: str) -> set[int]:
    low, high = BOUNDS[name]
    span, slash, step = part.partition("/")
    if slash and not re.fullmatch(r"[1-9][0-9]{0,3}", step):
        raise CronError(f"{name}: {part}: after '/' stands a number above 0, such as {low}/2")
    if span == "*":
        first, last = low, high
    elif "-" in span:
        first, last = (_number(name, end) for end in span.split("-", 1))
        if first > last:
            raise CronError(
                f"{name}: {part}: AWS does not document ranges that wrap; write {_unwrapped(name, first, last)}"
            )
    else:
        first = _number(name, span)
        last = high if slash else first
    return set(range(first, last + 1, int(step or 1)))


def _number(name: str, text: str) -> int:
    low, high = BOUNDS[name]
    names = NAMES.get(name, {})
    if text in names:
        return names[text]
    if text.upper() in names:
        raise CronError(f"{name}: {text}: write {text.upper()}; AWS documents capital letters")
    if not re.fullmatch(r"[0-9]{1,4}", text) or not low <= int(text) <= high:
        words = f" or {next(iter(names))} to {list(names)[-1]}" if names else ""
        raise CronError(f"{name}: {text or 'nothing'}: must be from {low} to {high}{words}")
    return int(text)


def _unwrapped(name: str, first: int, last: int) -> str:
    low, high = BOUNDS[name]
    of = {number: word for word, number in NAMES.get(name, {}).items()}
    return ",".join(str(of.get(number, number)) for number in [*range(first, high + 1), *range(low, last + 1)])


def _weekday(day: date) -> int:
    return day.isoweekday() % WEEK + 1


def _week_of_month(rule: str, days: list[date]) -> set[date]:
    """Return the days of a month that ``6L`` or ``6#3`` names: one, or none."""
    of = [day for day in days if _weekday(day) == int(rule[0])]
    if rule.endswith("L"):
        return {of[-1]}
    number = int(rule[2:])
    return {of[number - 1]} if number <= len(of) else set()


def _day_of_month(rule: str, days: list[date]) -> date:
    """Return the day that ``L``, ``LW`` or ``15W`` names; a nearest weekday is in the same month."""
    if rule == "L":
        return days[-1]
    wanted = days[-1] if rule == "LW" else days[int(rule[:-1]) - 1]
    if _weekday(wanted) == SATURDAY:
        friday = wanted - timedelta(days=1)
        return friday if friday in days else wanted + timedelta(days=2)
    if _weekday(wanted) == 1:
        monday = wanted + timedelta(days=1)
        return monday if monday in days else wanted - timedelta(days=2)
    return wanted
