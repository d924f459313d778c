"""The demo waits for the pages of all of its runs: each follows its record by an event."""

from datetime import UTC, datetime, timedelta

from sandbox.demo.pages import all_there

NOW = datetime(2026, 3, 14, 1, 30, tzinfo=UTC)
SUMMARY, OVERVIEW = "policy-runs/nightly/nightly-1/summary.json", "pages/overview.html"
WRITTEN = {"records/i-1/a.json": NOW, "records/i-1/a.html": NOW, SUMMARY: NOW, OVERVIEW: NOW, "policies/a.yaml": NOW}


def test_all_is_there_once_each_record_has_its_page_and_each_summary_the_overview():
    assert all_there(WRITTEN)
    assert not all_there({key: at for key, at in WRITTEN.items() if key != OVERVIEW})
    assert not all_there({**WRITTEN, "records/i-1/b.json": NOW})
    assert not all_there({"policies/a.yaml": NOW})


def test_a_page_that_is_older_than_what_it_shows_is_waited_for():
    later = NOW + timedelta(seconds=2)
    assert not all_there({**WRITTEN, "records/i-1/a.json": later})
    assert not all_there({**WRITTEN, SUMMARY: later})
    assert all_there({**WRITTEN, "policies/a.yaml": later})
