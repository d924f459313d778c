"""Functions run as on Lambda: names of exceptions, the time limit, the layer, and nothing of this machine."""

import importlib
import json
import os
import threading

import pytest

from sandbox.executions import follow, until, wait_for
from tests.support.deployment import deploy


def test_an_exception_keeps_its_name(probe):
    answer = probe.invoke(**{"raise": "run-7 has it"})
    assert (answer["errorType"], answer["errorMessage"]) == ("ServerBusy", "run-7 has it")


def test_a_state_machine_in_yaml_catches_an_exception_by_its_name(aws, probe):
    start = aws.client("stepfunctions").start_execution
    arn = start(stateMachineArn=probe.outputs["MachineArn"], input='{"raise": "run-7 has it"}')["executionArn"]
    assert [name for name, _ in follow(aws, arn)] == ["Ask", "Busy"]
    ended = wait_for(aws, arn)
    assert (ended["status"], ended["error"]) == ("FAILED", "ServerBusy")


def test_the_time_limit_of_the_function_holds(probe):
    assert probe.invoke(output="HastyFunctionName", sleep_s=3)["errorType"] == "Sandbox.Timedout"


def test_a_function_whose_process_ends_is_reported_by_the_name_that_users_saw(probe):
    assert probe.invoke(crash=True)["errorType"] == "Runtime.ExitError"
    assert "environment" in probe.invoke()  # the next call has a process of its own


@pytest.mark.parametrize(
    ("module", "importable"),
    [
        ("probed.errors", True),  # from the layer
        ("jmespath", True),  # a dependency in the layer
        ("boto3", True),  # from the managed runtime
        ("pydantic", False),  # in this virtual environment, but not in the layer
        ("moto", False),
        ("sandbox", False),
    ],
)
def test_a_function_imports_what_its_layer_and_the_managed_runtime_have_and_nothing_else(probe, module, importable):
    assert probe.invoke(**{"import": module})["imported"] is importable


def test_a_function_sees_its_own_environment_and_not_that_of_this_process(probe):
    environment = set(probe.invoke()["environment"])
    assert {"TABLE", "AWS_LAMBDA_FUNCTION_NAME", "AWS_ENDPOINT_URL"} <= environment
    own_to_this_process = {"PATH", "PYTEST_CURRENT_TEST", "GATEWAY_PORT", "TMPDIR"}
    assert own_to_this_process <= os.environ.keys()
    assert not own_to_this_process & environment


@pytest.mark.parametrize(
    ("output", "given"),
    [
        ("FunctionName", {"AWS_LAMBDA_LOG_FORMAT": "Text"}),
        ("HastyFunctionName", {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN"}),
    ],
)
def test_a_function_finds_its_log_level_in_its_environment_as_lambda_puts_it_there(probe, output, given):
    answer = probe.invoke(output=output, variables=["AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_LEVEL"])
    assert answer["variables"] == given


def test_a_function_for_another_python_is_refused(aws, probe):
    name = probe.outputs["FunctionName"]
    functions = aws.client("lambda")
    here = functions.get_function_configuration(FunctionName=name)["Runtime"]
    functions.update_function_configuration(FunctionName=name, Runtime="python3.9")
    try:
        assert probe.invoke()["errorType"] == "Sandbox.OtherRuntime"
    finally:
        functions.update_function_configuration(FunctionName=name, Runtime=here)


def test_an_execution_that_outlives_the_sandbox_starts_no_function(probe, monkeypatch):
    from sandbox.aws import lambdas  # MiniStack reads the environment when it is imported

    ended = threading.Event()
    ended.set()
    monkeypatch.setattr(lambdas, "_ended", ended)
    assert probe.invoke()["errorType"] == "Sandbox.Ended"
    bootstrap = json.dumps({"layers": [], "variables": {}})
    monkeypatch.setattr(lambdas.Path, "read_text", lambda _path: bootstrap)
    with pytest.raises(OSError, match="the sandbox has ended"):
        lambdas._start(["bootstrap"], env={})


ONE_FUNCTION = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters: {Runtime: {Type: String}, Architecture: {Type: String}}
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code
      Handler: app.handler
      Runtime: !Ref Runtime
      Architectures: [!Ref Architecture]
      Environment: {Variables: {STACK: !Ref AWS::StackName}}
Outputs: {FunctionName: {Value: !Ref Function}}
"""


def test_a_stack_that_is_deleted_leaves_no_process_and_no_thread(aws, tmp_path):
    from sandbox.aws import forks

    (tmp_path / "template.yaml").write_text(ONE_FUNCTION)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text("def handler(event, context):\n    return 7\n")
    name = deploy(aws, tmp_path, "goes")["FunctionName"]
    assert aws.client("lambda").invoke(FunctionName=name, Payload=b"{}")["Payload"].read() == b"7"
    assert [made for (_, variables), made in forks._templates.items() if '"goes"' in variables]
    [pump] = [thread for thread in threading.enumerate() if thread.name == f"provided-log-{name}"]
    cloudformation = aws.client("cloudformation")
    cloudformation.delete_stack(StackName="goes")
    cloudformation.get_waiter("stack_delete_complete").wait(StackName="goes", WaiterConfig={"Delay": 0.05})
    pump.join(10)
    assert not pump.is_alive()
    assert not [made for (_, variables), made in forks._templates.items() if '"goes"' in variables]


@pytest.fixture
def lambdas(aws):
    """The parts of Lambda, imported here because the sandbox starts before MiniStack's import."""
    return importlib.import_module("sandbox.aws.lambdas")


def test_what_nobody_waited_for_ends_before_the_next_test_and_takes_no_turn_from_it(aws, probe, lambdas):
    """More than run at once: some wait for their turn."""
    start, in_flight = aws.client("stepfunctions").start_execution, lambdas.lambda_svc.executions_in_flight
    machine, work = probe.outputs["MachineArn"], json.dumps({"sleep_s": 15})
    arns = [start(stateMachineArn=machine, input=work)["executionArn"] for _ in range(lambdas.AT_ONCE + 2)]
    until(lambda: in_flight()[0] == len(arns))
    aws.reset()
    assert in_flight()[0] == 0
    assert {wait_for(aws, arn)["status"] for arn in arns} == {"ABORTED"}
    assert "environment" in probe.invoke()
