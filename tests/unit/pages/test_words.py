"""Times, durations and sentences as the pages write them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from quiesce.pages.words import ago, count, listed, mark_of, moment, seconds, sentence

NOW = datetime(2026, 3, 20, 6, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=1), "1 min ago"),
        (timedelta(minutes=119), "1 h ago"),
        (timedelta(hours=47, minutes=59), "47 h ago"),
        (timedelta(hours=48), "2 days ago"),
    ],
)
def test_how_long_ago(passed: timedelta, words: str) -> None:
    assert ago(NOW - passed, NOW) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0 ms"), (0.4321, "432 ms"), (1, "1.0 s"), (59.94, "59.9 s"), (60, "1 min 0 s"), (3725, "1 h 2 min")],
)
def test_how_long_something_took(value: float, words: str) -> None:
    assert seconds(value) == words


def test_a_duration_is_never_rounded_to_a_unit_that_it_should_have_left() -> None:
    assert seconds(0.9996) == "1.0 s"
    assert seconds(59.96) == "1 min 0 s"


def test_a_local_time_says_the_day_where_it_is_another_one_and_is_left_out_where_it_is_utc() -> None:
    late = datetime(2026, 3, 20, 23, 30, tzinfo=UTC)
    assert moment(late, ZoneInfo("Europe/Berlin")).local == "Sat 00:30 Europe/Berlin"
    assert moment(NOW, ZoneInfo("Europe/Berlin")).local == "07:40 Europe/Berlin"
    assert moment(NOW, ZoneInfo("UTC")).local == ""


def test_a_sentence_begins_with_a_capital_unless_it_begins_with_a_name_and_has_one_stop() -> None:
    assert sentence(" the agent is offline.. ") == "The agent is offline."
    assert sentence("vol-1 is attached twice") == "vol-1 is attached twice."
    assert sentence("s3://bucket/x: status: bad") == "s3://bucket/x: status: bad."
    assert sentence("") == ""


def test_numbers_and_lists() -> None:
    assert (count(1, "run"), count(1200, "run"), count(2, "copy", "copies")) == ("1 run", "1,200 runs", "2 copies")
    assert (listed(["C:"]), listed(["C:", "D:", "E:"])) == ("C:", "C:, D: and E:")


def test_a_status_of_a_later_release_is_a_question() -> None:
    assert mark_of("Magnificent") == ("ask", "warn", "Magnificent")
