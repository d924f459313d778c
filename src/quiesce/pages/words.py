"""Words and times that the pages share: short, and the same everywhere."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SECONDS_OF_MINUTE = 60
LEVEL_WORDS = {"application": "application-consistent", "crash": "crash-consistent", "none": "nothing to recover"}
LEVELS = {
    "application": "Application-consistent",
    "crash": "Crash-consistent, as after a power failure",
    "none": "No recovery point",
}

# Of a run's page, by status and level; without a level for any other.
AT_REST = "A good backup: the applications were at rest, and a recovery gives them back as they were then."
HEADLINES = {
    ("Successful", "application"): AT_REST,
    ("Successful", ""): "A good backup of the disks. No application was asked to come to rest.",
    ("PartiallySuccessful", "application"): "The backup is there and application-consistent, but something around it "
    "went wrong.",
    ("PartiallySuccessful", ""): "The disks are backed up, but not the way the policy wants it.",
    ("Skipped", ""): "Nothing was backed up here, as the policy says: this is a passive node of its cluster.",
}


class Mark(NamedTuple):
    """A status as a page shows it: by the form of a sign, by a word, and last by a colour (``tone``)."""

    sign: str
    tone: str
    word: str


MARKS = {
    "Successful": Mark("good", "good", "Successful"),
    "PartiallySuccessful": Mark("part", "warn", "Partially successful"),
    "Failed": Mark("bad", "bad", "Failed"),
    "Recovered": Mark("good", "good", "Recovered"),
    "Skipped": Mark("none", "calm", "Skipped"),
    "present": Mark("good", "good", "present"),
    "absent": Mark("bad", "bad", "absent"),
    "damaged": Mark("bad", "bad", "damaged"),
    "not verifiable": Mark("ask", "warn", "not verifiable"),
    "buildable": Mark("good", "good", "buildable"),
    "not buildable": Mark("bad", "bad", "not buildable"),
    "completed": Mark("good", "good", "completed"),
    "pending": Mark("ask", "warn", "pending"),
    "error": Mark("bad", "bad", "error"),
}


def mark_of(word: str) -> Mark:
    """Return the mark of a status or a verdict; one that this release does not know is shown as a question."""
    return MARKS.get(word, Mark("ask", "warn", word))


class Moment(NamedTuple):
    """A time as a page shows it: in UTC, on the clock of a zone if that is another one, and for machines."""

    utc: str
    local: str
    iso: str


def moment(at: datetime, zone: ZoneInfo) -> Moment:
    """Write a time in UTC and on the clock of a zone."""
    own = at.astimezone(zone)
    same = own.utcoffset() == timedelta()
    day = "" if own.date() == at.date() else f"{own:%a} "
    local = "" if same else f"{day}{own:%H:%M} {zone.key}"
    return Moment(f"{at:%a %Y-%m-%d %H:%M} UTC", local, f"{at:%Y-%m-%dT%H:%M:%SZ}")


def ago(at: datetime, now: datetime) -> str:
    """Say how long ago something was, as exactly as a person wants to know."""
    passed = now - at
    if passed < MINUTE:
        return "just now"
    if passed < HOUR:
        return f"{passed // MINUTE} min ago"
    return f"{passed // HOUR} h ago" if passed < 2 * DAY else f"{passed // DAY} days ago"


def seconds(value: float) -> str:
    """Write a duration in seconds for a person."""
    if round(value * 1000) < 1000:  # noqa: PLR2004 - milliseconds of a second
        return f"{value * 1000:.0f} ms"
    if round(value, 1) < SECONDS_OF_MINUTE:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), SECONDS_OF_MINUTE)
    if minutes < SECONDS_OF_MINUTE:
        return f"{minutes} min {rest} s"
    return f"{minutes // SECONDS_OF_MINUTE} h {minutes % SECONDS_OF_MINUTE} min"


def count(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def sentence(text: str) -> str:
    """Write a record's words as a sentence: a capital letter before, one stop behind."""
    text = text.strip().rstrip(".")
    # A name, a place or an id stays as it is written.
    first = text[:1].upper() if text.split(" ")[0].isalpha() else text[:1]
    return f"{first}{text[1:]}." if text else ""


def listed(names: Iterable[str]) -> str:
    """Write names with commas, and 'and' before the last."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
