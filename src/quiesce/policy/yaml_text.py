"""The text of a policy: plain YAML, where each value stands in it, and the true cause of what people get wrong."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StringMark, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, NodeEvent, ScalarEvent
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from quiesce.errors import PolicyRefused
from quiesce.policy.local_times import DATE, read_date

# Deeper than any policy is nested, and far below the limit of the parser's recursion.
MAX_POLICY_DEPTH = 20
# What YAML takes for a sign of its own at the beginning of a value, as that of a cron without quotes often is.
SIGNED = re.compile(r"(?:(?P<key>[\w-]+)\s*:\s+|-\s+|[\[{,]\s*|^\s*)(?P<value>[*?@%`].*?)\s*[\]}]*\s*$")

# A value that ends with a colon, as drive letters do: YAML takes it for another key.
COLON = re.compile(r"\s*(?:- +)?(?P<key>[\w-]+):\s+(?P<value>[^\"'#\[{].*:)\s*")


@dataclass(frozen=True)
class Plain:
    """A document: what YAML makes of it, and its nodes, which know their places."""

    data: Any
    root: Node | None

    def place(self, path: Sequence[int | str]) -> str:
        """Return where a part stands, ``, line 3, column 9``, or the nearest part around it; empty for the whole."""
        if self.root is None:
            return ""
        node = self.root
        for part in path:
            inner = _inside(node, part)
            if inner is None:
                break
            node = inner
        return _place(node.start_mark) if node is not self.root else ""


def load_plain(content: bytes, where: str) -> Plain:
    """Load plain YAML; ``where`` names its place in messages.

    Raises:
        PolicyRefused: not UTF-8, not YAML, or with anchors, aliases, tags or directives; with line and column.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 text (byte {error.start})"
        raise PolicyRefused(where, problem, "save it as UTF-8 in your editor") from error
    try:
        _check_plain(text, where)
        return Plain(YAML(typ="safe", pure=True).load(text), YAML(typ="safe", pure=True).compose(text))
    except MarkedYAMLError as error:
        raise _refusal(error, text, where) from error
    except (YAMLError, ValueError) as error:
        problem = f"is not YAML: {str(error).splitlines()[0]}"
        raise PolicyRefused(where, problem, "save it as plain UTF-8 text") from error


def _check_plain(text: str, where: str) -> None:
    # Aliases can expand without end, tags can make the parser raise anything, and deep nesting exceeds its recursion.
    depth = 0
    for line, directive in enumerate(text.splitlines()):
        if directive.startswith("%"):
            problem = f"has the directive {directive.strip()[:20]!r}, which changes what values mean"
            raise PolicyRefused(f"{where}, line {line + 1}, column 1", problem, "remove the line")
        if directive.strip() and not directive.startswith("#"):
            break
    for event in YAML(typ="safe", pure=True).parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        decorated = isinstance(event, NodeEvent) and (event.anchor or getattr(event, "tag", None))
        if decorated or depth > MAX_POLICY_DEPTH:
            mark = event.start_mark
            unquoted = _unquoted(text, mark.line, mark.column, where) if isinstance(event, AliasEvent) else None
            # The name of an alias has neither.
            if unquoted and re.search(r"[ /]", text.splitlines()[mark.line][mark.column :].strip()):
                raise unquoted
            problem = "has an anchor, alias or tag" if decorated else f"is nested deeper than {MAX_POLICY_DEPTH}"
            raise PolicyRefused(f"{where}{_place(mark)}", problem, "write the value itself there")
        if isinstance(event, ScalarEvent) and event.style is None:
            _check_date(event, where)


def _check_date(event: ScalarEvent, where: str) -> None:
    """Refuse a day that does not exist, of which YAML would not say where it stands."""
    day = event.value[:10]
    if not DATE.fullmatch(day) or not re.fullmatch(r"(?:[Tt ].*)?", event.value[10:]):
        return
    try:
        read_date(day)
    except ValueError as error:
        problem = f"{event.value!r}: {error}"
        raise PolicyRefused(f"{where}{_place(event.start_mark)}", problem, "write a day that there is") from error


def _refusal(error: MarkedYAMLError, text: str, where: str) -> PolicyRefused:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return PolicyRefused(where, f"is not YAML: {error.problem}", "correct the file there")
    if unquoted := _unquoted(text, mark.line, mark.column, where):
        return unquoted
    if colon := COLON.fullmatch(text.splitlines()[mark.line] if mark.line < len(text.splitlines()) else ""):
        problem = f"has the value {colon['value']!r}, and YAML reads its colon as its own"
        return PolicyRefused(
            f"{where}{_place(mark)}", problem, f'put it in double quotes: {colon["key"]}: "{colon["value"]}"'
        )
    tab = text[mark.index : mark.index + 1] == "\t"
    remedy = "indent with spaces" if tab else "correct the file there"
    return PolicyRefused(f"{where}{_place(mark)}", f"is not YAML: {error.problem}", remedy)


def _unquoted(text: str, line: int, column: int, where: str) -> PolicyRefused | None:
    """Return the error of a value at a place that needs quotes, None if no such value stands there."""
    lines = text.splitlines()
    found = SIGNED.search(lines[line]) if line < len(lines) else None
    if not found or column < found.start("value"):
        return None
    key, value = f"{found['key']}: " if found["key"] else "", found["value"]
    problem = f"has a value that begins with {value[0]!r}, which is a sign of YAML's own"
    remedy = f'put it in double quotes: {key}"{value}"'
    return PolicyRefused(f"{where}, line {line + 1}, column {found.start('value') + 1}", problem, remedy)


def _place(mark: StringMark) -> str:
    return f", line {mark.line + 1}, column {mark.column + 1}"


def _inside(node: Node, part: int | str) -> Node | None:
    if isinstance(node, MappingNode):
        return next((value for key, value in node.value if str(key.value) == str(part)), None)
    if isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        found: Node = node.value[part]
        return found
    return None
