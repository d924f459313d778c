"""When a schedule runs: worked examples, a second reading of 30 years, and what people type wrongly."""

import calendar
import json
import re
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest

from quiesce.policy.__main__ import main
from quiesce.policy.cron import CronError, read_cron
from quiesce.policy.next_runs import cron_runs, rate_runs
from quiesce.policy.windows_zones import IANA_OF
from quiesce.policy.zones import remark_on, zone_of

EXAMPLES = json.loads((Path(__file__).parent / "schedule-examples.json").read_text())["examples"]
CRONS = [example for example in EXAMPLES if example["expression"].startswith("cron")]
# What AWS leaves unsaid is refused, but for the last weekday of a month.
REFUSED = {example["name"] for example in CRONS if example["basis"] == "UNSAID" and " LW " not in example["expression"]}
ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "America/Vancouver",
    "Asia/Kolkata",
)
HOUR = timedelta(hours=1)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def fields(expression: str) -> str:
    return expression.removeprefix("cron(").removesuffix(")")


@pytest.mark.parametrize("example", [e for e in CRONS if e["name"] not in REFUSED], ids=lambda e: e["name"])
def test_a_cron_is_due_when_scheduler_runs_it_and_a_skipped_run_once_at_the_end_of_its_gap(example) -> None:
    runs = cron_runs(read_cron(fields(example["expression"])), zone_of(example["zone"]), moment(example["from"]))
    found = list(islice(runs, 12))
    fires = [moment(text) for text in example["fires"]]
    policy = [moment(text) for text in example.get("policy_fires", example["fires"])]
    assert [run.at for run in found if not run.moved][: len(fires)] == fires
    assert [run.at for run in found][: len(policy)] == policy


@pytest.mark.parametrize("example", [e for e in EXAMPLES if "start" in e], ids=lambda e: e["name"])
def test_an_interval_is_counted_from_its_start_in_real_hours(example) -> None:
    number, unit = re.fullmatch(r"rate\((\d+) (\w+?)s?\)", example["expression"]).groups()
    every = timedelta(**{f"{unit}s": int(number)})
    runs = rate_runs(every, moment(example["start"]), moment(example["from"]))
    assert [run.at for run in islice(runs, 5)] == [moment(text) for text in example["fires"]]
    start = moment(example["start"])
    assert next(rate_runs(every, start, start - timedelta(days=9))).at == start


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_aws_leaves_unsaid_is_refused(name: str) -> None:
    [example] = [example for example in CRONS if example["name"] == name]
    with pytest.raises(CronError, match="does not document"):
        read_cron(fields(example["expression"]))


def second_reading(zone: ZoneInfo, due, first: date, last: date) -> list[tuple[datetime, bool]]:
    """Ask each half hour what the clock shows: a time that was jumped over is due at the end of the jump."""
    at, end = (datetime.combine(day, datetime.min.time(), UTC) for day in (first, last))
    runs, before = [], None
    while at < end:
        local = at.astimezone(zone).replace(tzinfo=None)
        # Between two steps of half an hour the clock went further: it was put forward.
        missing, again = [], False
        if before is not None:
            minutes = (local - before) // timedelta(minutes=1)
            missing = [before + timedelta(minutes=n) for n in range(1, minutes)] if minutes > 30 else []
            again = at.astimezone(zone).fold == 1
        if due(local) and not again:
            runs.append((at, False))
        elif any(due(time) for time in missing):
            runs.append((at, True))
        before, at = local, at + timedelta(minutes=30)
    return runs


@pytest.mark.parametrize("zone_name", ZONES)
def test_a_second_reading_of_thirty_years_agrees_day_by_day(zone_name: str) -> None:
    """Near each change of clocks, real time is gone through in steps; on all other days each time is due once."""
    zone = zone_of(zone_name)
    first, last = date(2026, 11, 28), date(2056, 11, 28)
    plans = {
        "30 2 * * ? *": lambda t: (t.hour, t.minute) == (2, 30),
        "0 0,2 * * ? *": lambda t: t.hour in (0, 2) and t.minute == 0,
        "30 1 ? * 6L *": lambda t: (t.hour, t.minute, t.isoweekday()) == (1, 30, 5) and t.day > days_in(t) - 7,
    }
    wanted: dict[str, list[tuple[datetime, bool]]] = {text: [] for text in plans}
    changes = [day for day in (first + timedelta(days=n) for n in range((last - first).days)) if near_change(day, zone)]
    start, end = (datetime.combine(day, datetime.min.time(), UTC) for day in (first, last))
    for text, due in plans.items():
        for day in changes:
            wanted[text] += second_reading(zone, due, day, day + timedelta(days=1))
        runs = takewhile(lambda run: run.at < end, cron_runs(read_cron(text), zone, start - timedelta(minutes=1)))
        found = [(run.at, run.moved) for run in runs]
        on_change = [run for run in found if run[0].date() in set(changes)]
        assert on_change == wanted[text]
        steady = [at.astimezone(zone).replace(tzinfo=None) for at, _ in found if at.date() not in set(changes)]
        assert all(due(local) for local in steady)
        assert steady == sorted(set(steady))
        hours = {"30 2 * * ? *": 1, "0 0,2 * * ? *": 2}.get(text)
        if hours:
            assert len(steady) == hours * ((last - first).days - len(changes))


def days_in(local: datetime) -> int:
    return calendar.monthrange(local.year, local.month)[1]


