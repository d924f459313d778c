"""Generate docs/reference/messages.md, every message of both machines: ``python -m tools.messages``.

Reads the code: each place that raises one of quiesce's errors, with what stands in the message as the code has it, and
``{name}`` for what it fills in. ``--check`` only reports whether the page is stale.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from quiesce.errors import NEXT

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "messages.md"
PACKAGE = ROOT / "src" / "quiesce"
HEAD = """# All messages

What the machines say when they end, or when a dry run finds a problem. `{name}` stands for what the message fills in.
Where a message has no remedy, what to do next stands under its error's name, and in the mail and the account.
A message with a remedy reads `<field>: <problem>. Remedy: <remedy>.`; AWS's own words stand where it says `{error}`.
What each error means: [reference](reference.md); what to do beyond the message: [runbook](../operate/runbook.md).
This page is made by `python -m tools.messages`.
"""
REFUSED = "Refused"
MAX_DEPTH = 4
CONSTANTS: dict[str, str] = {}


class Message(NamedTuple):
    """One place that raises an error; ``remedy`` is empty for errors that have none in the message."""

    error: str
    where: str
    field: str
    problem: str
    remedy: str


def errors() -> dict[str, bool]:
    """Return the names of quiesce's errors, and of each whether it takes field, problem and remedy."""
    tree = ast.parse((PACKAGE / "errors.py").read_text())
    bases = {c.name: ast.unparse(c.bases[0]) for c in tree.body if isinstance(c, ast.ClassDef) and c.bases}
    return {name: REFUSED in (name, base) for name, base in bases.items() if name != "QuiesceError"}


def messages() -> list[Message]:
    """Return every message that the code can raise or collect, in the order of error and module."""
    known = errors()
    CONSTANTS.update(_constants())
    found: set[Message] = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        where = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                found |= set(_of_function(function, where, known))
    return sorted(found)


def _constants() -> dict[str, str]:
    """Return the texts that modules of the package name in capitals."""
    found: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
                text = _text(node.value, {}, node.lineno)
                if not text.startswith("{"):
                    found[node.targets[0].id] = text
    return found


def _of_function(function: ast.FunctionDef, where: str, known: dict[str, bool]) -> Iterator[Message]:
    values = _assigned(function)
    for call in ast.walk(function):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
            continue
        name = call.func.id
        if name in known and not call.keywords and not any(isinstance(arg, ast.Starred) for arg in call.args):
            texts = [_text(arg, values, call.lineno) for arg in call.args]
            if known[name] and len(texts) == 3:
                yield Message(name, where, *texts)
            elif not known[name] and len(texts) == 1:
                yield Message(name, where, "", texts[0], "")


def _assigned(function: ast.FunctionDef) -> dict[str, list[tuple[int, ast.expr]]]:
    """Return the expressions that a function assigns to each name, with their lines."""
    values: dict[str, list[tuple[int, ast.expr]]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            values.setdefault(node.targets[0].id, []).append((node.lineno, node.value))
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            before = values.setdefault(node.target.id, [])
            whole = ast.BinOp(before[-1][1], ast.Add(), node.value) if before else node.value
            before.append((node.lineno, whole))
        elif isinstance(node, ast.Assign) and _are_tuples(node.targets[0], node.value):
            for target, value in zip(_parts(node.targets[0]), _parts(node.value), strict=False):
                values.setdefault(ast.unparse(target), []).append((node.lineno, value))
    return values


def _are_tuples(*nodes: ast.expr) -> bool:
    return all(isinstance(node, ast.Tuple) for node in nodes)


def _parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else []


def _text(node: ast.expr, values: dict[str, list[tuple[int, ast.expr]]], line: int, depth: int = 0) -> str:
    """Return an expression as the message shows it: its texts, and in braces what is filled in."""

    def inner(part: ast.expr) -> str:
        return _text(part, values, line, depth + 1)

    match node:
        case ast.Constant():
            text = str(node.value)
        case ast.JoinedStr():
            text = "".join(map(inner, node.values))
        case ast.FormattedValue():
            text = CONSTANTS.get(ast.unparse(node.value), f"{{{_filled(node.value)}}}")
        case ast.BinOp(op=ast.Add()):
            text = inner(node.left) + inner(node.right)
        case ast.IfExp():
            text = f"{inner(node.body)} | {inner(node.orelse)}"
        case ast.Name():
            before = [value for at, value in values.get(node.id, []) if at < line and depth < MAX_DEPTH]
            text = inner(before[-1]) if before else CONSTANTS.get(node.id, f"{{{node.id}}}")
        case _:
            text = f"{{{_filled(node)}}}"
    return text


def _filled(node: ast.expr) -> str:
    """Return a short name for what is filled in: the last word of the expression."""
    inner = node
    while isinstance(inner, ast.Call | ast.Subscript):
        inner = inner.func if isinstance(inner, ast.Call) else inner.value
    words = ast.unparse(inner)
    return words.rpartition(".")[2].strip("_'\"") if words.replace(".", "").replace("_", "").isalnum() else "..."


def page() -> str:
    """Return the whole page."""
    lines = [HEAD]
    by_error: dict[str, list[Message]] = {}
    for message in messages():
        by_error.setdefault(message.error, []).append(message)
    for error, each in by_error.items():
        lines += [f"## {error}", "", *([f"*Next:* {NEXT[error]}.", ""] if error in NEXT else [])]
        for message in each:
            field = f"`{message.field}`: " if message.field else ""
            remedy = f" *Remedy:* {_cell(message.remedy)}." if message.remedy else ""
            lines.append(f"- {field}{_cell(message.problem)}.{remedy} ({message.where})")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).rstrip(".").replace("<", "&lt;").replace("*", "\\*")


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it is stale."""
    made = page()
    if "--check" in arguments:
        return int(PAGE.read_text() != made)
    PAGE.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
