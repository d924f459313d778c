"""What a person writes under ``schedules``, ``except`` and ``latest_start``, and the words for what can't be meant."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from quiesce.errors import PolicyRefused
from quiesce.policy.blackout import read_blackout
from quiesce.policy.file import read_policy_file
from quiesce.policy.local_times import instant_of
from quiesce.policy.policy import Policy
from tests.support.factories.run import INSTANCE

GOOD = f"name: files\ntargets: [{{instance_id: {INSTANCE}}}]\n"
WHERE = "files.yaml"
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def a_file(lines: str) -> Policy:
    return read_policy_file((GOOD + lines).encode(), "files", WHERE)


def words_of(lines: str) -> str:
    with pytest.raises(PolicyRefused) as refused:
        a_file(lines)
    return str(refused.value)


def test_a_policy_of_the_guides_world_has_few_lines() -> None:
    policy = a_file(
        'timezone: Europe/Berlin\nschedules:\n- cron: "0 2 ? * MON-FRI *"\n- cron: "0 14 ? * SAT *"\n'
        'except: ["Sun 22:00-04:00", 2026-12-24]\nlatest_start: 90m\n'
    )
    assert [policy.zone_name(schedule) for schedule in policy.schedules] == ["Europe/Berlin"] * 2
    assert policy.latest == timedelta(minutes=90)
    assert [blackout.covers(datetime.fromisoformat("2026-12-24 02:00")) for blackout in policy.closed] == [False, True]


def test_a_policy_without_schedules_waits_for_a_person() -> None:
    assert a_file("").schedules == []


def test_a_schedule_may_have_a_zone_of_its_own() -> None:
    policy = a_file('timezone: UTC\nschedules: [{cron: "0 2 * * ? *", timezone: Asia/Kolkata}]\n')
    assert policy.zone_name(policy.schedules[0]) == "Asia/Kolkata"


def test_names_of_schedules_stay_while_their_rule_stays_and_fit_scheduler() -> None:
    def name(lines: str) -> str:
        policy = read_policy_file((GOOD.replace("files", "x" * 40) + lines).encode(), "x" * 40, WHERE)
        return policy.schedule_name(policy.schedules[0])

    first = name('schedules: [{cron: "0 2 * * ? *"}]')
    assert first == name('schedules: [{cron: "0  2 * * ?  *", enabled: false, until: 2027-01-01}]')
    assert first != name('schedules: [{cron: "0 3 * * ? *"}]')
    assert first != name('schedules: [{cron: "0 2 * * ? *", timezone: Europe/Berlin}]')
    assert len(first) + len(".20270328") <= 64


def test_a_schedule_is_found_by_its_name_while_the_policy_has_it() -> None:
    policy = a_file('schedules: [{every: 6h}, {cron: "0 2 * * ? *"}]')
    assert policy.schedule_named(policy.schedule_name(policy.schedules[1])) == policy.schedules[1]
    assert policy.schedule_named("files.00000000") is None


@pytest.mark.parametrize(
    ("lines", "field", "words"),
    [
        ("schedules: [{}]", "schedules[0]", "needs either 'cron' or 'every'"),
        ('schedules: [{cron: "0 2 * * ? *", every: 6h}]', "schedules[0]", "needs either 'cron' or 'every'"),
        ('schedules: [{cron: "0 0 30 2 ? *"}]', "schedules[0].cron", "never runs: there is no such day until 2199"),
        ('schedules: [{cron: "cron(0 2 * * ? *)"}]', "schedules[0].cron", "write the fields alone"),
        ("schedules: [{cron: 0 2 ? * MON #first\n}]", "schedules[0].cron", "has 5 fields, and needs 6"),
        ("schedules:\n- cron: 0 2 ? * MON #first", "schedules[0].cron", "'#' begins a comment"),
        ("schedules: [0 2,14 * * ? *]", "schedules[0]", "has to begin with 'cron:' or 'every:'"),
        ("schedules: [{cron: 0 2,14 * * ? *}]", "schedules[0]", "a comma begins a new field, here '14 * * ? *'"),
        ("schedules: [{every: 90}]", "schedules[0].every", "has no unit; write 90m, 90h or 90d"),
        ("schedules: [{every: 4m}]", "schedules[0].every", "must be from 5m to 366d"),
        ("schedules: [{every: 367d}]", "schedules[0].every", "must be from 5m to 366d"),
        ("schedules: [{every: 1h30m}]", "schedules[0].every", "must be a number and m, h or d"),
        ("schedules: [{every: \u0661h}]", "schedules[0].every", "must be a number and m, h or d"),
        ("schedules: [{every: 6h, timezone: CET+1}]", "schedules[0].timezone", "not the IANA name of a time zone"),
        ("timezone: W. Europe Standard Time", "timezone", "write Europe/Berlin, or the IANA name of your own"),
        ("timezone: 2", "timezone", "must be text"),
        ("schedules: [{every: 6h}, {every: 6h, enabled: false}]", "schedules", "schedules[1] is schedules[0] again"),
        ('schedules: [{every: 6h, from: "2026-02-30 22:00"}]', "schedules[0].from", "February 2026 has 28 days"),
        ("schedules: [{every: 6h, from: tomorrow}]", "schedules[0].from", "write it as 2026-12-24 or"),
        ("schedules: [{every: 6h, from: 2026-12-24T22:00:00Z}]", "schedules[0].from", "without a zone"),
        ("schedules: [{every: 6h, from: 2026-12-24T22:00:01}]", "schedules[0].from", "write it as 2026-12-24 or"),
        ("schedules: [{every: 6h, from: 5}]", "schedules[0].from", "write it as 2026-12-24 or"),
        ("schedules: [{every: 6h, from: 2027-01-02, until: 2027-01-01}]", "schedules[0]", "is before 'from'"),
        ("schedules: [{every: 6h, enabled: no}]", "schedules[0].enabled", "must be true or false"),
        ("except: [Sunday]", "except", "Sunday is no day; the days are Mon, Tue"),
        ("except: [Sun 22-04]", "except", "is no such time; write 'Sun 22:00-04:00'"),
        ("except: [22:00-22:00]", "except", "ends when it begins"),
        ("except: [2026-12-25 to 2026-12-24]", "except", "ends before it begins"),
        ("except: ['2026-13-01']", "except", "there is no such month"),
        ("except: [Sun 22:60-04:00]", "except", "is no such time"),
        ("latest_start: 30", "latest_start", "has no unit; write 30m, 30h or 30d"),
        ("latest_start: 2d", "latest_start", "must be from 1m to 24h"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field_and_what_to_write(lines: str, field: str, words: str) -> None:
    answer = words_of(f"{lines}\n")
    assert f": {field}: " in answer
    assert words in answer


def test_from_and_until_are_on_the_schedules_clock_and_a_date_is_its_first_or_last_minute() -> None:
    policy = a_file(
        'timezone: Europe/Berlin\nschedules: [{cron: "0 0,12 * * ? *", from: 2026-12-24, until: "2026-12-25 00:00"}]\n'
    )
    runs = list(policy.schedules[0].runs(BERLIN, NOON, NOON))
    assert [f"{run.at:%d %H:%M}" for run in runs] == ["23 23:00", "24 11:00", "24 23:00"]
    assert instant_of("2026-12-24", BERLIN, ends=True) == datetime(2026, 12, 24, 22, 59, tzinfo=UTC)


def test_a_time_that_the_clock_skips_is_the_end_of_the_gap_and_one_shown_twice_the_first() -> None:
    assert instant_of("2027-03-28 02:30", BERLIN) == datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert instant_of("2027-10-31 02:30", BERLIN) == datetime(2027, 10, 31, 0, 30, tzinfo=UTC)


def test_an_interval_is_counted_from_its_start() -> None:
    schedule = a_file("schedules: [{every: 6h}]\n").schedules[0]
    runs = islice(schedule.runs(ZoneInfo("UTC"), datetime(2026, 11, 1, 3, tzinfo=UTC), NOON), 2)
    assert [f"{run.at:%d %H:%M}" for run in runs] == ["28 15:00", "28 21:00"]


# The 29th of November 2026 is a Sunday.
@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("Sun 22:00-04:00", ["29 22:00", "29 23:59", "30 00:00", "30 03:59"], ["29 21:59", "30 04:00", "29 03:00"]),
        ("Sat,Sun", ["28 00:00", "29 23:59"], ["27 23:59", "30 00:00"]),
        ("Sat-Mon 8:00-9:00", ["28 08:00", "30 08:59"], ["28 07:59", "30 09:00", "27 08:30"]),
        ("12:00-13:00", ["24 12:00", "28 12:59"], ["24 11:59", "28 13:00"]),
        ("mon-fri 20:00-24:00", ["27 23:59"], ["28 00:00", "28 23:00"]),
        ("00:00-24:00", ["27 00:00", "28 23:59"], []),
        ("2026-11-29", ["29 00:00", "29 23:59"], ["28 23:59", "30 00:00"]),
        ("2026-11-28 to 2026-11-29", ["28 00:00", "29 23:59"], ["27 23:59", "30 00:00"]),
    ],
)
def test_a_blackout_covers_what_it_says_and_its_end_is_not_part_of_it(
    text: str, inside: list[str], outside: list[str]
) -> None:
    def covered(times: list[str]) -> list[bool]:
        return [read_blackout(text).covers(datetime.fromisoformat(f"2026-11-{each}")) for each in times]

    assert covered(inside) == [True] * len(inside)
    assert covered(outside) == [False] * len(outside)
