"""What AWS answers about policies' files and schedules, and what is made of each refusal."""

from datetime import UTC, datetime

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from quiesce.aws.bucket import Bucket
from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.policies.policy_files import PolicyFiles, policy_of
from quiesce.aws.policies.policy_run_files import PolicyRunFiles
from quiesce.aws.policies.schedules import Schedules
from quiesce.errors import AccessDenied, AwsThrottled, PolicyRefused, ScheduleRefused

GIVEN = {
    "ScheduleExpression": "cron(0 2 * * ? *)",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {"Arn": "arn:aws:states:eu-central-1:1:stateMachine:m", "RoleArn": "arn:aws:iam::123456789012:role/r"},
}


@pytest.fixture
def scheduler():
    with Stubber(boto3.client("scheduler")) as stubbed:
        yield stubbed
        stubbed.assert_no_pending_responses()


@pytest.fixture
def s3():
    with Stubber(boto3.client("s3")) as stubbed:
        yield stubbed
        stubbed.assert_no_pending_responses()


def test_a_schedule_that_is_there_is_set_to_every_field(scheduler) -> None:
    scheduler.add_client_error("create_schedule", "ConflictException")
    scheduler.add_response("update_schedule", {"ScheduleArn": "a"}, {"GroupName": "stack", "Name": "x", **GIVEN})
    Schedules(scheduler.client, "stack").put("x", GIVEN)


@pytest.mark.parametrize("there", [False, True])
def test_what_scheduler_does_not_take_is_refused_in_its_words(scheduler, there: bool) -> None:
    if there:
        scheduler.add_client_error("create_schedule", "ConflictException")
    call = "update_schedule" if there else "create_schedule"
    scheduler.add_client_error(call, "ValidationException", "Invalid Schedule Expression")
    with pytest.raises(ScheduleRefused, match=r"refuses it .ValidationException: Invalid Schedule Expression"):
        Schedules(scheduler.client, "stack").put("x", GIVEN)


def test_a_schedule_that_is_gone_is_none_and_deleted(scheduler) -> None:
    scheduler.add_client_error("get_schedule", "ResourceNotFoundException")
    scheduler.add_client_error("delete_schedule", "ResourceNotFoundException")
    schedules = Schedules(scheduler.client, "stack")
    assert schedules.read("x") is None
    schedules.delete("x")


@pytest.mark.parametrize(
    ("code", "error"),
    [("ThrottlingException", AwsThrottled), ("AccessDeniedException", AccessDenied), ("OddException", ClientError)],
)
@pytest.mark.parametrize("call", ["read", "delete"])
def test_any_other_refusal_is_none_and_nothing_is_taken_for_gone(scheduler, call: str, code: str, error: type) -> None:
    """A schedule that can't be read is not a schedule that is not there."""
    scheduler.add_client_error("get_schedule" if call == "read" else "delete_schedule", code)
    with pytest.raises(error):
        getattr(Schedules(scheduler.client, "stack"), call)("x")


def test_a_file_that_is_gone_is_none_and_one_that_can_t_be_read_is_not(s3) -> None:
    files = PolicyFiles(s3.client, "bucket")
    s3.add_client_error("get_object", "NoSuchKey")
    assert files.read_file("orders") is None
    for code, error in (("AccessDenied", AccessDenied), ("SlowDown", AwsThrottled), ("OddError", ClientError)):
        s3.add_client_error("get_object", code)
        with pytest.raises(error):
            files.read_file("orders")


def test_a_list_of_a_policy_run_that_is_gone_is_told_and_one_that_can_t_be_read_is_an_error(s3) -> None:
    files = PolicyRunFiles(s3.client, "bucket", "orders", "run-1")
    s3.add_client_error("get_object", "NoSuchKey")
    with pytest.raises(PolicyRefused, match="does not exist"):
        files.read_items()
    for code, error in (("AccessDenied", AccessDenied), ("OddError", ClientError)):
        s3.add_client_error("get_object", code)
        with pytest.raises(error):
            files.read_items()


def test_what_lies_among_policies_and_is_none_is_listed_by_itself(s3) -> None:
    keys = ["policies/", "policies/_pause.yaml", "policies/a.yaml", "policies/b.yml", "policies/deep/c.yaml"]
    s3.add_response("list_objects_v2", {"KeyCount": 5, "Contents": [{"Key": key} for key in keys]})
    assert PolicyFiles(s3.client, "bucket").list_files() == (["a"], ["policies/b.yml", "policies/deep/c.yaml"], True)
    s3.add_response("list_objects_v2", {"KeyCount": 0})
    assert PolicyFiles(s3.client, "bucket").list_files() == ([], [], False)
    assert policy_of("policies/_x.yaml") == policy_of("records/a.yaml") == ""


def test_a_policy_of_which_nothing_is_known_has_no_text_and_no_time() -> None:
    with Stubber(boto3.client("dynamodb")) as table:
        for item in ({}, {"Item": {"text": {"S": "name: a"}}}):
            table.add_response("get_item", item)
        table.add_response("get_item", {"Item": {"since": {"S": "2026-11-29T01:00:00+00:00"}}})
        known = PoliciesInForce(table.client, "table")
        assert (known.in_force("a").text, known.in_force("a").text) == ("", "name: a")
        assert known.in_force("a").since == datetime(2026, 11, 29, 1, tzinfo=UTC)


def test_scripts_are_found_by_one_list_and_by_one_for_each_folder_where_that_is_cut_off(s3) -> None:
    own, shared = "scripts/admin/i-1/", "scripts/admin/"
    keys = [f"{own}before_a.ps1", f"{own}deep/no.ps1", "scripts/admin/i-2/before_a.ps1", f"{shared}after_a.ps1"]
    whole = {"IsTruncated": False, "KeyCount": 4, "Contents": [{"Key": key} for key in keys]}
    s3.add_response("list_objects_v2", whole, {"Bucket": "bucket", "Prefix": shared})
    bucket = Bucket(s3.client, s3.client, "bucket")
    assert bucket.list_scripts((own, shared)) == [keys[0], keys[3]]
    s3.add_response("list_objects_v2", {"IsTruncated": False, "KeyCount": 0})
    assert bucket.list_scripts((own, shared)) == []
    s3.add_response("list_objects_v2", {**whole, "IsTruncated": True})
    for folder, key in ((own, keys[0]), (shared, keys[3])):
        page = {"KeyCount": 1, "Contents": [{"Key": key}]}
        s3.add_response("list_objects_v2", page, {"Bucket": "bucket", "Prefix": folder, "Delimiter": "/"})
    assert bucket.list_scripts((own, shared)) == [keys[0], keys[3]]
