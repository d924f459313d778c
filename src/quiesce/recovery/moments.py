"""The time in a recovery's input, in the forms in which people write one. Pure."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from quiesce.policy.zones import UnknownZone, zone_typed

WRITTEN = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[T ]+(?P<time>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?) *(?P<zone>\S.*)?", re.IGNORECASE
)
OFFSET = re.compile(r"[+-]\d{2}:?\d{2}")
FORMS = "2026-03-14T01:30:00Z, '2026-03-14 01:30 +01:00' or '2026-03-14 01:30 Europe/Berlin'"


class Unreadable(Exception):
    """A text is no time, or not a single one.

    Args:
        problem: what is wrong with it.
        remedy: what to write instead.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


def read_moment(text: str, schedule_zone: str) -> datetime:
    """Return the moment that a person wrote, in UTC.

    Args:
        text: a date, ``T`` or a blank, a time, and a zone: ``Z``, ``UTC``, an offset or an IANA name.
        schedule_zone: IANA zone of the stack's schedule: what a person may mean who writes no zone.

    Raises:
        Unreadable: it is no time, has no zone, or a change of clocks skips it or makes it happen twice.
    """
    found = WRITTEN.fullmatch(text.strip())
    if not found:
        raise Unreadable("is no date with a time and a zone", f"write it as in {FORMS}")
    try:
        local = datetime.fromisoformat(f"{found['date']}T{found['time']}")
    except ValueError as error:
        raise Unreadable("is on no calendar or clock", f"write it as in {FORMS}") from error
    if (zone := found["zone"]) is None:
        raise Unreadable("has no zone", _meanings(local, schedule_zone))
    if zone.upper() in ("Z", "UTC"):
        return local.replace(tzinfo=UTC)
    if OFFSET.fullmatch(zone):
        return _with_offset(local, zone)
    return _in_zone(local, _zone(zone))


def _with_offset(local: datetime, offset: str) -> datetime:
    try:
        return datetime.fromisoformat(f"{local.isoformat()}{offset}").astimezone(UTC)
    except ValueError as error:
        raise Unreadable(f"has no possible offset: {offset}", f"write it as in {FORMS}") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return zone_typed(name)
    except UnknownZone as error:
        raise Unreadable(f"has an unknown zone: {error.problem}", f"{error.remedy}, or give an offset or Z") from error


def _in_zone(local: datetime, zone: ZoneInfo) -> datetime:
    """Return a local time's moment; a change of clocks may leave out an hour, or give it twice."""
    first, second = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return first
    both = f"write {_utc(min(first, second))} or {_utc(max(first, second))}"
    if first.astimezone(zone).replace(tzinfo=None) != local:
        raise Unreadable(f"is skipped by a change of clocks in {zone.key}", both)
    raise Unreadable(f"happens twice in {zone.key}, because clocks are set back", both)


def _meanings(local: datetime, schedule_zone: str) -> str:
    """Return the remedy for a time without a zone: its two likely meanings."""
    in_utc = _utc(local.replace(tzinfo=UTC))
    if schedule_zone == "UTC":
        return f"write {in_utc} if it is in UTC, as the schedule is; else add its zone, as in {FORMS}"
    zone = f"'{local:%Y-%m-%d %H:%M:%S} {schedule_zone}'"
    try:
        moment = _utc(_in_zone(local, _zone(schedule_zone)))
    except Unreadable as error:
        return f"write {in_utc} if it is in UTC; in the schedule's zone {schedule_zone} it {error.problem}"
    return f"write {in_utc} if it is in UTC, or {zone} (which is {moment}) if it is in the schedule's zone"


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
