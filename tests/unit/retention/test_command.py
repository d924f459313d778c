"""What a person types to see what a rule would keep."""

import json

import pytest

from quiesce.retention.__main__ import main
from tests.unit.retention.histories import NOW

RULE = "keep: {last: 1}\nat_least: 1\ntimezone: Europe/Berlin\n"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "rule.yaml").write_text(RULE)
    for day, status in ((26, "Successful"), (27, "Successful"), (28, "Failed")):
        record = {
            "run_id": f"orders-{day}", "status": status, "policy": "orders", "instance_id": "i-0123456789abcdef0",
            "consistency": {"level": "application", "reason": "shown"}, "snapshots_at": f"2026-11-{day}T01:30:00Z",
            "ended_at": f"2026-11-{day}T02:00:00Z",
            "snapshots": [{"snapshot_id": "snap-1", "size_gib": 30, "volume": None}],
            "of a later version": True,
        }  # fmt: skip
        (tmp_path / f"{day}.json").write_text(json.dumps(record))
    return tmp_path


def ask(place, *names) -> int:
    return main([str(place / name) for name in names], NOW)


def test_a_rule_is_shown_on_records_before_it_is_in_force(place, capsys) -> None:
    assert ask(place, "rule.yaml", "26.json", "27.json", "28.json") == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.startswith("policy orders, server i-0123456789abcdef0: 3 recovery points, 1 would go (plan ")
    assert lines == [
        "time (Europe/Berlin)  recovery point  status      consistency          because",
        "2026-11-28 02:30      orders-28       Failed      application  keep    "
        "not whole, and no whole one is 7 days newer",
        "2026-11-27 02:30      orders-27       Successful  application  keep    newest, newest successful, "
        "newest application, at_least 1 of 1, last 1 of 1",
        "2026-11-26 02:30      orders-26       Successful  application  remove  no rule keeps it",
        "Nothing stays by last alone: other parts of the rule keep the same ones.",
    ]


def test_runs_that_left_no_snapshots_are_no_recovery_points(place, capsys) -> None:
    record = json.loads((place / "26.json").read_text()) | {"snapshots": [], "snapshots_at": None}
    (place / "26.json").write_text(json.dumps(record))
    assert ask(place, "rule.yaml", "26.json") == 0
    assert capsys.readouterr().out == "These runs left no snapshots.\n"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("keep: {}", "keep: {}: keeps nothing by itself; give 'last' or one of 'daily', 'weekly', 'monthly', 'yearly' "
         "a number above 0. Remedy: correct it."),
        ("keep: {within: 30d}", "keeps nothing by itself"),
        ("keep: {last: 0, daily: 0}", "keeps nothing by itself"),
        ("keep: {last: -1}", "keep.last: -1: must be a whole number from 0 to 10000"),
        ("keep: {daly: 3}", "keep.daly: is not a field that quiesce knows. Remedy: write 'daily'."),
        ("keep: {last: 3, within: 1 month}", "keep.within: '1 month': must be a number of days from 1d to 99999d"),
        ("keep: {last: 3}\nat_least: 0", "at_least: 0: must be a whole number from 1 to 10000"),
        ("keep: {last: 3}\ntimezone: W. Europe Standard Time", "write Europe/Berlin, or the IANA name of your"),
        ("keep: {last: 3}\ntimezone: ../UTC", "'../UTC' is not the IANA name of a time zone; write UTC"),
        ("at_least: 3", "keep: is missing. Remedy: add it."),
        ("keep: [", "is not YAML"),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_used_is_refused_in_words(place, capsys, rule: str, words: str) -> None:
    (place / "rule.yaml").write_text(rule)
    with pytest.raises(SystemExit) as ended:
        ask(place, "rule.yaml", "26.json")
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_file_that_is_no_record_or_not_there_is_named(place, capsys) -> None:
    (place / "other.json").write_text("{}")
    for name, words in (("other.json", "other.json: is no record of a run"), ("gone.json", "give files that are here")):
        with pytest.raises(SystemExit):
            ask(place, "rule.yaml", name)
        assert words in capsys.readouterr().err


def test_more_removals_than_a_days_limit_end_with_1(place, capsys) -> None:
    record = json.loads((place / "26.json").read_text())
    names = []
    for number in range(12):
        names.append(f"more-{number}.json")
        (place / names[-1]).write_text(json.dumps(record | {"run_id": f"more-{number}"}))
    assert ask(place, "rule.yaml", *names) == 1
    assert "Not without a person's word: 11 of 12 recovery points would go" in capsys.readouterr().out
