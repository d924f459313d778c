"""The table of tests by level: from pytest's own results, into its place and nowhere else."""

import pytest

from tools.test_table import BEGIN, CONTRIBUTING, END, Level, levels, table, with_table

RESULTS = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" tests="3">
<testcase classname="tests.unit.test_policy" name="test_it[1]" time="0.25" />
<testcase classname="tests.unit.vss.test_log" name="test_it" time="0.5"><skipped /></testcase>
<testcase classname="tests.e2e.test_demo" name="test_it" time="1234.5" />
</testsuite></testsuites>"""
TABLE = """| Level | Tests | Seconds |
|---|---:|---:|
| e2e | 1 | 1,234 |
| unit | 2 | 1 |
| all | 3 | 1,235 |
"""


def test_the_levels_are_the_folders_of_tests_the_slowest_first():
    assert levels(RESULTS) == [Level("e2e", 1, 1234.5), Level("unit", 2, 0.75)]
    assert table(levels(RESULTS)) == TABLE


def test_the_table_takes_the_place_of_the_one_before():
    text = f"before\n{BEGIN}{{}}{END}after\n"
    assert with_table(text.format("old\n"), TABLE) == text.format(TABLE)


@pytest.mark.parametrize("text", ["", BEGIN, END + BEGIN])
def test_a_document_without_the_place_is_refused(text):
    with pytest.raises(ValueError, match="tests by level"):
        with_table(text, TABLE)


def test_contributing_has_the_place():
    assert with_table(CONTRIBUTING.read_text(), TABLE).count(TABLE) == 1
