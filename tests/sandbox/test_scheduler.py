"""The sandbox's EventBridge Scheduler refuses what AWS refuses or is not known to take, and starts what is due."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sandbox.aws.scheduling import PAGE, Scheduler, SchedulerError, runs_of

EXAMPLES = json.loads((Path(__file__).parents[1] / "unit" / "policy" / "schedule-examples.json").read_text())[
    "examples"
]
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:missed"
TARGET = {
    "Arn": "arn:aws:states:eu-central-1:123456789012:stateMachine:m",
    "RoleArn": "arn:aws:iam::123456789012:role/r",
}
GOOD = {
    "Name": "nightly",
    "GroupName": "ours",
    "ScheduleExpression": "cron(0 2 * * ? *)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {**TARGET, "Input": '{"at": "<aws.scheduler.scheduled-time>"}', "DeadLetterConfig": {"Arn": QUEUE}},
}


class World:
    """A clock, what was started, and Scheduler."""

    def __init__(self) -> None:
        self.now_s, self.started, self.broken = NOW, [], False
        self.scheduler = Scheduler(lambda: self.now_s, self.deliver)
        self.scheduler.make_group("ours")

    def deliver(self, _target, text):
        if self.broken:
            raise ValueError("no such machine")
        self.started.append(json.loads(text)["at"])

    def create(self, **changes):
        return self.scheduler.call("CreateSchedule", {**GOOD, **changes})

    def pass_until(self, *times):
        self.now_s = datetime(*times, tzinfo=UTC).timestamp()
        self.scheduler.advance()


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize(
    "changes",
    [
        {"ScheduleExpression": "nonsense"},
        {"ScheduleExpression": "cron(0 2 * * *)"},
        {"ScheduleExpression": "cron(0 2 ? * FRI-MON *)"},
        {"ScheduleExpression": "rate(0 minutes)"},
        {"ScheduleExpression": "rate(1 minutes)"},
        {"ScheduleExpression": "at(2026-11-29T11:59:59)"},
        {"ScheduleExpression": "x" * 257},
        {"ScheduleExpressionTimezone": "W. Europe Standard Time"},
        {"ScheduleExpressionTimezone": "x" * 51},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}},
        {"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1441}},
        {"State": "ON"},
        {"Name": "x" * 65},
        {"Name": "a b"},
        {"StartDate": NOW - 86400},
        {"EndDate": NOW - 1},
        {"StartDate": NOW + 7200, "EndDate": NOW + 3600},
        {"Description": "x" * 513},
        {"Colour": "red"},
        {"Target": {**TARGET, "Input": "x" * 10}},
        {"Target": {**TARGET, "Input": json.dumps("x" * 300_000)}},
        {"Target": {**TARGET, "RetryPolicy": {"MaximumEventAgeInSeconds": 10}}},
        {"Target": {**TARGET, "DeadLetterConfig": {"Arn": f"{QUEUE}.fifo"}}},
    ],
)
def test_what_aws_refuses_or_is_not_known_to_take_is_refused(world, changes):
    with pytest.raises(SchedulerError, match="ValidationException"):
        world.create(**changes)
    assert world.scheduler.schedules == {}


def test_names_are_taken_once_and_groups_must_be_there(world):
    world.create()
    with pytest.raises(SchedulerError, match="ConflictException"):
        world.create()
    with pytest.raises(SchedulerError, match="ResourceNotFoundException"):
        world.create(GroupName="theirs")
    for operation in ("GetSchedule", "DeleteSchedule"):
        with pytest.raises(SchedulerError, match="ResourceNotFoundException"):
            world.scheduler.call(operation, {"Name": "weekly", "GroupName": "ours"})


def test_an_update_sets_what_it_leaves_out_back_to_the_default(world):
    world.create(State="DISABLED", ScheduleExpressionTimezone="Europe/Berlin", EndDate=NOW + 86400)
    world.scheduler.call("UpdateSchedule", GOOD)
    found = world.scheduler.call("GetSchedule", {"Name": "nightly", "GroupName": "ours"})
    assert (found["State"], found["ScheduleExpressionTimezone"], found.get("EndDate")) == ("ENABLED", "UTC", None)


def test_a_list_has_pages_of_a_hundred_at_most(world):
    for number in range(PAGE + 5):
        world.create(Name=f"policy.{number:03}")
    first = world.scheduler.call("ListSchedules", {"GroupName": "ours"})
    rest = world.scheduler.call("ListSchedules", {"GroupName": "ours", "NextToken": first["NextToken"]})
    assert (len(first["Schedules"]), len(rest["Schedules"]), "NextToken" in rest) == (PAGE, 5, False)
    assert world.scheduler.call("ListSchedules", {"GroupName": "ours", "NamePrefix": "other"})["Schedules"] == []


@pytest.mark.parametrize("example", [e for e in EXAMPLES if e["basis"] == "documented"], ids=lambda e: e["name"])
def test_starts_are_those_of_the_examples_and_no_skipped_time_is_made_up(example):
    given = {"ScheduleExpression": example["expression"], "ScheduleExpressionTimezone": example["zone"]}
    if "start" in example:
        given["StartDate"] = datetime.fromisoformat(example["start"].replace("Z", "+00:00")).timestamp()
    after = datetime.fromisoformat(example["from"].replace("Z", "+00:00")).timestamp()
    runs = runs_of(given, after)
    assert [f"{next(runs):%Y-%m-%dT%H:%MZ}" for _ in example["fires"]] == example["fires"]


def test_each_time_starts_once_and_what_is_disabled_not_even_later(world):
    world.create()
    world.pass_until(2026, 11, 30, 2, 0, 30)
    world.pass_until(2026, 11, 30, 2, 0, 40)
    world.scheduler.call("UpdateSchedule", {**GOOD, "State": "DISABLED"})
    world.pass_until(2026, 12, 1, 3)
    world.scheduler.call("UpdateSchedule", GOOD)
    world.pass_until(2026, 12, 1, 4)
    assert world.started == ["2026-11-30T02:00:00Z"]


def test_what_rests_starts_only_when_it_is_told_to_and_what_is_made_later_does_not_rest(world):
    world.create()
    world.scheduler.rest()
    world.create(Name="later", ScheduleExpression="cron(0 4 * * ? *)")
    world.pass_until(2026, 11, 30, 5)
    assert world.started == ["2026-11-30T04:00:00Z"]
    world.scheduler.fire("ours", GOOD["Name"], datetime(2026, 11, 30, 2, tzinfo=UTC))
    assert world.started[1:] == ["2026-11-30T02:00:00Z"]
    world.scheduler.call("UpdateSchedule", GOOD)
    world.pass_until(2026, 12, 1, 3)
    assert world.started[2:] == ["2026-12-01T02:00:00Z"]


def test_a_rate_without_a_start_starts_at_once_and_one_with_a_start_then(world):
    world.create(ScheduleExpression="rate(6 hours)")
    world.create(Name="later", ScheduleExpression="rate(6 hours)", StartDate=NOW + 3600)
    world.scheduler.advance()
    assert world.started == ["2026-11-29T12:00:00Z"]
    world.pass_until(2026, 11, 29, 13)
    assert world.started == ["2026-11-29T12:00:00Z", "2026-11-29T13:00:00Z"]


def test_a_one_time_schedule_is_gone_afterwards_if_it_says_so(world):
    world.create(ScheduleExpression="at(2026-11-30T01:00:00)", ActionAfterCompletion="DELETE")
    world.pass_until(2026, 11, 30, 1)
    assert (world.started, world.scheduler.schedules) == (["2026-11-30T01:00:00Z"], {})


def test_a_start_that_fails_is_a_dead_letter_and_keeps_no_other_from_starting(world):
    world.create()
    world.broken = True
    world.pass_until(2026, 11, 30, 2)
    [(queue, text)] = world.scheduler.dead_letters
    assert queue == QUEUE
    assert "no such machine" in text


def test_a_schedule_that_was_deleted_when_it_became_due_starts_nothing(world):
    """An earlier start of the same moment deletes it, as a stack that is being deleted does."""
    world.create()
    world.create(Name="other")
    world.scheduler.deliver = lambda target, text: [world.deliver(target, text), world.scheduler.delete_group("ours")]
    world.pass_until(2026, 11, 30, 2)
    assert world.started == ["2026-11-30T02:00:00Z"]


def test_a_start_that_failed_is_lost_where_its_queue_is_gone(aws):
    """While a stack is deleted, its queue may go before its schedules; the others must go on being started."""
    from sandbox.aws.scheduler import burier

    burier(aws.client)(f"{QUEUE}-that-is-gone", "{}", {"ERROR_CODE": "StateMachineDoesNotExist"})


def test_a_deleted_group_takes_its_schedules_with_it(world):
    world.create()
    world.scheduler.delete_group("ours")
    assert world.scheduler.schedules == {}


def test_cloudformation_makes_schedules_with_their_zone(aws, probe_outputs):
    scheduler = aws.client("scheduler")
    name = next(s["Name"] for s in scheduler.list_schedules()["Schedules"] if "Nightly" in s["Name"])
    found = scheduler.get_schedule(Name=name)
    assert (found["ScheduleExpressionTimezone"], found["State"]) == ("Europe/Berlin", "DISABLED")
