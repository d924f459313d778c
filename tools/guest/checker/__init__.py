"""Refuse what Windows PowerShell 5.1, which runs the guest, does not do as the PowerShell that runs the tests.

``python -m tools.guest.checker`` checks ``guest/`` and the rules themselves; it needs ``pwsh`` on the PATH.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CalledProcessError

from tools.guest.checker.self_test import lexer_difference
from tools.guest.checker.source_rules import Finding, source_findings
from tools.guest.checker.task_rules import task_findings
from tools.guest.checker.tasks import task_definitions
from tools.guest.checker.tree import Tree, parse
from tools.guest.checker.tree_rules import tree_findings

# The guest's function whose tasks the checker checks too.
REGISTERS_TASKS = "Register-Task"


def findings(paths: Sequence[Path]) -> Mapping[Path, list[Finding]]:
    """Check scripts by all rules.

    Args:
        paths: PowerShell files; one start of ``pwsh`` parses them all.

    Returns:
        The findings in each, by line; a clean script has an empty list.

    Raises:
        PowerShellMissingError: there is no ``pwsh`` on the PATH.
    """
    return {path: _findings(path, tree) for path, tree in zip(paths, parse(paths), strict=True)}


def _findings(path: Path, tree: Tree) -> list[Finding]:
    found = tree_findings(tree)
    if tree.errors:
        return found
    source = _read(path)
    found += source_findings(source) + lexer_difference(source, tree)
    for function in tree.of_kind("FunctionDefinitionAst"):
        if function["Name"] == REGISTERS_TASKS:
            found += [finding._replace(line=function.line) for finding in _registered_task_findings(path)]
    return sorted(found)


def _registered_task_findings(guest: Path) -> list[Finding]:
    try:
        definitions = task_definitions(guest)
    except CalledProcessError:
        return [Finding(1, "task", "the guest's functions fail where they write the tasks' definitions")]
    if set(definitions) != {"session", "watchdog"}:
        return [Finding(1, "task", f"the tasks are {sorted(definitions)}, not session and watchdog")]
    return [
        *task_findings(definitions["session"], watchdog=False),
        *task_findings(definitions["watchdog"], watchdog=True),
    ]


def _read(path: Path) -> str:
    """Read a script as it is; a byte that is not UTF-8 becomes a character that the rule "ascii" refuses."""
    return path.read_bytes().decode("utf-8", errors="replace")
