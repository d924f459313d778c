"""What has to change in Scheduler: every field of every schedule is compared."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from quiesce.policy.policy import Policy
from quiesce.schedules.changes import changes
from quiesce.schedules.wanted import Target, wanted
from tests.support.factories.run import a_policy_document

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
TARGET = Target("arn:machine", "arn:role", "arn:queue")
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def definitions(now: datetime = NOW, start: datetime = LONG_AGO, *, paused: bool = False, **schedule: Any) -> Any:
    policy = Policy.model_validate(a_policy_document(schedules=[schedule or {"cron": "0 2 * * ? *"}]))
    key = policy.schedules[0].key("UTC")
    return wanted(policy, {key: start}, TARGET, now, paused=paused).schedules


def test_what_is_as_it_has_to_be_is_left_alone() -> None:
    found = changes(definitions(), definitions(), NOW)
    assert (found.create, found.update, found.delete, found.words) == ({}, {}, [], [])


FOREIGN = {
    "ScheduleExpression": "cron(0 3 * * ? *)",
    "ScheduleExpressionTimezone": "Europe/Berlin",
    "State": "DISABLED",
    "Description": "mine",
    "FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15},
    "ActionAfterCompletion": "DELETE",
    "StartDate": NOW + timedelta(days=1),
    "EndDate": NOW + timedelta(days=1),
    "KmsKeyArn": "arn:key",
}


@pytest.mark.parametrize("field", FOREIGN)
def test_a_field_that_another_hand_changed_is_set_back_and_named(field: str) -> None:
    [(name, good)] = definitions().items()
    found = changes({name: good}, {name: {**good, field: FOREIGN[field]}}, NOW)
    assert found.update == {name: good}
    assert found.words == [f"{name} set back in {field} ({good['Description']})"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("Arn", "arn:other"), ("RoleArn", "x"), ("Input", "{}"), ("DeadLetterConfig", {}), ("RetryPolicy", {})],
)
def test_a_part_of_the_target_that_another_hand_changed_is_set_back(field: str, value: Any) -> None:
    [(name, good)] = definitions().items()
    found = changes({name: good}, {name: {**good, "Target": {**good["Target"], field: value}}}, NOW)
    assert list(found.update) == [name]


def test_a_start_that_has_passed_counts_as_none() -> None:
    [(name, good)] = definitions().items()
    assert changes({name: good}, {name: {**good, "StartDate": NOW - timedelta(days=1)}}, NOW).update == {}


@pytest.mark.parametrize(("moved", "drifted"), [(timedelta(hours=12), False), (timedelta(hours=5), True)])
def test_an_interval_with_another_start_is_the_same_only_at_the_same_times(moved: timedelta, drifted: bool) -> None:
    [(name, good)] = definitions(every="6h").items()
    assert good["StartDate"] == NOW + timedelta(hours=6)
    earlier = {**good, "StartDate": good["StartDate"] - moved}
    assert bool(changes({name: good}, {name: earlier}, NOW).update) == drifted


def test_an_interval_without_a_start_or_with_a_later_one_is_set_back() -> None:
    [(name, good)] = definitions(every="6h").items()
    without = {key: value for key, value in good.items() if key != "StartDate"}
    for other in (without, {**good, "StartDate": good["StartDate"] + timedelta(hours=6)}):
        assert list(changes({name: good}, {name: other}, NOW).update) == [name]


@pytest.mark.parametrize(
    ("every", "rate"),
    [
        ("90m", "90 minutes"),
        ("60m", "1 hour"),
        ("6h", "6 hours"),
        ("24h", "1 day"),
        ("7d", "7 days"),
        ("5m", "5 minutes"),
    ],
)
def test_an_interval_is_written_as_scheduler_takes_it(every: str, rate: str) -> None:
    [given] = definitions(every=every).values()
    assert given["ScheduleExpression"] == f"rate({rate})"


def test_from_is_sent_only_while_it_is_ahead_and_until_always() -> None:
    [ahead] = definitions(cron="0 2 * * ? *", **{"from": "2026-12-01", "until": "2026-12-31"}).values()
    assert ahead["StartDate"] == datetime(2026, 12, 1, tzinfo=UTC)
    assert ahead["EndDate"] == datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    [past] = definitions(cron="0 2 * * ? *", **{"from": "2026-11-01"}).values()
    assert "StartDate" not in past


def test_an_interval_with_a_from_begins_there() -> None:
    [ahead] = definitions(every="6h", **{"from": "2026-12-01"}).values()
    [past] = definitions(every="6h", **{"from": "2026-11-01 03:00"}).values()
    assert ahead["StartDate"] == datetime(2026, 12, 1, tzinfo=UTC)
    assert past["StartDate"] == datetime(2026, 11, 29, 15, tzinfo=UTC)


def test_a_schedule_that_is_off_or_paused_is_there_and_disabled() -> None:
    [off] = definitions(cron="0 2 * * ? *", enabled=False).values()
    [paused] = definitions(paused=True).values()
    assert (off["State"], paused["State"]) == ("DISABLED", "DISABLED")


def test_a_one_time_schedule_may_be_starting_for_a_day_and_goes_then() -> None:
    once = {"ScheduleExpression": "at(2026-11-29T11:00:00)", "ScheduleExpressionTimezone": "UTC", "Description": "x"}
    ahead = {**once, "ScheduleExpression": "at(2026-11-29T13:00:00)"}
    odd = {**once, "ScheduleExpression": "at(soon)"}
    assert changes({}, {"a": once}, NOW).delete == []
    assert changes({}, {"a": once}, NOW + timedelta(days=1)).delete == ["a"]
    assert changes({}, {"a": ahead, "b": odd}, NOW).delete == ["a", "b"]
