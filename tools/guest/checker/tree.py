"""Syntax trees of PowerShell scripts, parsed by a PowerShell on the PATH."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.guest.checker.powershell import run_script

PARSE = Path(__file__).with_name("parse.ps1")


@dataclass(eq=False, repr=False)
class Node:
    """One node of a syntax tree: ``kind`` is its class in System.Management.Automation.Language."""

    kind: str
    line: int
    text: str
    properties: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """Return the property of the Ast class, ``None`` if it is null: a string, bool, int, node or list of nodes."""
        return self.properties.get(name)


@dataclass(frozen=True)
class Tree:
    """A parsed script: its nodes; its tokens by kind, start and end; the lines and texts of the parser's errors."""

    nodes: Sequence[Node]
    tokens: Sequence[tuple[str, int, int]]
    errors: Sequence[tuple[int, str]]

    def of_kind(self, *kinds: str) -> list[Node]:
        """Return the nodes of these kinds, in the script's order."""
        return [node for node in self.nodes if node.kind in kinds]


def parse(paths: Sequence[Path]) -> list[Tree]:
    """Parse scripts with one start of PowerShell.

    Raises:
        PowerShellMissingError: there is no ``pwsh`` on the PATH.
        CalledProcessError: the parser's script failed.
    """
    return [_tree(script) for script in json.loads(run_script(PARSE, *paths))]


def _tree(script: dict[str, Any]) -> Tree:
    nodes = [Node(record.pop("kind"), record.pop("line"), record.pop("text"), record) for record in script["nodes"]]
    for node in nodes:
        node.properties = {name: _value(value, nodes) for name, value in node.properties.items()}
    tokens = [(kind, start, end) for kind, start, end in script["tokens"]]
    return Tree(nodes, tokens, [(error["line"], error["text"]) for error in script["errors"]])


def _value(value: Any, nodes: Sequence[Node]) -> Any:
    match value:
        case {"node": int(place)}:
            return nodes[place]
        case {"items": [*items]}:
            return [_value(item, nodes) for item in items]
        case _:
            return value
