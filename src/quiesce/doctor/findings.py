"""What the doctor found: one line for each thing that a backup needs, and what it means for each level."""

from collections.abc import Sequence
from typing import Literal

from quiesce.executions import Crossing

# From the least to the most: a snapshot as after a power failure, the owner's scripts, VSS by quiesce, VSS by AWS.
Level = Literal["crash", "scripts", "vss", "aws-vss"]
LEVELS: tuple[Level, ...] = ("crash", "scripts", "vss", "aws-vss")
# What each policy's setting asks for is one of these; aws-vss is AWS's own way, which vss.engine chooses.
SCRIPTS_UP: tuple[Level, ...] = ("scripts", "vss", "aws-vss")
BY_QUIESCE: tuple[Level, ...] = ("scripts", "vss")
VSS_UP: tuple[Level, ...] = ("vss", "aws-vss")
# ``note``: a person should know it, and it keeps no backup from its level.
Status = Literal["good", "bad", "note", "unknown"]
Ready = Literal["yes", "no", "not known"]
PAGE = "docs/operate/ready.md"


class Finding(Crossing):
    """One line of an examination.

    Attributes:
        check: what was looked at.
        status: ``unknown`` where nobody could say, which is never good.
        words: what is so.
        remedy: what to do, empty where there is nothing to do.
        page: where more is written.
        levels: the levels that need it.
    """

    check: str
    status: Status
    words: str
    remedy: str = ""
    page: str = ""
    levels: tuple[Level, ...] = ()


class LevelFound(Crossing):
    """Whether a server can be backed up as this; ``lacks`` and ``unknown`` are the checks that keep it from it."""

    level: Level
    ready: Ready
    lacks: list[str]
    unknown: list[str]


def good(check: str, words: str, levels: Sequence[Level] = ()) -> Finding:
    """Return a line of something that is as it must be."""
    return Finding(check=check, status="good", words=words, levels=tuple(levels))


def bad(check: str, words: str, remedy: str, anchor: str, levels: Sequence[Level]) -> Finding:
    """Return a line of something that keeps a server from these levels."""
    page = f"{PAGE}#{anchor}"
    return Finding(check=check, status="bad", words=words, remedy=remedy, page=page, levels=tuple(levels))


def note(check: str, words: str, remedy: str, anchor: str) -> Finding:
    """Return a line of something that a person should know."""
    return Finding(check=check, status="note", words=words, remedy=remedy, page=f"{PAGE}#{anchor}")


def unknown(check: str, words: str, remedy: str, anchor: str, levels: Sequence[Level] = ()) -> Finding:
    """Return a line of something of which nobody could say how it is."""
    page = f"{PAGE}#{anchor}"
    return Finding(check=check, status="unknown", words=words, remedy=remedy, page=page, levels=tuple(levels))


def levels_of(findings: Sequence[Finding]) -> list[LevelFound]:
    """Judge each level: no if a line that it needs is bad, and not known if one is unknown."""
    return [_level(level, [each for each in findings if level in each.levels]) for level in LEVELS]


def _level(level: Level, needed: Sequence[Finding]) -> LevelFound:
    lacks = [each.check for each in needed if each.status == "bad"]
    unknowns = [each.check for each in needed if each.status == "unknown"]
    ready: Ready = "no" if lacks else "not known" if unknowns or not needed else "yes"
    return LevelFound(level=level, ready=ready, lacks=lacks, unknown=unknowns)


def best_of(levels: Sequence[LevelFound]) -> Literal["", "crash", "scripts", "vss"]:
    """Return the highest level by quiesce itself that a server is ready for."""
    ready = {each.level for each in levels if each.ready == "yes"}
    if "vss" in ready:
        return "vss"
    if "scripts" in ready:
        return "scripts"
    return "crash" if "crash" in ready else ""
