"""Schedule: a policy's file is the truth, whatever becomes of events, answers and other hands."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from quiesce.errors import AccessDenied, AwsThrottled, AwsUnavailable
from tests.support.environment import BUCKET, SCHEDULE_GROUP, TABLE
from tests.support.factories.run import INSTANCE
from tests.support.machine import APPS
from tests.support.wire import FunctionDied, answer_lost, dies_after, dies_before, refused

NIGHTLY = f'name: orders\nschedules: [{{cron: "0 2 * * ? *"}}]\ntargets: [{{instance_id: {INSTANCE}}}]\n'
PAUSE = "policies/_pause.yaml"


@pytest.fixture
def files(cloud):
    """Put, read and delete files of the bucket, as a person does."""

    def put(text, name="orders", key=None):
        cloud.s3.put_object(Bucket=BUCKET, Key=key or f"policies/{name}.yaml", Body=text.encode())

    def delete(name="orders", key=None):
        cloud.s3.delete_object(Bucket=BUCKET, Key=key or f"policies/{name}.yaml")

    return SimpleNamespace(put=put, delete=delete)


@pytest.fixture
def look(cloud, clock, wire):
    """Call the function with an event of S3 for a policy's file, or with the daily event."""

    def look(name=None, key=None):
        key = key or (f"policies/{name}.yaml" if name else None)
        event = {"source": "aws.s3", "detail": {"object": {"key": key}}} if key else {"source": "aws.scheduler"}
        with wire.listen():
            return json.loads(json.dumps(APPS["schedule"].handler(event, SimpleNamespace())))

    return look


@pytest.fixture
def schedules(cloud):
    """Return what Scheduler holds in the stack's group, by name."""

    def schedules():
        return {key[1]: stored.given for key, stored in cloud.scheduler.schedules.items() if key[0] == SCHEDULE_GROUP}

    return schedules


def test_a_file_that_is_put_has_its_schedules_and_they_start_its_policy(cloud, files, look, schedules):
    files.put(NIGHTLY.replace("targets", "timezone: Europe/Berlin\nlatest_start: 2h\ntargets"))
    look("orders")
    [(name, given)] = schedules().items()
    assert given["ScheduleExpression"] == "cron(0 2 * * ? *)"
    assert (given["ScheduleExpressionTimezone"], given["State"]) == ("Europe/Berlin", "ENABLED")
    assert given["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] == 7200
    cloud.scheduler.fire(SCHEDULE_GROUP, name, datetime(2026, 11, 30, 1, tzinfo=UTC))
    assert cloud.started == [{"policy": "orders", "scheduled_time": "2026-11-30T01:00:00Z", "schedule": name}]
    assert cloud.mails() == []


def test_an_event_that_comes_twice_or_too_late_changes_nothing(files, look, schedules, wire):
    files.put(NIGHTLY)
    look("orders")
    before = schedules()
    assert look("orders")["changed"] == []
    assert schedules() == before
    files.delete()
    look("orders")
    # The event of the file's first version arrives now: the object as it is now counts.
    look("orders")
    assert schedules() == {}


def test_a_file_that_is_deleted_takes_its_schedules_with_it_and_no_recovery_point(cloud, files, look, schedules):
    files.put(NIGHTLY)
    files.put(NIGHTLY.replace("orders", "orders-2"), "orders-2")
    cloud.s3.put_object(Bucket=BUCKET, Key=f"records/{INSTANCE}/run.json", Body=b"{}")
    look("orders")
    look("orders-2")
    files.delete()
    look("orders")
    assert [name.partition(".")[0] for name in schedules()] == ["orders-2"]
    assert ("policies", "in-force#orders") not in cloud.items()
    assert list(cloud.records()) == [f"records/{INSTANCE}/run.json"]


def test_a_file_that_is_deleted_and_put_again_has_its_schedules_again(files, look, schedules):
    files.put(NIGHTLY)
    look("orders")
    before = schedules()
    files.delete()
    files.put(NIGHTLY)
    look("orders")
    look("orders")
    assert schedules() == before


def test_a_changed_file_changes_its_schedules_and_is_never_without_one(files, look, schedules, wire):
    files.put(NIGHTLY)
    look("orders")
    [old] = schedules()
    files.put(NIGHTLY.replace("0 2 *", "30 3 *"))
    wire.sent.clear()
    look("orders")
    [new] = schedules()
    assert new != old
    changes = [call for call in wire.sent if call in ("scheduler:CreateSchedule", "scheduler:DeleteSchedule")]
    assert changes == ["scheduler:CreateSchedule", "scheduler:DeleteSchedule"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (NIGHTLY.replace("0 2 *", "0 25 *"), "hour: 25: must be from 0 to 23"),
        ("name: orders: x\n", "line 1, column 13"),
        (NIGHTLY.replace("orders", "other"), "is 'other', but the file is 'orders.yaml'"),
        ("#" * 70_000, "has more than 65536 bytes"),
    ],
)
def test_a_bad_file_changes_nothing_and_is_told_once_with_its_place(cloud, files, look, schedules, text, words):
    files.put(NIGHTLY)
    look("orders")
    before, item = schedules(), cloud.items()["policies", "in-force#orders"]
    files.put(text)
    look("orders")
    look("orders")
    assert (schedules(), cloud.items()["policies", "in-force#orders"]) == (before, item)
    [(subject, mail)] = cloud.mails()
    assert subject == "Policy refused: orders"
    assert words in mail
    assert "stays in force" in mail


