"""Whether a scheduled start goes on: blackouts and lateness by the time for which it was scheduled."""

from datetime import UTC, datetime, timedelta
from typing import Any

from quiesce.policy.policy import Policy
from quiesce.schedules.starts import Start, judge_start
from tests.support.factories.run import a_policy_document

# A Sunday; in Berlin it is an hour later.
SCHEDULED = "2026-11-29T01:00:00Z"
AT = datetime(2026, 11, 29, 1, tzinfo=UTC)


def a_policy(**changes: Any) -> Policy:
    document = a_policy_document(
        timezone="Europe/Berlin", schedules=[{"cron": "0 2 * * ? *"}], **{"except": ["Sat 22:00-01:30"]}
    )
    return Policy.model_validate(document | changes)


def judged(policy: Policy, at: datetime = AT, late: timedelta = timedelta(), number: int = 0) -> Start:
    name = policy.schedule_name(policy.schedules[number])
    return judge_start(policy, name, f"{at:%Y-%m-%dT%H:%M:%SZ}", at + late)


def test_a_start_in_time_goes_on_without_a_word() -> None:
    assert judged(a_policy(), late=timedelta(minutes=59)) == Start()


def test_a_start_in_a_blackout_is_skipped_by_the_time_for_which_it_was_scheduled() -> None:
    """Not by the time at which it came: half an hour late it would be outside."""
    start = judged(a_policy(), AT - timedelta(minutes=45), late=timedelta(minutes=30))
    assert start.skipped == (
        "scheduled for 2026-11-29 01:15 in Europe/Berlin, which 'except' leaves out: Sat 22:00-01:30"
    )
    assert not start.told


def test_a_blackout_is_on_the_clock_of_the_schedule_that_started_the_run() -> None:
    schedules = [{"cron": "0 2 * * ? *"}, {"cron": "30 5 * * ? *", "timezone": "Asia/Kolkata"}]
    policy = a_policy(schedules=schedules, **{"except": ["05:00-06:00"]})
    at = datetime(2026, 11, 29, 0, 0, tzinfo=UTC)
    assert "05:30 in Asia/Kolkata" in judged(policy, at, number=1).skipped
    assert not judged(policy, AT).skipped


def test_a_start_later_than_latest_start_is_skipped_and_told() -> None:
    start = judged(a_policy(latest_start="30m"), late=timedelta(minutes=30, seconds=1))
    assert start.told
    assert "started 0:30:01 later, and latest_start is 30m" in start.skipped


def test_a_time_that_is_not_among_ours_is_noted() -> None:
    """As where Scheduler's data of a zone is another than the layer's."""
    [note] = judged(a_policy(), AT + timedelta(hours=1)).notes
    assert note == (
        "by quiesce's zone data cron 0 2 * * ? * in Europe/Berlin is not due at 2026-11-29 02:00 UTC, "
        "for which Scheduler started it"
    )


def test_the_end_of_a_gap_is_among_our_times() -> None:
    policy = a_policy(schedules=[{"cron": "30 2 * * ? *"}])
    assert judged(policy, datetime(2027, 3, 28, 1, tzinfo=UTC)).notes == []


def test_a_schedule_that_the_policy_has_no_more_is_noted_and_its_run_goes_on() -> None:
    assert judge_start(a_policy(), "files.00000000", SCHEDULED, AT) == Start(
        notes=["the policy no longer has the schedule files.00000000 that started it"]
    )


def test_an_interval_is_at_no_time_of_the_clock() -> None:
    assert judged(a_policy(schedules=[{"every": "6h"}])).notes == []
