"""The page from the chapter on Windows to quiesce: each of its rows has a test that shows it, and it is not stale."""

import re

import pytest

from tests.support.layouts import LAYOUTS
from tests.support.project import ROOT
from tests.unit.backup import test_layouts
from tools import chapter
from tools.marked_page import renewed

ROWS = chapter.rows()


def test_the_page_is_what_tests_and_plan_say_now() -> None:
    assert renewed(chapter.PAGE.read_text(), chapter.PARTS) == chapter.PAGE.read_text(), "run: python -m tools.chapter"


def test_every_section_of_the_chapter_has_rows_in_its_order() -> None:
    assert tuple(chapter.titles()) == chapter.SECTIONS
    assert list(dict.fromkeys(row.section for row in ROWS)) == list(chapter.SECTIONS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_each_row_says_something_and_is_shown(row: chapter.Row) -> None:
    assert row.same or row.differs, "it is neither the same nor different"
    assert chapter.shown().get(row.key), f"no test is marked with chapter({row.key!r})"


def test_no_test_is_marked_with_a_row_that_does_not_exist() -> None:
    assert set(chapter.shown()) == {row.key for row in ROWS}


def test_marks_are_found_on_tests_and_in_contract_cases_alone() -> None:
    everywhere = "\n".join(
        path.read_text() for path in (ROOT / "tests").rglob("*.py") if path.name != "test_chapter.py"
    )
    marked = [each for shown in chapter.shown().values() for each in shown]
    assert len(re.findall(r"^ *@pytest\.mark\.chapter\(", everywhere, re.MULTILINE)) == len(
        {each for each in marked if each.file.endswith(".py")}
    )
    assert len(re.findall("^  chapter: ", chapter.CASES.read_text(), re.MULTILINE)) == len(
        {each for each in marked if each.file.endswith(".yaml")}
    )


@pytest.mark.parametrize("test", [test for _, test in chapter.LAYOUT_TESTS.values()])
def test_each_column_of_the_layouts_names_a_test(test: str) -> None:
    assert callable(getattr(test_layouts, test))


def test_the_layouts_are_all_there_and_each_cell_has_its_words() -> None:
    _, _, *lines = chapter.layouts()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == list(LAYOUTS)
    assert all(len(line.split(" | ")) == 5 for line in lines)
