"""Generate the parts of docs/reference/command-line.md that follow from the code: ``python -m tools.command_line``.

Writes the commands and the shapes of their answers between the page's markers.
"""

import sys
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path

import typer
from pydantic import BaseModel
from quiesce_cli import commands
from quiesce_cli.answers import shapes
from quiesce_cli.app import COMMON, app

from tools.marked_page import renewed

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference" / "command-line.md"
HELP = {"--help", "--install-completion", "--show-completion", *(f"--{name}" for name in COMMON), "--json"}


def command_table() -> Iterator[str]:
    """Yield a table of the commands: how each is typed, and its own options."""
    yield "| Command | Does | Its options |"
    yield "|---|---|---|"
    group = typer.main.get_command(app)
    listed = getattr(group, "commands", {})
    for name in (*commands.ORDER, "policy"):
        inner = getattr(listed[name], "commands", None)
        for own, command in (inner or {"": listed[name]}).items():
            yield _row(f"{name} {own}".strip(), command)


def _row(name: str, command: typing.Any) -> str:
    arguments = [p.metavar for p in command.params if p.param_type_name == "argument"]
    options = [
        f"`{p.opts[0]}`: {p.help}" for p in command.params if p.param_type_name == "option" and p.opts[0] not in HELP
    ]
    typed = " ".join([f"quiesce {name}", *arguments])
    return f"| `{typed}` | {' '.join((command.help or '').split())} | {'<br>'.join(options)} |"


def shape_tables() -> Iterator[str]:
    """Yield a table of fields for each answer and each part of one."""
    for shape in vars(shapes).values():
        if not isinstance(shape, type) or not issubclass(shape, shapes.Shape) or shape is shapes.Shape:
            continue
        words = (shape.__doc__ or "").strip().rstrip(".")
        yield f"### {shape.__name__}"
        yield ""
        yield f"{words}."
        yield ""
        yield "| Field | Type | Meaning |"
        yield "|---|---|---|"
        for name, field in shape.model_fields.items():
            yield f"| `{name}` | {_type(field.annotation)} | {field.description} |"
        yield ""


def _type(annotation: typing.Any) -> str:
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(each) for each in inner)
    if origin is list:
        return f"list of {_type(inner[0])}"
    names = {
        "str": "text",
        "int": "number",
        "float": "number",
        "bool": "true or false",
        "datetime": "time",
        "NoneType": "null",
    }
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation.__name__
    return names[annotation.__name__]


PARTS: dict[str, Callable[[], Iterator[str]]] = {"commands": command_table, "shapes": shape_tables}


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text(), PARTS))
    sys.exit(0)
