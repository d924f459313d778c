"""Syntax trees of PowerShell scripts, parsed by a PowerShell on the PATH."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PARSE_LIMIT_S = 120


class PowerShellMissingError(RuntimeError):
    """No ``pwsh`` is on the PATH."""


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
    """Parse scripts, all in one start of PowerShell.

    Raises:
        PowerShellMissingError: there is no ``pwsh`` on the PATH.
        CalledProcessError: the parser's script failed.
    """
    powershell = shutil.which("pwsh")
    if powershell is None:
        raise PowerShellMissingError("the checker's tree rules need pwsh on the PATH")
    command = [powershell, "-NoProfile", "-NonInteractive", "-File", str(Path(__file__).with_name("parse.ps1"))]
    quiet = os.environ | {"POWERSHELL_TELEMETRY_OPTOUT": "1", "POWERSHELL_UPDATECHECK": "Off", "NO_COLOR": "1"}
    done = subprocess.run(
        command + [str(path) for path in paths],
        env=quiet,
        stdout=subprocess.PIPE,
        check=True,
        timeout=PARSE_LIMIT_S,
    )
    return [_tree(script) for script in json.loads(done.stdout)]


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
