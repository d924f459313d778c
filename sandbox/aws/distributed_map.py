"""The Distributed Map: items out of the bucket, each in a child execution, as Step Functions runs it.

AWS: Step Functions developer guide, "Distributed mode", "ItemReader", "Tolerated failure threshold", "Quotas".
It raises on a field that no definition here uses, and never guesses.
"""

import contextvars
import copy
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for_all
from dataclasses import dataclass, field
from typing import Any

from ministack.core.responses import new_uuid, now_iso
from ministack.services import stepfunctions

from sandbox.aws.nested_executions import PARENT, StoppedError, check_size, is_running

KNOWN = {
    *("Type", "Comment", "ItemReader", "ItemProcessor", "ItemSelector", "MaxConcurrency", "MaxConcurrencyPath"),
    *("Label", "ToleratedFailurePercentage", "ToleratedFailureCount", "ResultPath", "ResultSelector"),
    *("InputPath", "OutputPath", "Retry", "Catch", "Next", "End"),
}
# What DescribeMapRun counts.
KINDS = (
    *("pending", "running", "succeeded", "failed", "timedOut", "aborted", "total"),
    *("resultsWritten", "failuresNotRedrivable", "pendingRedrive"),
)
MOST_AT_ONCE = 10_000
LONGEST_LABEL = 40


class UnknownFieldError(NotImplementedError):
    """A definition has a field of a Distributed Map that the sandbox does not play."""


@dataclass
class MapRun:
    """One Map Run: what DescribeMapRun shows of it, and how its children end."""

    shown: dict[str, Any]
    percentage: float
    count: int
    lock: threading.Lock = field(default_factory=threading.Lock)

    def move(self, before: str, after: str) -> None:
        """Count a child that changes its state."""
        with self.lock:
            for counts in (self.shown["itemCounts"], self.shown["executionCounts"]):
                counts[before] -= 1
                counts[after] += 1

    @property
    def is_exceeded(self) -> bool:
        """Whether more children failed than the definition tolerates; without a threshold none may fail."""
        counts = self.shown["itemCounts"]
        failed = counts["failed"] + counts["aborted"]
        return bool(failed > self.count and failed * 100 > self.percentage * counts["total"])


def run_map(
    state: dict[str, Any],
    raw: Any,
    effective: Any,
    processor: dict[str, Any],
    execution: dict[str, Any],
    context: dict[str, Any],
) -> tuple[Any, str | None]:
    """Run a Distributed Map in place of MiniStack's: each item is an execution that a stop of this one stops."""
    _check_fields(state, processor)
    items = _items(state, effective, context)
    at_once = _at_once(state, effective, context)
    run = _begin(state, execution, items, at_once)
    results: list[Any] = [None] * len(items)

    def work(index: int) -> None:
        if not is_running(execution) or run.is_exceeded:
            run.move("pending", "aborted")
            return
        run.move("pending", "running")
        child, own = _child(state, effective, (index, items[index]), run, execution, context)
        outcome = _run_child(processor, child, own)
        results[index] = json.loads(child["output"]) if child["output"] else None
        run.move("running", outcome)

    with ThreadPoolExecutor(max_workers=min(at_once, len(items)) or 1) as pool:
        wait_for_all([pool.submit(contextvars.copy_context().run, work, index) for index in range(len(items))])
    run.shown["stopDate"] = now_iso()
    if not is_running(execution):
        run.shown["status"] = "ABORTED"
        raise StoppedError
    if run.is_exceeded:
        run.shown["status"] = "FAILED"
        cause = "The specified tolerated failure threshold was exceeded"
        raise stepfunctions._ExecutionError("States.ExceedToleratedFailureThreshold", cause)
    run.shown["status"] = "SUCCEEDED"
    check_size(results, "what the children of the Map returned")
    output = stepfunctions._apply_result_path(state, raw, stepfunctions._apply_result_selector(state, results))
    return stepfunctions._apply_output_path(state, output, context), stepfunctions._next_or_end(state)


def _check_fields(state: dict[str, Any], processor: dict[str, Any]) -> None:
    unknown = sorted(set(state) - KNOWN)
    if unknown or "ItemReader" not in state:
        raise UnknownFieldError(f"a Distributed Map with {unknown or 'no ItemReader'} is not played here")
    if processor["ProcessorConfig"].get("ExecutionType") != "STANDARD":
        raise UnknownFieldError("only children of the type STANDARD are played here")
    if len(state.get("Label", "")) > LONGEST_LABEL:
        raise stepfunctions._ExecutionError("States.Runtime", f"Label has more than {LONGEST_LABEL} characters")


