"""Tell code, strings and comments of a PowerShell script apart, without a PowerShell.

A rule that looks for an operator must not find it in a comment or in the text of a log line.
"""

import re

CODE, STRING, EXPANDABLE, HERE_STRING, COMMENT = "cseh#"

# A "#" starts a comment only at the start of a token: in `a#b` it is part of the word.
_COMMENT = re.compile(r"<#.*?#>|(?<![^\s;{}()|,=&])#[^\n]*", re.DOTALL)
_HERE_STRING = re.compile(r"@(['\"])[ \t]*\n(?:.*?\n)??\1@", re.DOTALL)
_STRING = re.compile(r"'(?:[^']|'')*'")
_WHOLE = ((_COMMENT, COMMENT), (_HERE_STRING, HERE_STRING), (_STRING, STRING))


class UnfinishedScriptError(ValueError):
    """A string, or a ``$(`` within one, has no end."""


def kinds(source: str) -> str:
    """Name the kind of every character of a script.

    Args:
        source: the script, its lines ended by LF.

    Returns:
        One character for each of the source's: ``CODE``, ``STRING``, ``EXPANDABLE``, ``HERE_STRING`` or ``COMMENT``.
        The code of a ``$(...)`` within an expandable string is ``CODE``.

    Raises:
        UnfinishedScriptError: an expandable string or the code within it has no end.
    """
    return "".join(_code(source, 0, nested=False)[0])


def only(source: str, wanted: str) -> str:
    """Blank out all characters of a script but those of the kinds wanted, so that lines and columns do not change."""
    return "".join(
        character if kind in wanted or character == "\n" else " "
        for character, kind in zip(source, kinds(source), strict=True)
    )


def _code(source: str, at: int, *, nested: bool) -> tuple[list[str], int]:
    """Classify code up to the end of the script or, if nested, up to the parenthesis that closes it."""
    found: list[str] = []
    depth = 0
    while at < len(source):
        if source[at] == '"':
            part, at = _expandable(source, at)
            found += part
            continue
        whole = next(((match, kind) for pattern, kind in _WHOLE if (match := pattern.match(source, at))), None)
        if whole:
            match, kind = whole
            found += kind * len(match.group())
            at = match.end()
            continue
        if nested and source[at] == ")" and depth == 0:
            return found, at
        depth += {"(": 1, ")": -1}.get(source[at], 0)
        length = min(2 if source[at] == "`" else 1, len(source) - at)
        found += CODE * length
        at += length
    if nested:
        raise UnfinishedScriptError("no end of $( in a string")
    return found, at


def _expandable(source: str, at: int) -> tuple[list[str], int]:
    """Classify one string in double quotes, the code of its ``$(...)`` included."""
    found = [EXPANDABLE]
    at += 1
    while at < len(source):
        if source.startswith(("`", '""'), at):
            found += EXPANDABLE * len(source[at : at + 2])
            at += 2
        elif source.startswith("$(", at):
            inner, end = _code(source, at + 2, nested=True)
            found += [CODE, CODE, *inner, CODE]
            at = end + 1
        else:
            found.append(EXPANDABLE)
            at += 1
            if source[at - 1] == '"':
                return found, at
    raise UnfinishedScriptError("no end of a string")