def near_change(day: date, zone: ZoneInfo) -> bool:
    """Whether clocks are changed within a day of this one, which is a day in UTC."""
    noon = datetime.combine(day, datetime.min.time(), UTC)
    offsets = {(noon + timedelta(days=n)).astimezone(zone).utcoffset() for n in (-1, 0, 1, 2)}
    return len(offsets) > 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 2 * * *", "has 5 fields, and needs 6: minute, hour, day of month, month, day of week, year"),
        ("0 2 ? * MON", "in YAML, put it in double quotes: otherwise '#' begins a comment"),
        ("0 2 * * * *", "exactly one of day of month and day of week must be '?'"),
        ("0 2 ? * ? *", "exactly one of day of month and day of week must be '?'"),
        ("60 2 * * ? *", "minute: 60: must be from 0 to 59"),
        ("0 24 * * ? *", "hour: 24: must be from 0 to 23"),
        ("0 2 32 * ? *", "day of month: 32: must be from 1 to 31"),
        ("0 2 * 13 ? *", "month: 13: must be from 1 to 12 or JAN to DEC"),
        ("0 2 ? * 0 *", "day of week: 0: must be from 1 to 7 or SUN to SAT"),
        ("0 2 ? * mon *", "day of week: mon: write MON; AWS documents capital letters"),
        ("0 2 ? * MON/2 *", "day of week: MON/2: AWS knows no steps here; write the days: MON,WED,FRI"),
        ("0 2 ? * FRI-MON *", "day of week: FRI-MON: AWS does not document ranges that wrap; write FRI,SAT,SUN,MON"),
        ("0 22-2 * * ? *", "hour: 22-2: AWS does not document ranges that wrap; write 22,23,0,1,2"),
        ("0 2 ? * 3#1,6#3 *", "'#' and 'L' stand behind one day: 2#1, MON#1, 6L; a schedule of each"),
        ("0 2 ? * 2#6 *", "'#' and 'L' stand behind one day"),
        ("0 2 29W * ? *", "day of month: 29W: AWS does not say what it does in a month without that day; write LW"),
        ("0 2 L-3 * ? *", "day of month: L-3: AWS does not document it; write L, or a day such as 28"),
        ("0 2 1,L * ? *", "day of month: 1,L: AWS does not document L or W in a list; make a schedule of each"),
        ("0/0 2 * * ? *", "minute: 0/0: after '/' stands a number above 0, such as 0/2"),
        ("0 2 , * ? *", "day of month: nothing: must be from 1 to 31"),
        ("0 2 ٣ * ? *", "day of month: ٣: must be from 1 to 31"),
        ("0 2 * * ? 2200", "year: 2200: must be from 1970 to 2199"),
        ("0 2 5-3 * ? *", "day of month: 5-3: AWS does not document ranges that wrap"),
    ],
)
def test_a_cron_that_aws_does_not_document_is_refused_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(CronError, match=re.escape(words[1:])):
        read_cron(text)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("W. Europe Standard Time", "Windows' name for a zone of many countries; write Europe/Berlin"),
        ("w. europe standard time_dstoff", "Windows' name for a zone of many countries; write Europe/Berlin"),
        ("europe/berlin", "is not the IANA name of a time zone; write Europe/Berlin, if that is meant"),
        ("Europe/Berlim", "write Europe/Berlin, if that is meant"),
        ("../UTC", "is not the IANA name of a time zone"),
        ("Europe", "is not the IANA name of a time zone"),
        ("", "is not the IANA name of a time zone; write one such as Europe/Berlin or UTC"),
        ("localtime", "is not the IANA name of a time zone"),
    ],
)
def test_a_name_that_is_no_zone_of_iana_is_refused_with_what_to_write(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        zone_of(name)


def test_every_zone_of_the_package_is_taken_and_every_windows_name_leads_to_one() -> None:
    for name in available_timezones() - {"localtime", "posixrules", "Factory"}:
        assert zone_of(name).key == name
    assert len(IANA_OF) == 142
    assert {zone_of(name).key for name in IANA_OF.values()} == set(IANA_OF.values())


def test_zones_whose_sign_is_the_opposite_of_what_people_expect_are_remarked_on() -> None:
    assert remark_on("Etc/GMT+2").startswith("Etc/GMT+2 is UTC-2: ")
    assert remark_on("Etc/GMT-10").startswith("Etc/GMT-10 is UTC+10: ")
    assert [remark_on(name) for name in ("UTC", "Etc/GMT", "Europe/Berlin")] == ["", "", ""]


def test_the_command_shows_the_next_runs_and_the_nights_without_one(capsys) -> None:
    assert main(["cron(30 2 * * ? *)", "Europe/Berlin"], moment("2027-03-26T12:00Z")) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Sat 2027-03-27 02:30 CET  2027-03-27 01:30 UTC",
        "Mon 2027-03-29 02:30 CEST  2027-03-29 00:30 UTC",
        "Tue 2027-03-30 02:30 CEST  2027-03-30 00:30 UTC",
        "Wed 2027-03-31 02:30 CEST  2027-03-31 00:30 UTC",
        "Thu 2027-04-01 02:30 CEST  2027-04-01 00:30 UTC",
        "no run on Sun 2027-03-28: clocks are put forward over its time",
        "no run on Sun 2028-03-26: clocks are put forward over its time",
    ]


def test_the_command_tells_a_schedule_that_never_runs_and_a_zone_to_be_careful_with(capsys) -> None:
    assert main(["0 2 30 2 ? *", "Etc/GMT+2"], moment("2027-03-26T12:00Z")) == 1
    assert capsys.readouterr().out.startswith("It never runs.\nEtc/GMT+2 is UTC-2")
    for arguments in (["0 2 * * *"], ["0 2 * * ? *", "Berlin"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments, moment("2027-03-26T12:00Z"))
        assert ended.value.code == 2