def test_a_bad_first_file_has_no_schedules_and_the_mail_says_that_nothing_is_in_force(cloud, files, look, schedules):
    files.put("name: orders\n")
    look("orders")
    assert schedules() == {}
    assert "No text of this policy is in force" in cloud.mails()[0][1]


def test_a_file_that_is_good_again_is_told_and_in_force(cloud, files, look, schedules):
    for text in (NIGHTLY, "x", NIGHTLY.replace("0 2 *", "0 3 *")):
        files.put(text)
        look("orders")
    assert [subject for subject, _ in cloud.mails()] == ["Policy refused: orders", "Policy good again: orders"]
    [given] = schedules().values()
    assert given["ScheduleExpression"] == "cron(0 3 * * ? *)"


def test_a_mail_that_could_not_be_sent_is_sent_by_the_next_look(cloud, files, look, wire):
    files.put("x")
    wire.on("sns:Publish", dies_before)
    with pytest.raises(FunctionDied):
        look("orders")
    assert cloud.mails() == []
    look("orders")
    assert len(cloud.mails()) == 1


@pytest.mark.parametrize("fault", [dies_before, dies_after])
@pytest.mark.parametrize("call", ["CreateSchedule", "DeleteSchedule"])
def test_a_look_that_dies_between_two_calls_is_made_good_by_the_next_one(call, fault, files, look, schedules, wire):
    files.put(NIGHTLY)
    look("orders")
    files.put(NIGHTLY.replace("0 2 *", "0 3 *"))
    wire.on(f"scheduler:{call}", fault)
    with pytest.raises(FunctionDied):
        look("orders")
    assert schedules(), "a policy that is changed is never without a schedule"
    look("orders")
    [given] = schedules().values()
    assert given["ScheduleExpression"] == "cron(0 3 * * ? *)"


@pytest.mark.parametrize("call", ["CreateSchedule", "DeleteSchedule"])
def test_a_lost_answer_is_asked_for_again_and_the_outcome_is_the_same(call, files, look, schedules, wire):
    files.put(NIGHTLY)
    look("orders")
    files.put(NIGHTLY.replace("0 2 *", "0 3 *"))
    wire.on(f"scheduler:{call}", answer_lost)
    look("orders")
    [given] = schedules().values()
    assert given["ScheduleExpression"] == "cron(0 3 * * ? *)"


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 429, AwsThrottled),
        ("InternalServerException", 500, AwsUnavailable),
        ("AccessDeniedException", 403, AccessDenied),
    ],
)
def test_scheduler_that_does_not_answer_has_the_event_delivered_again(code, status, error, files, look, wire):
    files.put(NIGHTLY)
    wire.on("scheduler:CreateSchedule", refused(code, status), times=4 if status != 403 else 1)
    with pytest.raises(error):
        look("orders")


def test_what_scheduler_refuses_is_told_and_the_rest_of_the_policy_is_in_force(cloud, files, look, schedules, wire):
    files.put(NIGHTLY.replace("[{cron", '[{cron: "0 5 * * ? *"}, {cron'))
    wire.on("scheduler:CreateSchedule", refused("ValidationException", 400, "Invalid Schedule Expression."))
    look("orders")
    assert [given["ScheduleExpression"] for given in schedules().values()] == ["cron(0 2 * * ? *)"]
    [(subject, mail)] = cloud.mails()
    assert subject == "Schedules refused: policy orders"
    assert "Invalid Schedule Expression." in mail


