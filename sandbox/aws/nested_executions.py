"""State machines that start others: ``startExecution.sync:2``, the children of a Map, and what a stop ends.

MiniStack starts a nested execution without an event of its end, under a name that may be taken, with its error as the
task's own, and it goes on after a stop. AWS: Step Functions developer guide, "Integrate with Step Functions", "Handling
errors" and "Redriving"; API reference, StopExecution.
"""

import copy
import json
import time
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any

from ministack.core.responses import now_iso
from ministack.services import stepfunctions

# Who waits for a nested execution looks this often.
LOOK_S = 0.02
MAX_BYTES = 256 * 1024
# States.ALL catches neither (developer guide, "Handling errors").
UNCAUGHT = frozenset({"States.DataLimitExceeded", "States.Runtime"})
PARENT = "_of"
"""The execution that a child of a Map belongs to."""

_waiting: ContextVar[dict[str, Any] | None] = ContextVar("_waiting", default=None)


class StoppedError(BaseException):
    """The execution, or one that it belongs to, was stopped: nothing of it goes on. No ``except Exception`` gets it."""


def is_running(execution: dict[str, Any] | None) -> bool:
    """Say whether an execution, and each that it belongs to, still runs."""
    while execution is not None:
        if execution["status"] != "RUNNING":
            return False
        execution = execution.get(PARENT)
    return True


def check_size(document: Any, what: str) -> None:
    """Refuse what no state may pass on.

    Raises:
        _ExecutionError: States.DataLimitExceeded, which no Catch catches.
    """
    size = len(json.dumps(document).encode())
    if size > MAX_BYTES:
        cause = f"{what} has {size} bytes, more than the {MAX_BYTES} that a state may pass on"
        raise stepfunctions._ExecutionError("States.DataLimitExceeded", cause)


def start_and_wait(resource: str, given: dict[str, Any]) -> dict[str, Any]:
    """Start an execution, wait for its end, and return what the task has of it; stop it if who waits is stopped."""
    parent = _waiting.get()
    status, _, body = stepfunctions._start_execution(stepfunctions._nested_start_execution_request(given))
    answer = json.loads(body)
    if status >= HTTPStatus.BAD_REQUEST:
        error = f"StepFunctions.{answer.get('__type', '').removesuffix('Exception')}Exception"
        raise stepfunctions._ExecutionError(error, answer.get("message", ""))
    arn = answer["executionArn"]
    child = stepfunctions._executions[arn]
    while child["status"] == "RUNNING":
        if not is_running(parent):
            stepfunctions._stop_execution({"executionArn": arn, "cause": "the execution that waited was stopped"})
            raise StoppedError
        time.sleep(LOOK_S)
    described = _described(child, as_json=resource.endswith(":2"))
    if child["status"] != "SUCCEEDED":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(described))
    return described


def _described(child: dict[str, Any], *, as_json: bool) -> dict[str, Any]:
    names = ("executionArn", "stateMachineArn", "name", "status", "startDate", "stopDate", "input", "output")
    shown = {f"{name[0].upper()}{name[1:]}": child[name] for name in names if child.get(name) is not None}
    if child["status"] != "SUCCEEDED":
        # MiniStack keeps the error as the output, AWS has none then.
        shown.pop("Output", None)
        shown |= {name.capitalize(): child[name] for name in ("error", "cause") if child.get(name) is not None}
    for name in ("Input", "Output") if as_json else ():
        if name in shown:
            shown[name] = json.loads(shown[name])
    return shown


def stop_all() -> None:
    """Stop all executions that run, without an event of their end: nothing is to follow from it."""
    for execution in list(stepfunctions._executions._data.values()):
        if execution["status"] == "RUNNING":
            execution |= {"status": "ABORTED", "stopDate": now_iso()}


def run_states(
    states: dict[str, Any], start_at: str, document: Any, execution: dict[str, Any], context: dict[str, Any]
) -> Any:
    """Run the states of a Map's item or a Parallel's branch to their end, or until the execution is stopped."""
    name: str | None = start_at
    document = copy.deepcopy(document)
    try:
        while name and is_running(execution):
            state = states[name]
            context["State"] = {"Name": name, "EnteredTime": now_iso(), "RetryCount": 0}
            document, name = _run_state(state, document, execution, context)
    except StoppedError:
        return None
    return document


def _run_state(
    state: dict[str, Any], document: Any, execution: dict[str, Any], context: dict[str, Any]
) -> tuple[Any, str | None]:
    match state["Type"]:
        case "Succeed":
            inner = stepfunctions._apply_input_path(state, document, context)
            return stepfunctions._apply_output_path(state, inner, context), None
        case "Fail":
            raise stepfunctions._ExecutionError(*stepfunctions._fail_state_error(state, document, context))
        case "Task" | "Parallel" | "Map" as kind:
            run = getattr(stepfunctions, f"_execute_{kind.lower()}")
            output, following = run(state, document, execution, context)
        case kind:
            output, following = getattr(stepfunctions, f"_execute_{kind.lower()}")(state, document, context)
    return output, following


def install() -> None:
    """Put these rules into MiniStack's engine."""
    execute_task, matches = stepfunctions._execute_task, stepfunctions._error_matches
    run, fail = stepfunctions._run_execution, stepfunctions._fail_execution

    def task_of(state: Any, document: Any, execution: Any, context: Any) -> Any:
        token = _waiting.set(execution)
        try:
            return execute_task(state, document, execution, context)
        finally:
            _waiting.reset(token)

    def error_matches(names: list[str], error: str) -> bool:
        known = [name for name in names if name not in ("States.ALL", "States.TaskFailed")]
        return bool(matches(known if error in UNCAUGHT else names, error))

    def run_until_stopped(arn: str) -> None:
        try:
            run(arn)
        except StoppedError:
            # Its status and its event are those of the stop.
            return

    def fail_if_running(execution: dict[str, Any], error: str, cause: str) -> None:
        # A function that runs on after the stop may still fail.
        if execution["status"] == "RUNNING":
            fail(execution, error, cause)

    stepfunctions._fail_execution = fail_if_running
    stepfunctions._execute_task = task_of
    stepfunctions._error_matches = error_matches
    stepfunctions._invoke_nested_start_execution_sync = start_and_wait
    stepfunctions._run_sub_machine = run_states
    stepfunctions._run_execution = run_until_stopped