def _items(state: dict[str, Any], effective: Any, context: dict[str, Any]) -> list[Any]:
    reader = state["ItemReader"]
    kind = reader.get("ReaderConfig", {}).get("InputType")
    if (
        not reader["Resource"].endswith(":s3:getObject")
        or set(reader["ReaderConfig"]) != {"InputType"}
        or kind != "JSON"
    ):
        raise UnknownFieldError("only a JSON file in S3 is read here")
    try:
        items = stepfunctions._read_map_items(reader, effective, context)
    except ValueError as error:
        raise stepfunctions._ExecutionError("States.ItemReaderFailed", f"the file is not JSON: {error}") from None
    if not isinstance(items, list):
        raise stepfunctions._ExecutionError("States.ItemReaderFailed", "the file holds no JSON array")
    return items


def _at_once(state: dict[str, Any], effective: Any, context: dict[str, Any]) -> int:
    given = state.get("MaxConcurrency", 0)
    if path := state.get("MaxConcurrencyPath"):
        given = stepfunctions._resolve_path_or_ctx(path, effective, context)
    if not isinstance(given, int) or isinstance(given, bool) or given < 0:
        cause = f"MaxConcurrency must be a whole number from 0, and is {given!r}"
        raise stepfunctions._ExecutionError("States.Runtime", cause)
    return min(given, MOST_AT_ONCE) or MOST_AT_ONCE


def _begin(state: dict[str, Any], execution: dict[str, Any], items: list[Any], at_once: int) -> MapRun:
    _, _, _, region, account, _, machine = execution["stateMachineArn"].split(":")[:7]
    label = state.get("Label") or new_uuid()
    counts = dict.fromkeys(KINDS, 0) | {"total": len(items), "pending": len(items)}
    percentage = float(state.get("ToleratedFailurePercentage", 0))
    count = int(state.get("ToleratedFailureCount", 0))
    arn = f"arn:aws:states:{region}:{account}:mapRun:{machine}/{label}:{new_uuid()}"
    shown = {
        "mapRunArn": arn,
        "executionArn": execution["executionArn"],
        "status": "RUNNING",
        "startDate": now_iso(),
        "maxConcurrency": at_once,
        "toleratedFailurePercentage": percentage,
        "toleratedFailureCount": count,
        "itemCounts": dict(counts),
        "executionCounts": dict(counts),
        "redriveCount": 0,
        "_stateMachineArn": f"arn:aws:states:{region}:{account}:stateMachine:{machine}/{label}",
    }
    stepfunctions._map_runs[arn] = shown
    return MapRun(shown, percentage, count)


def _child(
    state: dict[str, Any],
    effective: Any,
    item: tuple[int, Any],
    run: MapRun,
    execution: dict[str, Any],
    context: dict[str, Any],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the child execution of an item, with its own context object."""
    own = copy.deepcopy(context)
    own["Map"] = {"Item": {"Index": item[0], "Value": item[1]}}
    selector = state.get("ItemSelector")
    given = stepfunctions._resolve_params_obj(selector, effective, own) if selector else item[1]
    machine, name = run.shown["_stateMachineArn"], new_uuid()
    child = {
        "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:{name}",
        "stateMachineArn": machine,
        "name": name,
        "status": "RUNNING",
        "startDate": now_iso(),
        "stopDate": None,
        "input": json.dumps(given),
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": {"included": True},
        "mapRunArn": run.shown["mapRunArn"],
        "events": [],
        "testCase": "",
        "mockAttempts": {},
        PARENT: execution,
    }
    own["Execution"] = {"Id": child["executionArn"], "Input": given, "Name": name, "StartTime": child["startDate"]}
    stepfunctions._executions[child["executionArn"]] = child
    return child, own


def _run_child(processor: dict[str, Any], child: dict[str, Any], context: dict[str, Any]) -> str:
    """Run a child to its end, and return under which name it counts."""
    given = json.loads(child["input"])
    try:
        check_size(given, "the item")
        output = stepfunctions._run_sub_machine(processor["States"], processor["StartAt"], given, child, context)
        if not is_running(child):
            child["status"], child["stopDate"] = "ABORTED", now_iso()
            return "aborted"
        check_size(output, "the output of the child")
        child.update(status="SUCCEEDED", output=json.dumps(output))
        outcome = "succeeded"
    except stepfunctions._ExecutionError as error:
        child.update(status="FAILED", error=error.error, cause=error.cause)
        outcome = "failed"
    child["stopDate"] = now_iso()
    return outcome


def install() -> None:
    """Put this Map in place of MiniStack's."""
    stepfunctions._run_distributed_map = run_map
