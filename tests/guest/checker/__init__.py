"""Refuse what Windows PowerShell 5.1, which runs the guest, would not do as the PowerShell that runs the tests does.

``python -m tests.guest.checker`` judges ``guest/`` and the rules themselves; it needs ``pwsh`` on the PATH.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.guest.checker.self_test import lexer_difference
from tests.guest.checker.source_rules import Finding, source_findings
from tests.guest.checker.tree import Tree, parse
from tests.guest.checker.tree_rules import tree_findings


def findings(paths: Sequence[Path]) -> Mapping[Path, list[Finding]]:
    """Judge scripts by all rules.

    Args:
        paths: PowerShell files; all are parsed in one start of ``pwsh``.

    Returns:
        What was found in each, by line; a clean script has an empty list.

    Raises:
        PowerShellMissingError: there is no ``pwsh`` on the PATH.
    """
    return {path: _findings(_read(path), tree) for path, tree in zip(paths, parse(paths), strict=True)}


def _findings(source: str, tree: Tree) -> list[Finding]:
    if tree.errors:
        return tree_findings(tree)
    return sorted(source_findings(source) + lexer_difference(source, tree) + tree_findings(tree))


def _read(path: Path) -> str:
    """Read a script as it is; a byte that is no UTF-8 becomes a character that the rule "ascii" refuses."""
    return path.read_bytes().decode("utf-8", errors="replace")
