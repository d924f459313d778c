"""Policies that a schedule starts: blackouts, late starts, and a file that is bad meanwhile."""

from datetime import UTC, datetime, timedelta

import pytest

from quiesce.policy.policy import Policy
from tests.support.environment import BUCKET, TABLE
from tests.support.factories.policy import a_policy

CRON = {"cron": "* * * * ? *"}


@pytest.fixture
def start(machine, clock, cloud, server):
    """Put a policy, and start it as its schedule does, some minutes after the time for which that was."""

    def start(late_m=0, text=None, **changes):
        policy = a_policy(targets=[{"instance_id": server.instance_id, "vss": "off"}], schedules=[CRON], **changes)
        name = cloud.put_policy(policy)
        if text is not None:
            cloud.s3.put_object(Bucket=BUCKET, Key=f"policies/{name}.yaml", Body=text.encode())
        read = Policy.model_validate(policy)
        schedule = read.schedule_name(read.schedules[0])
        now = datetime.fromtimestamp(clock.now_s, UTC).replace(second=0, microsecond=0)
        at = now - timedelta(minutes=late_m)
        return machine.run_policy({"policy": name, "scheduled_time": f"{at:%Y-%m-%dT%H:%M:%SZ}", "schedule": schedule})

    return start


def test_a_scheduled_policy_in_time_is_backed_up_without_a_word(start, cloud):
    run = start()
    assert (run.output["status"], run.output["notes"], cloud.mails()) == ("Successful", [], [])


def test_a_policy_in_its_blackout_backs_up_nothing_and_records_why(start, cloud):
    run = start(**{"except": ["00:00-24:00"]})
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Skipped")
    assert "which 'except' leaves out: 00:00-24:00" in run.output["reason"]
    assert (cloud.records(), cloud.mails()) == ({}, [])


def test_a_policy_that_starts_too_late_backs_up_nothing_and_is_told(start, cloud):
    run = start(latest_start="10m", late_m=15)
    assert run.output["status"] == "Skipped"
    [(subject, mail)] = cloud.mails()
    assert subject == "Skipped, with a warning: policy files-nightly"
    assert "and latest_start is 10m" in mail


def test_a_bad_file_is_backed_up_by_the_last_good_text_at_night_and_refused_by_day(start, machine, cloud, server):
    good = f"name: files-nightly\ntargets: [{{instance_id: {server.instance_id}, vss: 'off'}}]\n"
    item = {"pk": "policies", "sk": "in-force#files-nightly", "policy": "files-nightly", "text": good, "version": "1"}
    cloud.dynamodb.put_item(TableName=TABLE, Item={name: {"S": value} for name, value in item.items()})
    run = start(text="name: files-nightly\ntargets: [")
    assert (run.output["status"], run.output["by_status"]) == ("Successful", {"Successful": 1})
    assert "its last good text is in force" in run.output["warnings"][0]
    assert cloud.mails()[0][0] == "Successful, with a warning: policy files-nightly"
    by_hand = machine.run_policy({"policy": "files-nightly"})
    assert (by_hand.status, by_hand.error) == ("FAILED", "PolicyRunFailed")
    assert "line 2, column 11: is not YAML" in by_hand.cause
