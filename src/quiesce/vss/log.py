"""DiskShadow's log, read by what Windows does not translate: echoed commands, GUIDs, paths, symbols, codes and shape.

Everything else in it is in the server's language, and is only quoted.
"""

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from quiesce.vss.script import GUID, GUID_PATTERN, VOLUME
from quiesce.vss.writers import HEAD, QUOTED, Writer, read_writers

# DiskShadow echoes a script's commands after "->"; the other prompt is for commands that a person types.
PROMPT = re.compile(r"(?:->|DISKSHADOW>)(?: (.*))?")
# After a command that uses an alias, DiskShadow prints the alias and its value in this form.
EXPANSION = re.compile(rf"%\w+% = {GUID_PATTERN}")
ALIAS = re.compile(r"%(\w+)%")
DETAIL = re.compile(r"\s+- (.*)")
LABEL = re.compile(r".*?[:\uff1a=]\s*(.*)")
COUNT = re.compile(r"[^0-9]*([0-9]{1,4})[^0-9]*")
DEVICE = re.compile(r"\\\\\?\\GLOBALROOT\\Device\\\S+")
# A failed command has the code alone after a label, mostly without 0x; elsewhere it has 0x.
CODE = re.compile(r"\s+- .*?[:\uff1a=]\s*(?:0x)?(8[0-9A-Fa-f]{7})|.*\b0x(8[0-9A-Fa-f]{7})\b.*")
SYMBOL = re.compile(r"\b(?:VSS_)?E_[A-Z_]+\b")
CALL = re.compile(r'"\(\*\w+\)->(\w+)"')
STATE = re.compile(r"([0-9]+) \((VSS_WS_\w+)\)")
FAILURE_CODE = re.compile(r"0x([0-9A-Fa-f]{8})\b")


@dataclass(frozen=True)
class Step:
    """A command as DiskShadow echoed it, and what it printed before the next one, without blank lines."""

    command: str
    output: tuple[str, ...] = ()

    def begins(self, words: str) -> bool:
        """Return whether the command begins with these words, in any case."""
        wanted = words.lower().split()
        return self.command.lower().split()[: len(wanted)] == wanted


@dataclass(frozen=True)
class ShadowCopy:
    """One shadow copy as DiskShadow lists it; fields that the log lacks are empty, ids are in lower case."""

    shadow_id: str
    set_id: str
    alias: str
    volume: str
    device: str
    provider: str
    created: str  # in the server's own language, time zone and order of day and month: to show, not to parse
    attributes: frozenset[str]
    copies_in_set: int | None


@dataclass(frozen=True)
class WriterStatus:
    """A writer's state after ``create``, by its symbol, and its error code, 0 for none; None if the log is cut off."""

    name: str
    state: str | None
    failure: int | None
    symbol: str
    writer_id: str


@dataclass(frozen=True)
class Failure:
    """A command that failed: with an error code, or only with the name of the call that failed."""

    command: str
    code: int | None
    symbol: str
    call: str


@dataclass(frozen=True)
class Log:
    """What the log of one script holds; ``writers_listed`` is the number that DiskShadow itself states."""

    steps: tuple[Step, ...]
    set_ids: frozenset[str] = frozenset()
    shadow_copies: tuple[ShadowCopy, ...] = ()
    writers: tuple[Writer, ...] = ()
    statuses: tuple[WriterStatus, ...] = ()
    writers_listed: int | None = None
    failures: tuple[Failure, ...] = ()

    @property
    def incomplete(self) -> tuple[Writer, ...]:
        """The writers with dropped components, which lie wholly or partly on volumes that are not in the set.

        VSS did not freeze such a component: the part of it on the set's volumes is only crash-consistent.
        """
        return tuple(writer for writer in self.writers if writer.dropped_components)

    def position(self, words: str) -> int | None:
        """Return the index of the first step whose command begins with these words, None if there is none."""
        return next((n for n, step in enumerate(self.steps) if step.begins(words)), None)


def read_log(data: bytes) -> Log:
    """Read any log: garbage, or a log that is cut off anywhere, yields a ``Log`` with less in it."""
    steps = tuple(_steps(text_of(data).splitlines()))
    created = [line for step in steps if step.begins("create") for line in step.output]
    listed = [line for step in steps if step.begins("list writers status") for line in step.output]
    blocks = list(_blocks(created))
    return Log(
        steps,
        frozenset(guid.lower() for line in created if "VSS_SHADOW_SET" in line for guid in GUID.findall(line)),
        tuple(_shadow_copy(head, details) for head, details in blocks if details and GUID.search(head)),
        tuple(read_writers(created)),
        tuple(_status(head, details) for head, details in _blocks(listed)),
        next((int(found[1]) for line in listed[-1:] if (found := COUNT.fullmatch(line))), None),
        tuple(failure for step in steps if (failure := _failure(step))),
    )


