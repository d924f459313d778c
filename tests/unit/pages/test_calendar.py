"""The calendar: days on the clock of the policy's zone, the worst and the best of each, and no day missed in vain."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from quiesce.pages import calendar
from quiesce.pages.calendar import APPLICATION, CRASH, FAILED, MISSED, PARTIAL, Cell
from quiesce.pages.found import PolicyFound, beside
from quiesce.points.record import Record
from tests.support.factories.pages import APPLICATION as LEVEL
from tests.support.factories.pages import BERLIN, MORNING, a_failed_run, a_partial_run, nightly, server_id
from tests.support.factories.pages import CRASH as CRASH_LEVEL
from tests.support.factories.run import a_record

SERVER = server_id(1)
LONG_AGO = MORNING - timedelta(days=90)
DAILY = {"schedules": [{"cron": "30 2 * * ? *"}]}


def a_run(at: datetime, run_id: str = "by-hand", **changes: object) -> Record:
    times = {"started_at": at, "ended_at": at + timedelta(minutes=9), "snapshots_at": at}
    return a_record(**{"run_id": run_id, "instance_id": SERVER, "consistency": LEVEL, **times, **changes})


def days(
    records: list[Record],
    policy: PolicyFound | None = None,
    zone: ZoneInfo = BERLIN,
    now: datetime = MORNING,
    known_since: datetime | None = None,
) -> dict[date, Cell]:
    span = calendar.span_of(now, zone)
    missed = calendar.missed_times(policy, records, span, now) if policy else []
    return {cell.day: cell for cell in calendar.cells(records, missed, span, known_since, beside)}


def found(since: datetime | None = LONG_AGO, **changes: object) -> PolicyFound:
    return PolicyFound("orders", nightly("orders", SERVER, **{**DAILY, **changes}), since=since)


def missed_in(cells: dict[date, Cell]) -> list[date]:
    return [day for day, cell in cells.items() if cell.worst is MISSED]


def test_it_has_five_whole_weeks_that_end_with_this_one() -> None:
    cells = days([])
    assert (len(cells), min(cells).weekday(), max(cells).weekday()) == (35, 0, 6)
    assert [day for day, cell in cells.items() if cell.is_today] == [date(2026, 3, 20)]
    assert [day.day for day, cell in cells.items() if cell.is_coming] == [21, 22]
    assert "still to come" in cells[date(2026, 3, 21)].words


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", 18), ("Europe/Berlin", 19), ("America/New_York", 18), ("Pacific/Auckland", 19)]
)
def test_a_run_is_of_the_day_on_the_clock_of_the_policys_zone(zone: str, day: int) -> None:
    cells = days([a_run(datetime(2026, 3, 18, 23, 30, tzinfo=UTC))], zone=ZoneInfo(zone))
    assert [each.day for each, cell in cells.items() if cell.worst] == [day]


def test_a_run_that_waited_past_midnight_is_of_the_day_for_which_it_was_due() -> None:
    late = datetime(2026, 3, 19, 0, 20, tzinfo=UTC)
    cells = days([a_run(late, "orders-i-1-20260318T223000Z")], zone=ZoneInfo("UTC"))
    assert [day.day for day, cell in cells.items() if cell.worst] == [18]
    # An id that only looks like one of a schedule says nothing about the day.
    cells = days([a_run(late, "orders-20250101T000000Z")], zone=ZoneInfo("UTC"))
    assert [day.day for day, cell in cells.items() if cell.worst] == [19]


def test_a_day_without_a_schedule_is_no_missed_day() -> None:
    weekdays = found(schedules=[{"cron": "0 23 ? * MON-FRI *"}])
    assert {day.weekday() for day in missed_in(days([], weekdays))} == {0, 1, 2, 3, 4}
    assert missed_in(days([], found(**{"except": ["Sat,Sun"]})))[-1] == date(2026, 3, 20)
    assert not any(day.weekday() > 4 for day in missed_in(days([], found(**{"except": ["Sat,Sun"]}))))
    by_hand = found(schedules=[])
    assert missed_in(days([], by_hand)) == []
    assert "none is known to have been due" in days([], by_hand)[date(2026, 3, 10)].words
    assert missed_in(days([], found(schedules=[{"cron": "30 2 * * ? *", "enabled": False}]))) == []


def test_nothing_is_missed_before_the_policy_was_in_force_and_nothing_where_that_is_not_known() -> None:
    assert missed_in(days([], found(MORNING - timedelta(days=3)))) == [date(2026, 3, day) for day in (18, 19, 20)]
    assert missed_in(days([], found(None))) == []
    assert missed_in(days([], PolicyFound("orders", None, "not a policy", since=LONG_AGO))) == []


def test_what_may_still_start_is_not_missed_and_a_run_by_hand_soon_after_counts() -> None:
    due = datetime(2026, 3, 20, 1, 30, tzinfo=UTC)
    policy = found(MORNING - timedelta(days=1), latest_start="1h")
    limit = due + timedelta(hours=1) + calendar.LATE
    assert missed_in(days([], policy, now=limit - timedelta(minutes=1))) == []
    assert missed_in(days([], policy, now=limit + timedelta(minutes=1))) == [date(2026, 3, 20)]
    assert missed_in(days([a_run(due + timedelta(minutes=40))], policy, now=limit + timedelta(hours=1))) == []


def test_the_day_on_which_clocks_are_put_forward_is_one_day_and_not_missed() -> None:
    """02:30 is not on Berlin's clock on 29 March 2026: the run is due at 03:00, 01:00 UTC."""
    now = datetime(2026, 3, 30, 8, 0, tzinfo=UTC)
    runs = [
        a_run(datetime(2026, 3, 28, 1, 30, tzinfo=UTC)),
        a_run(datetime(2026, 3, 29, 1, 0, tzinfo=UTC)),
        a_run(datetime(2026, 3, 30, 0, 30, tzinfo=UTC)),
    ]
    cells = days(runs, found(datetime(2026, 3, 27, 12, 0, tzinfo=UTC)), now=now)
    assert missed_in(cells) == []
    assert [day.day for day, cell in cells.items() if cell.worst] == [28, 29, 30]