def test_two_looks_at_once_end_with_the_newest_file(files, look, schedules, wire):
    """The one that read the old file writes last, as after a pause of its process."""
    files.put(NIGHTLY)

    def meanwhile(request, effect):
        files.put(NIGHTLY.replace("0 2 *", "0 3 *"))
        with wire.listen(on=False):
            APPS["schedule"].handler(
                {"source": "aws.s3", "detail": {"object": {"key": "policies/orders.yaml"}}}, SimpleNamespace()
            )
        return effect()

    wire.on("scheduler:CreateSchedule", meanwhile)
    look("orders")
    [given] = schedules().values()
    assert given["ScheduleExpression"] == "cron(0 3 * * ? *)"


def test_an_interval_starts_an_interval_after_its_file_and_keeps_its_start(cloud, files, look, schedules, clock):
    files.put(NIGHTLY.replace('cron: "0 2 * * ? *"', "every: 6h"))
    look("orders")
    [given] = schedules().values()
    assert given["ScheduleExpression"] == "rate(6 hours)"
    first = given["StartDate"]
    assert clock.now_s + 6 * 3600 <= first <= clock.now_s + 6 * 3600 + 60
    clock.now_s += 9 * 3600
    assert look("orders")["changed"] == []
    files.put(NIGHTLY.replace('cron: "0 2 * * ? *"', "every: 6h, enabled: false"))
    look("orders")
    [given] = schedules().values()
    assert (given["State"], given["StartDate"]) == ("DISABLED", first + 6 * 3600)


def test_the_daily_pass_mends_what_other_hands_changed_and_says_what(cloud, files, look, schedules):
    files.put(NIGHTLY)
    look("orders")
    [name] = schedules()
    stored = cloud.scheduler.schedules[SCHEDULE_GROUP, name]
    good = dict(stored.given)
    stored.given |= {"State": "DISABLED", "ScheduleExpression": "cron(0 5 * * ? *)"}
    cloud.scheduler.schedules[SCHEDULE_GROUP, "orders.00000000"] = stored
    cloud.scheduler.schedules[SCHEDULE_GROUP, "by-hand"] = stored
    look()
    assert schedules() == {name: good}
    [(subject, mail)] = cloud.mails()
    assert subject == "Schedules mended: quiesce"
    assert f"{name} set back in ScheduleExpression, State" in mail
    assert "orders.00000000 deleted" in mail
    assert "by-hand deleted" in mail


def test_the_daily_pass_that_finds_all_as_it_has_to_be_sends_nothing(cloud, files, look):
    files.put(NIGHTLY)
    look()
    mails = len(cloud.mails())
    look()
    assert len(cloud.mails()) == mails


def test_the_first_pass_makes_the_schedules_of_all_files(files, look, schedules):
    for number in range(3):
        files.put(NIGHTLY.replace("orders", f"policy-{number}"), f"policy-{number}")
    look()
    assert [name.partition(".")[0] for name in sorted(schedules())] == ["policy-0", "policy-1", "policy-2"]


def test_the_pass_goes_through_all_pages(cloud, files, look, schedules):
    crons = ", ".join(f'{{cron: "{minute} 2 * * ? *"}}' for minute in range(20))
    for number in range(6):
        text = NIGHTLY.replace("orders", f"policy-{number}").replace('{cron: "0 2 * * ? *"}', crons)
        files.put(text, f"policy-{number}")
    look()
    assert len(schedules()) == 120
    assert look()["outcomes"][0]["changed"] == []
    for number in range(6):
        files.delete(f"policy-{number}")
    look()
    assert schedules() == {}


def test_a_policy_that_aws_does_not_answer_for_keeps_no_other_from_being_settled(files, look, schedules, wire):
    for name in ("a", "b"):
        files.put(NIGHTLY.replace("orders", name), name)
    wire.on("scheduler:CreateSchedule", refused("AccessDeniedException", 403))
    with pytest.raises(AccessDenied):
        look()
    assert [name.partition(".")[0] for name in schedules()] == ["b"]


