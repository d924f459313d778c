"""The page of what quiesce costs has what ``make bench`` reckons."""

from bench import calls, cost
from tests.support.project import ROOT

PAGE = (ROOT / "docs/operate/performance.md").read_text()


def test_the_page_has_the_calls_and_states_that_were_counted():
    assert calls.table(cost.backups(calls.recorded())) in PAGE


def test_the_page_has_each_table_of_costs():
    for table in cost.report().split("\n\n"):
        assert table in PAGE, table
