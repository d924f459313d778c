"""Each command that a page or a document tells a person to type is one that the command line takes."""

import html
import re
import shlex
from pathlib import Path

import pytest
import typer
from quiesce_cli import commands  # noqa: F401 - they register themselves
from quiesce_cli.app import app

from tests.support.factories.pages import SAMPLES, a_good_stack
from tests.support.project import ROOT
from tests.unit.pages.test_escaping import a_running_stack, html_of
from tests.unit.pages.test_overview import a_stack_of_one

STACKS = {
    **SAMPLES,
    "running": a_running_stack,
    "never": lambda: a_good_stack(records=[]),
    "late": lambda: a_stack_of_one("a" * 30 + "--"),
}
TYPED = re.compile(r"<(?:code|pre)[^>]*>(quiesce [^<]+)<")


def typed(name: str) -> set[str]:
    page = html_of(STACKS[name](), "")  # type: ignore[no-untyped-call]
    return {html.unescape(each) for each in TYPED.findall(page)}


def parse(line: str) -> None:
    """Read a line as the command line does, and run nothing."""
    command = typer.main.get_command(app)
    context, words = None, shlex.split(line, comments=True)
    while words:
        context = command.make_context(words[0], words[1:], parent=context)
        if not hasattr(command, "resolve_command"):
            break
        _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        words = [str(command.name), *rest]


@pytest.mark.parametrize("name", [name for name in STACKS if "hostile" not in name])
def test_a_command_on_a_page_can_be_typed(name: str) -> None:
    for line in typed(name):
        parse(line)


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(ROOT.glob("docs/*/*.md"))], ids=lambda path: path.name)
def test_a_command_in_a_document_can_be_typed(path: Path) -> None:
    text = path.read_text()
    lines = [line for block in re.findall(r"```(?:sh)?\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    for line in lines:
        if line.startswith("quiesce "):
            parse(line)


def test_what_is_no_command_is_seen() -> None:
    with pytest.raises(typer.TyperException):
        parse("quiesce run files --server i-0123456789abcdef0")
    with pytest.raises(typer.TyperException):
        parse("quiesce policy putt file.yaml")


def test_the_pages_name_the_commands_that_a_person_needs() -> None:
    found = {line.split()[1] for name in STACKS if "hostile" not in name for line in typed(name)}
    assert found >= {"explain", "follow", "policy", "recover", "run"}
