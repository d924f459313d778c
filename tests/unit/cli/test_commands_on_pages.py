"""Each command that a page tells a person to type is one that the command line takes."""

import html
import re
import shlex

import pytest
import typer
from quiesce_cli import commands  # noqa: F401 - they register themselves
from quiesce_cli.app import app

from tests.support.factories.pages import SAMPLES, a_good_stack
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


@pytest.mark.parametrize("name", [name for name in STACKS if "hostile" not in name])
def test_a_command_on_a_page_can_be_typed(name: str) -> None:
    for line in typed(name):
        command = typer.main.get_command(app)
        context, words = None, shlex.split(line)
        while words:
            context = command.make_context(words[0], words[1:], parent=context)
            if not hasattr(command, "resolve_command"):
                break
            _, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            words = [str(command.name), *rest]


def test_the_pages_name_the_commands_that_a_person_needs() -> None:
    found = {line.split()[1] for name in STACKS if "hostile" not in name for line in typed(name)}
    assert found >= {"explain", "follow", "policy", "recover", "run"}
