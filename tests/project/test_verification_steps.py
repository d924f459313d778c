"""What steps of verify-on-aws say of answers that the local AWS does not give; boto3's models check each call."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session
from botocore.validate import ParamValidator

from tools.verify_on_aws.calls import Calls
from tools.verify_on_aws.session import Step, Verification
from tools.verify_on_aws.steps import STEPS
from tools.verify_on_aws.steps_windows import beliefs_in, commands

NAME, SERVER, ARN = "quiesce-verify-1", "i-0123456789abcdef0", "arn:aws:states:eu-central-1:123456789012:"
ROLE = "arn:aws:iam::123456789012:role/x"
QUEUE = "arn:aws:sqs:eu-central-1:123456789012:missed"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:x"


class Scripted:
    """A client that checks its parameters and gives the answers of a script; an unknown call fails the test."""

    def __init__(self, service: str, answers: dict[str, Any]) -> None:
        self.model, self.service, self.answers = Session().get_service_model(service), service, answers

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operation = next(o for o in self.model.operation_names if o.lower() == method.replace("_", ""))

        def call(**parameters: Any) -> Any:
            shape = self.model.operation_model(operation).input_shape
            report = ParamValidator().validate(parameters, shape)
            assert not report.has_errors(), report.generate_report()
            given = self.answers[f"{self.service}:{operation}"]
            answer = given.pop(0) if isinstance(given, list) and len(given) > 1 else given
            answer = answer[0] if isinstance(answer, list) else answer
            if isinstance(answer, str):
                raise ClientError({"Error": {"Code": answer, "Message": ""}}, operation)
            return answer

        return call


def taken(name: str, **answers: Any) -> tuple[str, str]:
    """Take a step with these answers, by ``service_Operation``; return verdict and words."""
    by_call = {call.replace("_", ":", 1): answer for call, answer in answers.items()}
    ticks = iter(range(10**6))
    made: dict[str, Scripted] = {}
    calls = Calls(
        lambda service: made.setdefault(service, Scripted(service, by_call)),
        lambda _line: None,
        pause=lambda _s: None,
        now_s=lambda: float(next(ticks)),
    )
    it = Verification(calls, NAME, "eu-central-1", SERVER)
    it.outputs = dict.fromkeys(("BackupMachineArn", "PolicyMachineArn"), f"{ARN}stateMachine:x") | {
        "BucketName": "bucket"
    }
    names = ("MissedScheduleAlarm", "SweepAlarm", "ScheduleRole", "ScheduleGroup", "PlanFunction", "ReportFunction")
    it.resources = dict.fromkeys(names, "physical") | {"MissedSchedules": "https://queue"}
    it.key, it.launch_request = "arn:key", {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1}
    step: Step = next(each for each in STEPS if each.name == name)
    what = step.take(it)
    return what.verdict, what.words


def entered(*names: str) -> list[dict[str, Any]]:
    return [{"stateEnteredEventDetails": {"name": name}} for name in names]


@pytest.mark.parametrize(
    ("again", "verdict"), [(["AwaitSnapshots", "Complete"], "as expected"), (["Freeze"], "otherwise")]
)
def test_a_redrive_that_freezes_again_is_told(again: list[str], verdict: str) -> None:
    first = ["Plan", "Freeze", "Snapshot", "Thaw", "AwaitSnapshots"]
    histories = [{"events": entered(*each)} for each in (first, first, [*first, *again])]
    seen, words = taken(
        "redriven-run",
        stepfunctions_StartExecution={"executionArn": f"{ARN}execution:x:1"},
        stepfunctions_GetExecutionHistory=histories,
        stepfunctions_StopExecution={},
        stepfunctions_RedriveExecution={},
        s3_ListObjectsV2={"KeyCount": 1},
        stepfunctions_DescribeExecution={"status": "FAILED"},
    )
    assert (seen, f"then states {', '.join(again)}, FAILED" in words) == (verdict, True)


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [("Failed to execute action x", "as expected"), ("Successfully executed action x", "otherwise")],
)
def test_a_topic_under_awss_key_that_gets_an_alarm_refutes_the_belief(theirs: str, verdict: str) -> None:
    said = [{"AlarmHistoryItems": [{"HistorySummary": words}]} for words in ("Successfully executed action x", theirs)]
    seen, words = taken(
        "alarm-topics",
        sns_CreateTopic={"TopicArn": TOPIC},
        cloudwatch_PutMetricAlarm={},
        cloudwatch_SetAlarmState={},
        cloudwatch_DescribeAlarmHistory=said,
    )
    assert seen == verdict
    assert theirs in words


def test_a_missed_start_is_looked_for_in_the_queue_and_in_its_metric() -> None:
    attributes = [{"QueueArn": QUEUE}, {"ApproximateNumberOfMessages": "0"}, {"ApproximateNumberOfMessages": "1"}]
    assert taken(
        "missed-schedule",
        iam_GetRole={"Role": {"Arn": ROLE}},
        sqs_GetQueueAttributes=[{"Attributes": each} for each in attributes],
        scheduler_CreateSchedule={},
        cloudwatch_GetMetricStatistics=[{"Datapoints": []}, {"Datapoints": [{"Sum": 1.0}]}],
    ) == ("as expected", "the queue got the message; NumberOfMessagesSent counted 1")


def test_a_run_is_looked_for_in_the_metric_of_its_status_and_the_functions_level_comes_back() -> None:
    function = {"LoggingConfig": {"LogFormat": "JSON", "LogGroup": "log"}, "LastUpdateStatus": "Successful"}
    assert taken(
        "metrics-at-error",
        lambda_GetFunctionConfiguration=function,
        lambda_UpdateFunctionConfiguration={},
        stepfunctions_StartExecution={"executionArn": f"{ARN}execution:x:1"},
        stepfunctions_DescribeExecution={"status": "SUCCEEDED", "output": '{"status": "Successful"}'},
        cloudwatch_GetMetricStatistics={"Datapoints": [{"Sum": 1.0}]},
    ) == ("as expected", "a run that was Successful counted 1 in the metric of this name")


@pytest.mark.parametrize(
    ("error", "verdict"),
    [("Sandbox.Timedout", "as expected"), ("Function.Unknown", "otherwise"), ("", "not seen")],
)
def test_an_error_that_no_state_tries_again_is_told(error: str, verdict: str) -> None:
    left = {"stateExitedEventDetails": {"name": "Plan"}}
    events = [{"lambdaFunctionFailedEventDetails": {"error": error}}] if error else [left]
    seen, words = taken(
        "dead-function",
        lambda_GetFunctionConfiguration={"Timeout": 510, "MemorySize": 1024, "LastUpdateStatus": "Successful"},
        lambda_UpdateFunctionConfiguration={},
        stepfunctions_StartExecution={"executionArn": f"{ARN}execution:x:1"},
        stepfunctions_GetExecutionHistory={"events": events},
        stepfunctions_StopExecution={},
    )
    assert (seen, (error or "no error") in words) == (verdict, True)


@pytest.mark.parametrize(
    ("ended", "told", "verdict"),
    [
        ("UPDATE_COMPLETE", "Successfully executed action x", "as expected"),
        ("UPDATE_COMPLETE", "Failed to execute action x", "otherwise"),
        ("UPDATE_ROLLBACK_COMPLETE", "", "otherwise"),
    ],
)
def test_a_stack_under_a_key_has_to_back_up_and_to_tell(ended: str, told: str, verdict: str) -> None:
    parameters = [{"ParameterKey": "EncryptionKey", "ParameterValue": ""}, {"ParameterKey": "LogLevel"}]
    stack = {"Parameters": parameters, "StackStatus": ended}
    seen, _ = taken(
        "stack-key",
        kms_GetKeyPolicy={"Policy": '{"Statement": []}'},
        kms_PutKeyPolicy={},
        cloudformation_DescribeStacks={"Stacks": [stack]},
        cloudformation_UpdateStack={},
        stepfunctions_StartExecution={"executionArn": f"{ARN}execution:x:1"},
        stepfunctions_DescribeExecution={"status": "SUCCEEDED", "output": '{"status": "Successful"}'},
        cloudwatch_SetAlarmState={},
        cloudwatch_DescribeAlarmHistory={"AlarmHistoryItems": [{"HistorySummary": told}]},
    )
    assert seen == verdict


@pytest.mark.parametrize(
    ("again", "verdict"),
    [
        ({"Instances": [{"InstanceId": SERVER}]}, "as expected"),
        ("IdempotentInstanceTerminated", "as expected"),
        ({"Instances": [{"InstanceId": "i-00000000000000002"}]}, "otherwise"),
    ],
    ids=["the same", "refused", "a second"],
)
def test_a_second_server_for_one_token_is_told(again: Any, verdict: str) -> None:
    server = {"State": {"Name": "terminated"}}
    seen, _ = taken(
        "terminated-server",
        ec2_TerminateInstances={},
        ec2_DescribeInstances={"Reservations": [{"Instances": [server]}]},
        ec2_CreateSnapshots="IncorrectInstanceState",
        ec2_RunInstances=again,
    )
    assert seen == verdict


PRINTED = """held      a script's exit code: 3010
NOT held  a folder with an open file cannot be renamed: expected IOException, saw renamed
1 not held; PowerShell 5.1.20348, Windows 10.0.20348
"""


@pytest.mark.parametrize(
    ("output", "verdict"),
    [(PRINTED, "otherwise"), (PRINTED.replace("NOT held ", "held     "), "as expected"), ("", "not seen")],
)
def test_what_windows_does_otherwise_is_told(output: str, verdict: str) -> None:
    ended = {"StatusDetails": "Success", "StandardOutputContent": output, "StandardErrorContent": "no such file"}
    seen, words = taken(
        "windows-beliefs",
        ssm_SendCommand={"Command": {"CommandId": "11111111-1111-1111-1111-111111111111"}},
        ssm_ListCommandInvocations={"CommandInvocations": [{"Status": "Success"}]},
        ssm_GetCommandInvocation=ended,
    )
    assert seen == verdict
    assert (words == "Success: no such file") == (verdict == "not seen")


def test_the_scripts_for_windows_fit_into_a_command_and_their_lines_are_read() -> None:
    assert len("".join(commands())) < 60_000
    found = beliefs_in(PRINTED)
    assert (found.held, found.others) == (
        1,
        ["a folder with an open file cannot be renamed: expected IOException, saw renamed"],
    )
