"""Time zones by their IANA names, and what to write instead of other names."""

from difflib import get_close_matches
from functools import cache
from zoneinfo import ZoneInfo, available_timezones, reset_tzpath

from quiesce.policy.windows_zones import IANA_OF

# The zones of the package, not those of the machine, which may lack a change of law.
reset_tzpath(to=[])
# These are no places: a file of the machine's own, and rules that stand for none.
NO_ZONES = {"localtime", "posixrules", "Factory"}
INVERTED = "Etc/GMT"
LONGEST_ABBREVIATION = 5


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones() - NO_ZONES)


class UnknownZone(ValueError):
    """A name is none of IANA's time zones.

    Args:
        problem: what the name is instead.
        remedy: what to write.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem, self.remedy = problem, remedy


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of a policy.

    Args:
        name: as IANA has it, in its letters: ``Europe/Berlin``, ``UTC``.

    Raises:
        UnknownZone: there is no such zone.
    """
    if name in _names():
        return ZoneInfo(name)
    raise _unknown(name)


def zone_typed(name: str) -> ZoneInfo:
    """Return the time zone that a person typed, in letters of any case.

    Raises:
        UnknownZone: there is no such zone.
    """
    return zone_of(_by_case().get(name.casefold(), name))


def remark_on(name: str) -> str:
    """Return what a person may not expect of a time zone, or nothing."""
    if not name.startswith(f"{INVERTED}+") and not name.startswith(f"{INVERTED}-"):
        return ""
    sign, hours = ("-" if name[len(INVERTED)] == "+" else "+"), name[len(INVERTED) + 1 :]
    return f"{name} is UTC{sign}{hours}: the sign of these names is the opposite of what people expect"


@cache
def _by_case() -> dict[str, str]:
    return {zone.casefold(): zone for zone in sorted(_names())}


def _unknown(name: str) -> UnknownZone:
    by_case = {iana.casefold(): iana for iana in IANA_OF}
    windows = by_case.get(name.removesuffix("_dstoff").casefold())
    if windows:
        problem = f"{name!r} is Windows' name for a zone of many countries"
        return UnknownZone(problem, f"write {IANA_OF[windows]}, or the IANA name of your own country's zone")
    known = _by_case()
    # An abbreviation such as CEST is near to others that mean something else.
    guessed = get_close_matches(name.casefold(), known, n=1) if len(name) > LONGEST_ABBREVIATION else []
    near = known.get(name.casefold()) or next((known[found] for found in guessed), "")
    remedy = f"write {near}, if that is meant" if near else "write one such as Europe/Berlin or UTC"
    return UnknownZone(f"{name!r} is not the IANA name of a time zone", remedy)
