"""A policy's file makes schedules that start its policy, with the real template, roles, events and functions."""

import json
from datetime import UTC, datetime

import pytest

from sandbox.executions import until

SCHEDULED = datetime(2026, 11, 30, 1, tzinfo=UTC)
FILE = """\
name: {name}
timezone: Europe/Berlin
schedules: [{{cron: "{cron}"}}]
latest_start: 24h
targets: [{{instance_id: {instance_id}, vss: "off"}}]
"""


@pytest.fixture
def schedules(aws, quiesce):
    """Return the schedules of the stack's group that begin like this, by name, as Scheduler describes them."""
    client, group = aws.client("scheduler"), quiesce.function_name("ScheduleGroup")

    def described(name):
        try:
            return client.get_schedule(GroupName=group, Name=name)
        except client.exceptions.ResourceNotFoundException:
            return None  # deleted between the two calls

    def schedules(prefix):
        names = [s["Name"] for s in client.list_schedules(GroupName=group, NamePrefix=prefix)["Schedules"]]
        return {name: made for name in names if (made := described(name))}

    return schedules


@pytest.fixture
def delete(aws, quiesce):
    """Delete policies' files."""

    def delete(name):
        aws.client("s3").delete_object(Bucket=quiesce.outputs["BucketName"], Key=f"policies/{name}.yaml")

    return delete


def test_a_file_has_its_schedule_which_starts_the_policy_and_goes_with_the_file(aws, quiesce, schedules, delete):
    server = aws.servers.add("SERVER1")
    quiesce.put_policy("orders", FILE.format(name="orders", cron="0 2 * * ? *", instance_id=server.instance_id))
    [(name, made)] = until(lambda: schedules("orders.")).items()
    assert (made["ScheduleExpression"], made["ScheduleExpressionTimezone"]) == ("cron(0 2 * * ? *)", "Europe/Berlin")
    aws.scheduler.fire(made["GroupName"], name, SCHEDULED)
    states, machine = aws.client("stepfunctions"), made["Target"]["Arn"]

    def started():
        arns = [each["executionArn"] for each in states.list_executions(stateMachineArn=machine)["executions"]]
        inputs = [json.loads(states.describe_execution(executionArn=arn)["input"]) for arn in arns]
        return [each for each in inputs if each.get("policy") == "orders"]

    [given] = until(started)
    assert given == {"policy": "orders", "scheduled_time": "2026-11-30T01:00:00Z", "schedule": name}
    quiesce.put_policy("orders", "name: orders\ntargets: [\n")
    delete("orders")
    until(lambda: not schedules("orders."))
    assert aws.scheduler.dead_letters == []
    assert [d for d in aws.decisions.denied("quiesce") if "Schedule" in d.role] == []


def test_a_start_that_fails_is_a_message_in_the_stacks_queue(aws, quiesce, schedules, delete, monkeypatch):
    server = aws.servers.add("SERVER1")
    quiesce.put_policy("missed", FILE.format(name="missed", cron="0 2 * * ? *", instance_id=server.instance_id))
    [(name, made)] = until(lambda: schedules("missed.")).items()

    def refuse(_target, _text):
        raise PermissionError("the role lost its right")

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(aws.scheduler, "deliver", refuse)
        aws.scheduler.fire(made["GroupName"], name, SCHEDULED)
    delete("missed")
    sqs, queue = aws.client("sqs"), made["Target"]["DeadLetterConfig"]["Arn"].rpartition(":")[2]
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert json.loads(message["Body"])["scheduled_time"] == "2026-11-30T01:00:00Z"
    told = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert (told["ERROR_CODE"], told["ERROR_MESSAGE"]) == ("PermissionError", "the role lost its right")
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    until(lambda: not schedules("missed."))
    aws.scheduler.dead_letters.clear()


def test_the_deployment_looks_at_all_files_and_the_function_reaches_no_group_but_its_own(aws, quiesce):
    ours = quiesce.function_name("ScheduleFunction")
    every = [stored for (group, _), stored in aws.scheduler.schedules.items() if group == "default"]
    daily = [stored for stored in every if stored.given["Target"]["Arn"].endswith(f":function:{ours}")]
    assert [stored.given["ScheduleExpression"] for stored in daily] == ["rate(1 day)"]
    until(lambda: all(stored.fired_s >= stored.made_s for stored in daily))
    client = quiesce.client_of("ScheduleFunction", "scheduler")
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.delete_schedule(GroupName="default", Name="x")
