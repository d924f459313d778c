"""Where the sandbox differs from AWS. A red test here is good news: delete the entry from the list."""

import json

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.not_enforced import NOT_ENFORCED
from sandbox.executions import wait_for


@pytest.fixture
def machine(aws, probe_outputs):
    """Make a state machine of one state, with the probe's role."""
    states, made = aws.client("stepfunctions"), []
    role = states.describe_state_machine(stateMachineArn=probe_outputs["MachineArn"])["roleArn"]

    def make(state, **fields):
        definition = {"StartAt": "Only", "States": {"Only": {**state, "End": True}}, **fields}
        name = f"only-{len(made)}"
        created = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)
        made.append(created["stateMachineArn"])
        return made[-1]

    yield make
    for arn in made:
        states.delete_state_machine(stateMachineArn=arn)


@pytest.fixture
def slow(aws, probe_outputs):
    """A state that takes one and a half seconds, whatever the scale of waits."""
    described = aws.client("lambda").get_function_configuration(FunctionName=probe_outputs["FunctionName"])
    return {"Type": "Task", "Resource": described["FunctionArn"], "Parameters": {"sleep_s": 1.5}}


def start(aws, machine_arn, **more):
    return aws.client("stepfunctions").start_execution(stateMachineArn=machine_arn, **more)["executionArn"]


def test_point_in_time_recovery_is_dropped(aws, probe_outputs):
    assert "point-in-time recovery" in NOT_ENFORCED
    described = aws.client("dynamodb").describe_continuous_backups(TableName=probe_outputs["Table"])
    recovery = described["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "DISABLED"


def test_a_machine_outlives_its_time_limit(aws, machine, slow):
    assert "TimeoutSeconds of a machine" in NOT_ENFORCED
    limited = machine(slow, TimeoutSeconds=1)
    assert wait_for(aws, start(aws, limited))["status"] == "SUCCEEDED"


def test_more_than_256_kib_pass_between_states(aws, machine):
    assert "256 KiB between states" in NOT_ENFORCED
    large = machine({"Type": "Pass", "Result": "x" * 300_000})
    assert wait_for(aws, start(aws, large))["status"] == "SUCCEEDED"


def test_a_taken_name_with_the_same_input_is_refused_while_it_runs(aws, machine, slow):
    assert "StartExecution under a taken name" in NOT_ENFORCED
    waiting = machine(slow)
    running = start(aws, waiting, name="night", input="{}")
    with pytest.raises(aws.client("stepfunctions").exceptions.ExecutionAlreadyExists):
        start(aws, waiting, name="night", input="{}")
    wait_for(aws, running)


def test_a_path_that_is_missing_is_null(aws, machine):
    """moto's engine: tests/statemachine/test_paths.py."""
    assert "States.Runtime" in NOT_ENFORCED
    plain = machine({"Type": "Pass", "Parameters": {"found.$": "$.missing"}})
    assert json.loads(wait_for(aws, start(aws, plain, input="{}"))["output"]) == {"found": None}
    once = {"StartAt": "Inner", "States": {"Inner": {"Type": "Pass", "Result": "ran", "End": True}}}
    mapped = machine({"Type": "Map", "ItemsPath": "$.missing", "Iterator": once})
    assert json.loads(wait_for(aws, start(aws, mapped, input="{}"))["output"]) == ["ran"]


def test_a_dry_run_takes_a_server_that_does_not_exist(ec2):
    assert "DryRun" in NOT_ENFORCED
    with pytest.raises(ClientError, match="DryRunOperation"):
        ec2.stop_instances(DryRun=True, InstanceIds=["i-0123456789abcdef0"])


def test_a_queue_policy_denies_nothing(aws):
    assert "queue policies" in NOT_ENFORCED
    sqs = aws.client("sqs")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    queue = sqs.create_queue(QueueName="denied", Attributes={"Policy": policy})["QueueUrl"]
    assert sqs.send_message(QueueUrl=queue, MessageBody="from a sender who is denied")["MessageId"]
    sqs.delete_queue(QueueUrl=queue)
