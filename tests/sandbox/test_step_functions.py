"""State machines that start others, and the Distributed Map: where MiniStack differs from AWS, the sandbox follows AWS.

Source: Step Functions developer guide, "Integrate with Step Functions", "Distributed mode", "Handling errors".
"""

import json
import time

import pytest

from sandbox.executions import wait_for

BUCKET = "items-of-maps"
SYNC = "arn:aws:states:::states:startExecution.sync:2"
ALL = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
CAUGHT = {"Caught": {"Type": "Pass", "Result": "caught", "End": True}}


@pytest.fixture(scope="module")
def bucket(running_sandbox):
    where = {"LocationConstraint": running_sandbox.region}
    running_sandbox.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
    return BUCKET


@pytest.fixture
def make(aws, probe_outputs):
    """Make a state machine of these states, of which the first is called Only, with the probe's role."""
    states, made = aws.client("stepfunctions"), []
    role = states.describe_state_machine(stateMachineArn=probe_outputs["MachineArn"])["roleArn"]

    def machine(only, **others):
        definition = {"StartAt": "Only", "States": {"Only": {"End": True, **only}, **others}}
        if "Next" in only:
            del definition["States"]["Only"]["End"]
        name, text = f"nested-{len(made)}", json.dumps(definition)
        made.append(states.create_state_machine(name=name, definition=text, roleArn=role)["stateMachineArn"])
        return made[-1]

    yield machine
    for arn in made:
        states.delete_state_machine(stateMachineArn=arn)


@pytest.fixture
def run(aws):
    """Run an execution to its end."""

    def to_its_end(machine_arn, data=None, **more):
        started = start(aws, machine_arn, data, **more)
        return wait_for(aws, started)

    return to_its_end


@pytest.fixture
def put(aws, bucket):
    """Put a list of items, or a text that is none, into the bucket."""

    def put_object(items):
        body = items if isinstance(items, str) else json.dumps(items)
        aws.client("s3").put_object(Bucket=bucket, Key="items.json", Body=body.encode())

    return put_object


@pytest.fixture
def slow(aws, probe_outputs):
    """A state that takes one and a half seconds, whatever the scale of waits."""
    described = aws.client("lambda").get_function_configuration(FunctionName=probe_outputs["FunctionName"])
    return {"Type": "Task", "Resource": described["FunctionArn"], "Parameters": {"sleep_s": 1.5}}


def start(aws, machine_arn, data=None, **more):
    states = aws.client("stepfunctions")
    return states.start_execution(stateMachineArn=machine_arn, input=json.dumps(data or {}), **more)["executionArn"]


def child_of(machine_arn, **parameters):
    return {"Type": "Task", "Resource": SYNC, "Parameters": {"StateMachineArn": machine_arn, "Input": {}, **parameters}}


def a_map(only, **fields):
    """Return a Distributed Map over the file in the bucket, whose children do one state."""
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSON"},
        "Parameters": {"Bucket": BUCKET, "Key": "items.json"},
    }
    processor = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "Item",
        "States": {"Item": only if only["Type"] == "Fail" else {**only, "End": True}},
    }
    return {"Type": "Map", "ItemReader": reader, "ItemProcessor": processor, **fields}


def map_run_of(aws, execution):
    states = aws.client("stepfunctions")
    [shown] = states.list_map_runs(executionArn=execution)["mapRuns"]
    return states.describe_map_run(mapRunArn=shown["mapRunArn"])


def until(condition):
    """Wait for a condition of the sandbox, which comes within seconds."""
    deadline = time.monotonic() + 10
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)
    return found


def test_a_task_hears_of_the_error_of_what_it_started_in_the_words_of_its_execution(make, run):
    child = make({"Type": "Fail", "Error": "Broken", "Cause": "for a reason", "Next": "x"}, x=CAUGHT["Caught"])
    ended = run(make(child_of(child)))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    told = json.loads(ended["cause"])
    assert (told["Status"], told["Error"], told["Cause"]) == ("FAILED", "Broken", "for a reason")
    assert "Output" not in told


def test_a_task_can_not_start_an_execution_under_a_taken_name(make, run):
    child = make({"Type": "Pass"})
    parent = make(child_of(child, Name="taken"))
    assert run(parent)["status"] == "SUCCEEDED"
    again = run(parent)
    assert again["error"] == "StepFunctions.ExecutionAlreadyExistsException"


