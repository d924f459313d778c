"""The page of what quiesce costs has what ``make bench`` reckons."""

from bench import calls, cost, shadow_volumes
from tests.support.project import ROOT

PAGE = (ROOT / "docs/operate/performance.md").read_text()


def test_the_page_has_the_calls_and_states_that_were_counted():
    assert calls.table(cost.backups(calls.recorded())) in PAGE


def test_the_page_has_each_table_of_costs():
    for table in cost.report().split("\n\n"):
        assert table in PAGE, table


def test_the_page_has_the_blocks_and_calls_of_reading_each_recovery_point(monkeypatch):
    monkeypatch.setattr(shadow_volumes, "ROUNDS", 1)
    rows = [shadow_volumes._row(case).rpartition(" | ")[0] for case in shadow_volumes.cases()]
    assert rows
    assert [row for row in rows if row not in PAGE] == []
