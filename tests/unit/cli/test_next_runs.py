"""When policies start next: on the schedule's clock, in UTC, and with what is left out."""

from datetime import UTC, datetime, timedelta

from quiesce_cli.answers.next_runs import coming
from quiesce_cli.answers.shapes import NextRuns
from quiesce_cli.views import next_runs as view

from quiesce.policy.policy import Policy
from tests.support.factories.run import INSTANCE
from tests.unit.cli.test_views import NARROW, local, printed

NOW = datetime(2026, 3, 27, 12, 0, tzinfo=UTC)


def a_policy(*schedules: dict[str, object], **changes: object) -> Policy:
    fields = {"name": "p", "timezone": "Europe/Berlin", "targets": [{"instance_id": INSTANCE}], "schedules": schedules}
    return Policy.model_validate({**fields, **changes})


def test_a_night_of_the_schedules_zone_is_shown_on_its_clock_and_in_utc() -> None:
    first, second = coming(a_policy({"cron": "30 23 * * ? *"}), {}, NOW, 2)
    assert (first.clock, first.at, first.zone) == (
        "Fri 2026-03-27 23:30",
        datetime(2026, 3, 27, 22, 30, tzinfo=UTC),
        "Europe/Berlin",
    )
    assert second.clock == "Sat 2026-03-28 23:30"


def test_the_night_on_which_clocks_are_put_forward_is_told() -> None:
    runs = coming(a_policy({"cron": "30 2 * * ? *"}), {}, NOW, 3)
    assert [(run.clock, run.moved) for run in runs] == [
        ("Sat 2026-03-28 02:30", False),
        ("Sun 2026-03-29 03:00", True),
        ("Mon 2026-03-30 02:30", False),
    ]


def test_what_except_leaves_out_is_listed_with_the_reason() -> None:
    runs = coming(a_policy({"cron": "0 20 * * ? *"}, **{"except": ["Sat,Sun"]}), {}, NOW, 3)
    assert [bool(run.left_out) for run in runs] == [False, True, True]
    assert runs[1].left_out == "'except' has Sat,Sun"


def test_an_interval_goes_on_from_its_first_run_and_a_disabled_schedule_never_runs() -> None:
    policy = a_policy({"every": "6h"}, {"cron": "* * * * ? *", "enabled": False})
    key = policy.schedules[0].key("Europe/Berlin")
    runs = coming(policy, {key: NOW - timedelta(hours=1)}, NOW, 2)
    assert [run.at for run in runs] == [NOW + timedelta(hours=5), NOW + timedelta(hours=11)]


def test_several_schedules_are_one_list_in_the_order_of_time_that_fits_a_narrow_terminal() -> None:
    policy = a_policy({"cron": "0 20 * * ? *"}, {"cron": "0 8 ? * MON *"}, **{"except": ["Sat,Sun"]})
    runs = coming(policy, {}, NOW, 5)
    assert [run.at for run in runs] == sorted(run.at for run in runs)
    answer = NextRuns(runs=runs, paused=True, remarks=["all schedules are paused"])
    narrow = printed(view.lines(answer, local), NARROW)
    assert max(map(len, narrow.splitlines())) <= NARROW
    assert "nothing is backed up: 'except' has Sat,Sun" in narrow
    wide = printed(view.lines(answer, local), None).splitlines()
    assert wide[0] == "✗ all schedules are paused"
    assert "Fri 2026-03-27 20:00" in wide[2]


def test_no_schedule_is_said_to_be_none() -> None:
    text = printed(view.lines(NextRuns(runs=[], paused=False, remarks=[]), local), None)
    assert text == "No schedule starts a policy.\n"