def test_what_is_inside_of_a_stopped_execution_stops_with_it(aws, make, slow):
    child, second = make(slow), make({"Type": "Pass"})
    branch = {
        "StartAt": "Slow",
        "States": {"Slow": {**child_of(child), "Next": "After"}, "After": {**child_of(second), "End": True}},
    }
    parent = start(aws, make({"Type": "Parallel", "Branches": [branch]}))
    states = aws.client("stepfunctions")
    [inside] = until(lambda: states.list_executions(stateMachineArn=child)["executions"])
    states.stop_execution(executionArn=parent)
    assert wait_for(aws, inside["executionArn"])["status"] == "ABORTED"
    assert wait_for(aws, parent)["status"] == "ABORTED"
    assert states.list_executions(stateMachineArn=second)["executions"] == []


def test_each_item_of_a_file_is_an_execution_of_its_own(aws, make, run, put):
    put([{"number": number} for number in range(5)])
    machine = make(a_map({"Type": "Pass", "Parameters": {"found.$": "$.number"}}, MaxConcurrencyPath="$.at_once"))
    ended = run(machine, {"at_once": 2})
    assert json.loads(ended["output"]) == [{"found": number} for number in range(5)]
    shown = map_run_of(aws, ended["executionArn"])
    assert (shown["status"], shown["maxConcurrency"], shown["itemCounts"]["succeeded"]) == ("SUCCEEDED", 2, 5)


def test_no_more_items_than_allowed_are_worked_on_at_the_same_time(aws, make, put, slow):
    put([{}] * 4)
    parent = start(aws, make(a_map(slow, MaxConcurrency=3)))
    running = until(lambda: aws.client("stepfunctions").list_map_runs(executionArn=parent)["mapRuns"])
    assert running
    until(lambda: map_run_of(aws, parent)["itemCounts"]["running"] == 3)
    assert map_run_of(aws, parent)["itemCounts"]["pending"] == 1
    assert wait_for(aws, parent)["status"] == "SUCCEEDED"


@pytest.mark.parametrize(("tolerated", "status"), [({}, "FAILED"), ({"ToleratedFailurePercentage": 100}, "SUCCEEDED")])
def test_a_failed_item_ends_the_map_unless_it_is_tolerated(make, run, put, tolerated, status):
    put([{}] * 3)
    ended = run(make(a_map({"Type": "Fail", "Error": "Broken"}, ResultPath=None, **tolerated)))
    assert ended["status"] == status
    assert ended.get("error") == (None if tolerated else "States.ExceedToleratedFailureThreshold")


def test_a_stop_ends_the_children_of_a_map_and_what_they_wait_for(aws, make, put, slow):
    put([{}] * 3)
    child = make(slow)
    parent = start(aws, make(a_map(child_of(child), MaxConcurrency=2, ToleratedFailurePercentage=100)))
    states = aws.client("stepfunctions")
    until(lambda: len(states.list_executions(stateMachineArn=child)["executions"]) == 2)
    states.stop_execution(executionArn=parent)
    assert wait_for(aws, parent)["status"] == "ABORTED"
    until(lambda: map_run_of(aws, parent)["status"] == "ABORTED")
    assert map_run_of(aws, parent)["itemCounts"]["aborted"] == 3
    ended = [each["status"] for each in states.list_executions(stateMachineArn=child)["executions"]]
    assert ended == ["ABORTED", "ABORTED"]


def test_what_children_return_may_not_be_larger_than_a_state_and_no_catch_helps(make, run, put):
    put([{}] * 3)
    large = {"Type": "Pass", "Result": "x" * 100_000}
    ended = run(make({**a_map(large), "Catch": ALL}, **CAUGHT))
    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")


@pytest.mark.parametrize(
    ("items", "data", "error"),
    [
        ("no JSON", {"at_once": 1}, "States.ItemReaderFailed"),
        ('{"items": []}', {"at_once": 1}, "States.ItemReaderFailed"),
        ("[1]", {"at_once": "many"}, "States.Runtime"),
        ("[1]", {"at_once": -1}, "States.Runtime"),
    ],
)
def test_what_a_map_can_not_read_is_its_error(make, run, put, items, data, error):
    put(items)
    ended = run(make(a_map({"Type": "Pass"}, MaxConcurrencyPath="$.at_once")), data)
    assert (ended["status"], ended["error"]) == ("FAILED", error)


def test_a_field_that_the_sandbox_does_not_play_is_named_and_never_guessed(make, run, put):
    put([1])
    ended = run(make(a_map({"Type": "Pass"}, ItemBatcher={"MaxItemsPerBatch": 2})))
    assert "ItemBatcher" in ended["cause"]