def test_a_cell_has_the_worst_of_the_day_by_a_sign_a_word_and_a_colour_and_its_best() -> None:
    at = datetime(2026, 3, 19, 1, 30, tzinfo=UTC)
    bad = a_failed_run(run_id="first", instance_id=SERVER, started_at=at, reason="no <agent>")
    cell = days([a_run(at + timedelta(hours=3)), bad])[date(2026, 3, 19)]
    assert (cell.worst, cell.best) == (FAILED, APPLICATION)
    assert cell.words == ("Thu 19 Mar: worst: Failed; best: Successful, application-consistent; 2 runs; no <agent>")
    assert cell.link == f"../records/{SERVER}/first.html"
    assert len({mark.sign for mark in calendar.GRADES}) == len(calendar.GRADES)


def test_each_outcome_has_a_grade() -> None:
    at = datetime(2026, 3, 19, 1, 30, tzinfo=UTC)
    runs = {
        APPLICATION: a_run(at),
        CRASH: a_run(at, consistency=CRASH_LEVEL),
        PARTIAL: a_partial_run(),
        FAILED: a_failed_run(),
    }
    assert {mark: calendar.grade(record) for mark, record in runs.items()} == {mark: mark for mark in runs}


def test_days_that_nobody_read_are_said_to_be_not_looked_at_and_not_to_be_empty() -> None:
    cells = days([a_run(MORNING)], known_since=MORNING - timedelta(days=4))
    assert cells[date(2026, 3, 15)].words == "Sun 15 Mar: not looked at"
    assert cells[date(2026, 3, 16)].words == "Mon 16 Mar: not looked at"
    assert cells[date(2026, 3, 17)].words.endswith("no run, and none is known to have been due")
    assert cells[date(2026, 3, 20)].worst is APPLICATION
