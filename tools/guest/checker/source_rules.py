"""What the guest's text must not contain, checked without a PowerShell.

Windows PowerShell 5.1 runs the guest, a newer one runs the tests: these rules refuse what 5.1 refuses or silently does
differently. Rules that need the syntax tree are in ``tree_rules``.
"""

import re
from typing import NamedTuple

from tools.guest.checker.lexer import CODE, COMMENT, EXPANDABLE, HERE_STRING, STRING, only

ANYTHING = CODE + STRING + EXPANDABLE + HERE_STRING + COMMENT
LINE_LENGTH = 120


class Finding(NamedTuple):
    """One place that a rule refuses."""

    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.line}: {self.rule}: {self.text}"


class SourceRule(NamedTuple):
    """A pattern that must not occur in the characters of these kinds."""

    name: str
    where: str
    pattern: str
    why: str


SOURCE_RULES = (
    SourceRule("ascii", ANYTHING, r"[^\n\x20-\x7e]", "5.1 reads a file without BOM in the ANSI code page"),
    SourceRule("line", ANYTHING, rf"[ \t]+$|^.{{{LINE_LENGTH + 1},}}$", "blank at the end of a line, or a long line"),
    SourceRule("ssm-parameter", ANYTHING, r"\{\{", "SSM would read {{ as the start of a document parameter"),
    SourceRule("here-string", HERE_STRING, r"@['\"][ \t]*$", "its lines end with LF: DiskShadow and cmd need CRLF"),
    SourceRule("requires", COMMENT, r"^\s*#requires\b", "the document puts its own lines before these"),
    SourceRule("using", CODE, r"^\s*using\s", "must be the first statement, but the document puts its own before"),
    SourceRule("exit", CODE, r"(?<![\w$.-])exit\b(?! [01]\s*(?:[;})]|$))", "only 0 or 1: 3010 reboots the server"),
    SourceRule("operator", CODE, r"&&|\|\||(?<!\$)\?", "operator of 7 (&& || ? ?? ?.), or the alias of Where-Object"),
    SourceRule("background", CODE, r"(?<!&)&\s*(?:[;})]|$)", "a job by & (6.0)"),
    SourceRule("leading-pipe", CODE, r"^\s*\|", "a line that starts with | is a syntax error in 5.1"),
    SourceRule("redirection", CODE, r">", "> writes UTF-16 in 5.1; 2> makes a program's stderr an error under Stop"),
    SourceRule(
        "number", CODE, r"(?<![\w$.:-])(?:0b[01]+|(?:0x[0-9a-f]+|[\d.]+)(?:u|ul|us|uy|s|y|n))\b", "a number of 6"
    ),
    SourceRule("escape", EXPANDABLE, r"(?<!`)(?:``)*`(?:u\{|e)", "`u{} and `e mean nothing to 5.1"),
    SourceRule(
        "variable",
        CODE + EXPANDABLE,
        r"\$\{?(?:Is(?:Windows|Linux|MacOS|CoreCLR)|PSStyle|PSNative\w+|EnabledExperimentalFeatures)\b",
        "unknown to 5.1: StrictMode throws",
    ),
    SourceRule(
        "culture",
        CODE,
        r"(?<=\s)-(?:i?(?:not)?match|i?replace|i?split|i?(?:not)?like)\b",
        "follows the server's language: -cmatch, -creplace, -csplit, -clike, or StartsWith",
    ),
)


def source_findings(source: str) -> list[Finding]:
    """Check the text of a script.

    Args:
        source: the script as in its file; a carriage return or a byte order mark is a finding.

    Returns:
        The findings, by line.
    """
    found = [
        Finding(source.count("\n", 0, match.start()) + 1, rule.name, rule.why)
        for rule in SOURCE_RULES
        for match in re.finditer(rule.pattern, only(source, rule.where), re.MULTILINE | re.IGNORECASE)
    ]
    if not source.endswith("\n"):
        found.append(Finding(source.count("\n") + 1, "line", "no line feed at the end"))
    return sorted(found)