def test_the_pass_tells_of_files_that_are_refused_and_of_those_that_are_no_policies(cloud, files, look):
    files.put("x")
    files.put("x", key="policies/sales.yml")
    look()
    [(subject, mail)] = cloud.mails()
    assert subject == "Policies refused: quiesce"
    assert f"s3://{BUCKET}/policies/orders.yaml" in mail
    assert f"No policy: s3://{BUCKET}/policies/sales.yml. A policy's file is policies/<name>.yaml." in mail


def test_one_file_pauses_all_schedules_and_is_told_each_day_until_it_is_gone(cloud, files, look, schedules):
    files.put(NIGHTLY)
    look("orders")
    files.put("reason: move\n", key=PAUSE)
    look(key=PAUSE)
    assert {given["State"] for given in schedules().values()} == {"DISABLED"}
    files.put(NIGHTLY.replace("orders", "new"), "new")
    look("new")
    assert {given["State"] for given in schedules().values()} == {"DISABLED"}
    look()
    look()
    files.delete(key=PAUSE)
    look(key=PAUSE)
    assert {given["State"] for given in schedules().values()} == {"ENABLED"}
    assert [subject for subject, _ in cloud.mails()] == [
        *["Schedules paused: quiesce"] * 3,
        "Schedules run again: quiesce",
    ]


def test_a_night_that_the_clock_skips_has_a_schedule_of_its_own_that_starts_the_policy_once(
    cloud, files, look, schedules, clock
):
    files.put(NIGHTLY.replace("0 2 *", "30 2 *").replace("targets", "timezone: Europe/Berlin\ntargets"))
    clock.now_s = datetime(2027, 3, 24, 12, tzinfo=UTC).timestamp()
    look()
    assert len(schedules()) == 1
    clock.now_s += timedelta(days=2).total_seconds()
    look()
    [plain, once] = sorted(schedules())
    assert once == f"{plain}.20270328"
    assert schedules()[once]["ScheduleExpression"] == "at(2027-03-28T01:00:00)"
    assert schedules()[once]["ScheduleExpressionTimezone"] == "UTC"
    mails = len(cloud.mails())
    clock.now_s += timedelta(days=2).total_seconds()
    cloud.scheduler.advance()
    nights = [start["scheduled_time"] for start in cloud.started]
    assert nights == [f"2027-03-{night}Z" for night in ("25T01:30:00", "26T01:30:00", "27T01:30:00", "28T01:00:00")]
    assert {start["schedule"] for start in cloud.started} == {plain}
    look()
    assert list(schedules()) == [plain]
    assert len(cloud.mails()) == mails


def test_a_schedule_that_is_over_is_left_out_and_the_mail_says_so(cloud, files, look, schedules):
    files.put(NIGHTLY.replace('* ? *"', '* ? *", until: 2026-01-01'))
    look("orders")
    assert schedules() == {}
    [(subject, mail)] = cloud.mails()
    assert subject == "Policy taken, with notes: orders"
    assert "never runs again, and is left out" in mail


def test_a_zone_whose_sign_is_the_opposite_is_remarked_on(cloud, files, look):
    files.put(NIGHTLY.replace("targets", "timezone: Etc/GMT+2\ntargets"))
    look("orders")
    assert "Etc/GMT+2 is UTC-2" in cloud.mails()[0][1]


def test_what_a_lock_costs_beyond_the_rule_is_told_once(cloud, files, look):
    files.put(f"{NIGHTLY}keep: {{daily: 14}}\nlock: {{mode: governance, days: 30}}\n")
    look("orders")
    look("orders")
    [(subject, mail)] = cloud.mails()
    assert subject == "Policy taken, with notes: orders"
    assert "they stay 16 days longer, and each GiB that only they hold costs $0.03 more ($0.05 a month)" in mail


def test_a_bad_file_without_a_text_in_force_leaves_the_schedules_that_are_there(cloud, files, look, schedules):
    """As after an update of the stack that refuses what an older one took."""
    files.put(NIGHTLY)
    look("orders")
    before = schedules()
    key = {"pk": {"S": "policies"}, "sk": {"S": "in-force#orders"}}
    cloud.dynamodb.delete_item(TableName=TABLE, Key=key)
    files.put("x")
    look("orders")
    assert schedules() == before


def test_a_bad_file_that_only_the_look_after_a_pause_has_seen_is_told_by_the_next_one(cloud, files, look):
    files.put("x")
    files.put("", key=PAUSE)
    look(key=PAUSE)
    look("orders")
    assert [subject for subject, _ in cloud.mails()] == ["Schedules paused: quiesce", "Policy refused: orders"]