def text_of(data: bytes) -> str:
    """Return a log as text; letters of an unknown code page may be lost, but nothing that this module looks for.

    UTF-16 shows by its byte order mark or by its zeros. In double-byte code pages a letter's second byte can equal
    a brace, a backslash or a letter, never a quote, a digit or a blank.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace")
    if 0 in data[:2]:
        return data.decode("utf-16-be" if data[0] == 0 else "utf-16-le", errors="replace")
    return data.decode("utf-8-sig", errors="replace")


def _steps(lines: Iterable[str]) -> Iterator[Step]:
    command, output = "", list[str]()
    for line in lines:
        echoed = PROMPT.fullmatch(line.rstrip())
        if echoed is None:
            output += [line] if line.strip() else []
        elif not EXPANSION.fullmatch((echoed[1] or "").strip()):
            yield Step(command, tuple(output))
            command, output = (echoed[1] or "").strip(), []
    yield Step(command, tuple(output))


def _blocks(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Split a listing into its blocks: a line with an asterisk, then lines with a dash."""
    head, details = "", list[str]()
    for line in lines:
        if (detail := DETAIL.fullmatch(line)) and head:
            details.append(detail[1])
            continue
        if head:
            yield head, details
        begun = HEAD.fullmatch(line)
        head, details = begun[1] if begun else "", []
    if head:
        yield head, details


def _shadow_copy(head: str, details: Sequence[str]) -> ShadowCopy:
    """Read a block by its order: set, number of copies, volume, time, device, two machines, provider, attributes."""
    lines = list(details)
    volume = next((n for n, line in enumerate(lines) if VOLUME.search(line)), len(lines))
    device = next((n for n, line in enumerate(lines) if DEVICE.search(line)), len(lines))
    before, after = lines[:volume], lines[device + 1 :]
    words = [line for line in after[-1:] if not GUID.search(line)]
    counts = [found for line in before if not GUID.search(line) and (found := COUNT.fullmatch(line))]
    alias = ALIAS.search(head)
    return ShadowCopy(
        shadow_id=_first(GUID, [head]).lower(),
        set_id=_first(GUID, before).lower(),
        alias=alias[1] if alias else "",
        volume=_first(VOLUME, lines[volume : volume + 1]),
        device=_first(DEVICE, lines[device : device + 1]),
        provider=_first(GUID, after).lower(),
        created=_value(lines[volume + 1]) if device == volume + 2 else "",
        attributes=frozenset(word for line in words for word in _value(line).split()),
        copies_in_set=int(counts[0][1]) if counts else None,
    )


def _status(head: str, details: Sequence[str]) -> WriterStatus:
    states = [found for line in details if (found := STATE.search(line))]
    failures = [(found, line) for line in details if (found := FAILURE_CODE.search(line))]
    symbol = SYMBOL.search(failures[0][1]) if failures else None
    return WriterStatus(
        name=(QUOTED.findall(head) or [head])[-1],
        state=states[0][2] if states else None,
        failure=int(failures[0][0][1], 16) if failures else None,
        symbol=symbol[0] if symbol else "",
        writer_id=_first(GUID, details).lower(),
    )


def _failure(step: Step) -> Failure | None:
    """Return what failed in a step; the output of a program that DiskShadow started does not count."""
    if step.begins("exec") or step.begins("list"):
        return None
    codes = [found[1] or found[2] for line in step.output if (found := CODE.fullmatch(line.rstrip()))]
    calls = [found[1] for line in step.output if (found := CALL.search(line))]
    symbols = [found[0] for line in step.output if (found := SYMBOL.search(line))]
    if not codes and not calls:
        return None
    return Failure(step.command, int(codes[0], 16) if codes else None, "".join(symbols[:1]), "".join(calls[:1]))


def _first(pattern: re.Pattern[str], lines: Iterable[str]) -> str:
    return next((match[0] for line in lines if (match := pattern.search(line))), "")


def _value(line: str) -> str:
    found = LABEL.fullmatch(line)
    return found[1].strip() if found else ""
