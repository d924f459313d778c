"""The page of the command line says what the commands take and answer."""

import re

import pytest
from quiesce_cli.answers import shapes

from tests.support.command_line import COMMANDS
from tools.command_line import PAGE, PARTS
from tools.marked_page import renewed


def test_the_page_is_what_the_code_says_now() -> None:
    assert renewed(PAGE.read_text(), PARTS) == PAGE.read_text(), "run: python -m tools.command_line"


def test_every_field_of_an_answer_has_its_meaning() -> None:
    for shape in vars(shapes).values():
        if isinstance(shape, type) and issubclass(shape, shapes.Shape):
            assert [name for name, field in shape.model_fields.items() if not field.description] == [], shape


def test_a_page_that_lacks_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has the parts"):
        renewed("# The command line\n", PARTS)


def test_the_tests_of_all_commands_have_each_of_them() -> None:
    """Sixty columns, a pipe, an empty stack, no credentials, missing rights: tests/e2e/test_command_line.py."""
    typed = [line.split() for line in COMMANDS]
    tested = {" ".join(words[: 2 if words[0] == "policy" else 1]) for words in typed}
    listed = {re.match(r"\| `quiesce ((?:policy )?\w+)", row) for row in PARTS["commands"]()}
    assert tested == {row.group(1) for row in listed if row}, "write it into COMMANDS of tests/support/command_line.py"
