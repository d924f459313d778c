"""The step that looks at the deployed stack, and what is measured at the end: times, cold starts, sizes."""

import json
from typing import Any

from tools.verify_on_aws.calls import REFUSED, Whatever
from tools.verify_on_aws.session import Seen, Step, Verification, seen

PAGE = 1000
# SSM quotas: a document, with the values of its parameters, has at most 64 KB.
DOCUMENT_BYTES = 64 * 1024


def deployment(it: Verification) -> Seen:
    """Look at what CloudFormation made of the template."""
    machine = it.calls("stepfunctions:DescribeStateMachine", stateMachineArn=str(it.outputs["BackupMachineArn"]))
    definition = machine["definition"] if isinstance(machine, Whatever) else json.loads(machine["definition"])
    listed = _lists_errors(definition)
    alarms = len(it.resources.get("AWS::CloudWatch::Alarm") or ())
    sizes = {}
    for name in it.resources["AWS::SSM::Document"]:
        content = it.calls("ssm:GetDocument", Name=str(name), DocumentVersion="$LATEST", DocumentFormat="JSON")
        sizes[str(name)] = len(str(content["Content"]))
    it.measured["document_bytes"] = sizes
    words = f"errors to try again are {'lists' if listed else 'no lists'}; {alarms} alarms; documents {sizes}"
    return seen(listed and alarms > 0 and all(size < DOCUMENT_BYTES for size in sizes.values()), words)


def _lists_errors(definition: Any) -> bool:
    if isinstance(definition, Whatever):
        return True
    retries = [retry for state in definition["States"].values() for retry in state.get("Retry", [])]
    return all(isinstance(retry["ErrorEquals"], list) and "${" not in str(retry) for retry in retries)


def measure(it: Verification) -> None:
    """Collect what AWS does not publish: how long each state and each cold start took, and how large things are."""
    for what, collect in (("states", _state_times), ("cold_starts_ms", _cold_starts), ("code_bytes", _code_sizes)):
        try:
            it.measured[what] = collect(it)
        except REFUSED as error:
            it.measured[what] = f"not seen: {error}"
    it.measured["record_bytes"] = {name: len(str(record)) for name, record in it.records.items()}


def _state_times(it: Verification) -> dict[str, Any]:
    times: dict[str, Any] = {}
    for label, arn in it.executions.items():
        events = it.calls("stepfunctions:GetExecutionHistory", executionArn=arn, maxResults=PAGE)["events"]
        entered: dict[str, Any] = {}
        for event in events:
            if "stateEnteredEventDetails" in event:
                entered[str(event["stateEnteredEventDetails"]["name"])] = event["timestamp"]
            if "stateExitedEventDetails" in event and not isinstance(event, Whatever):
                name = event["stateExitedEventDetails"]["name"]
                took_s = (event["timestamp"] - entered[name]).total_seconds()
                times.setdefault(label, {}).setdefault(name, []).append(round(took_s, 2))
    return times


def _cold_starts(it: Verification) -> dict[str, list[float]]:
    """Return the initialisation times in the functions' log, by the function's version line."""
    found: dict[str, list[float]] = {}
    for group in it.resources["AWS::Logs::LogGroup"]:
        answer = it.calls(
            "logs:FilterLogEvents", logGroupName=str(group), filterPattern='{ $.type = "platform.report" }', limit=PAGE
        )
        for event in answer["events"]:
            if isinstance(event, Whatever) or not event["message"].startswith("{"):
                continue
            metrics = json.loads(event["message"]).get("record", {}).get("metrics", {})
            if "initDurationMs" in metrics:
                found.setdefault(event["logStreamName"], []).append(metrics["initDurationMs"])
    return found


def _code_sizes(it: Verification) -> dict[str, Any]:
    sizes = {}
    for function in it.resources["AWS::Lambda::Function"]:
        configuration = it.calls("lambda:GetFunctionConfiguration", FunctionName=str(function))
        layers = [layer["CodeSize"] for layer in configuration.get("Layers") or []]
        sizes[str(function)] = [configuration["CodeSize"], *layers]
    return sizes


STEPS = (
    Step(
        "deployment",
        "a YAML definition in S3, lists out of ${...} in it, alarms and documents by AWS::Include, all within limits",
        "lists, alarms, and documents of less than 64 KB",
        deployment,
    ),
)
