"""The real state machines with the real handlers, in one process: moto's interpreter calls functions/<step>/app.py.

Only this module patches private names of moto's Step Functions; pyproject.toml pins moto.
"""

import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import import_module
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.core.responses import ActionResult
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_func import ComparisonFuncValue
from moto.stepfunctions.parser.asl.component.state.choice.comparison.comparison_operator_type import (
    ComparisonOperatorType,
)
from moto.stepfunctions.parser.asl.component.state.choice.comparison.variable import NoSuchVariable
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.component.state.state import CommonStateField
from moto.stepfunctions.parser.asl.component.state.state_type import StateType
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils.json_path import NoSuchJsonPathError
from moto.stepfunctions.parser.backend import execution as moto_execution
from moto.stepfunctions.parser.backend.execution_worker import SyncExecutionWorker
from moto.stepfunctions.responses import StepFunctionResponse, get_backend

from quiesce.errors import QuiesceError
from tests.support.clock import Clock
from tests.support.cloud import Cloud
from tests.support.environment import ACCOUNT, REGION
from tests.support.project import definition, resources, step_of
from tests.support.tracing import traced
from tests.support.wire import FunctionDied, Wire

ROLE = f"arn:aws:iam::{ACCOUNT}:role/states"
FUNCTIONS = {name: step_of(name) for name in resources("AWS::Serverless::Function")}
# A parsed definition keeps no state of an execution, so each is parsed once.
PARSE = cache(AmazonStateLanguageParser.parse)
# moto logs each error that a state machine handles, with the whole definition.
logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)

STAND_IN = {"StartAt": "Told", "States": {"Told": {"Type": "Succeed"}}}
APPS = {step: import_module(f"functions.{step}.app") for step in FUNCTIONS.values()}


@dataclass(frozen=True)
class Run:
    """One execution, as Step Functions describes it."""

    arn: str
    name: str
    status: str
    error: str | None
    cause: str | None
    output: Any
    look: Callable[[], list[dict[str, Any]]] = field(repr=False, compare=False)

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The execution's events, fetched on first use, because moto takes its time for them."""
        return self.look()

    @property
    def states(self) -> list[str]:
        """The states that the execution entered, in order."""
        return [e["stateEnteredEventDetails"]["name"] for e in self.history if "stateEnteredEventDetails" in e]

    def input_of(self, state: str) -> Any:
        """Return the state document with which the execution first entered a state."""
        entered = [e["stateEnteredEventDetails"] for e in self.history if "stateEnteredEventDetails" in e]
        return json.loads(next(e["input"] for e in entered if e["name"] == state))


@dataclass(frozen=True)
class Visit:
    """A function that a state called: the requests that it sent, and whether it gave an answer."""

    state: str
    sent: tuple[str, ...]
    answered: bool


class LambdaError(Exception):
    """An error of Step Functions itself, which can't call a function, such as ``Lambda.ServiceException``."""

    def __init__(self, name: str, *, after_the_call: bool = False) -> None:
        super().__init__(name)
        self.name, self.after_the_call = name, after_the_call


@dataclass
class Machine:
    """The backup machine in one account."""

    cloud: Cloud
    wire: Wire
    clock: Clock
    invocations: list[str] = field(default_factory=list)
    visits: list["Visit"] = field(default_factory=list)
    """The calls of functions, in order."""
    surprises: list[Exception] = field(default_factory=list)
    """Exceptions of functions that are not in errors.py: a bug, unless a test clears them."""
    missing_paths: list[str] = field(default_factory=list)
    """Paths that a state did not find: AWS ends the execution there (``States.Runtime``), behind every Catch."""
    runtime_errors: list[str] = field(default_factory=list)
    """States that moto ended with ``States.Runtime``, for whatever reason."""
    swept: list[dict[str, Any]] = field(default_factory=list)
    """The events that started Sweep."""
    remaining_ms: int = 120_000
    """How long each function may still run, by Lambda's context."""
    retains: bool = False
    """Whether the retention that a policy run starts is the real one: few tests are about it."""
    _stop_in: str = ""
    _state: str = ""
    _kind: StateType | None = None
    _environment: Any = None
    _orders: dict[str, list[LambdaError]] = field(default_factory=dict)
    _before: dict[str, Callable[[], object]] = field(default_factory=dict)
    _not_started: list[str] = field(default_factory=list)
    _no_retention: str = ""

    def start(self, data: Any, name: str | None = None) -> Run:
        """Run an execution to its end, as if started in the console with this input."""
        return self._run(definition(), data, name or f"run-{uuid.uuid4().hex[:12]}")

    def run(self, machine: dict[str, Any], data: Any) -> Run:
        """Run an execution of another definition to its end."""
        return self._run(machine, data, f"other-{uuid.uuid4().hex[:12]}")

    def recover(self, data: Any, name: str | None = None) -> Run:
        """Run an execution of the recover machine to its end."""
        return self._run(definition("RecoverMachine"), data, name or f"recovery-{uuid.uuid4().hex[:12]}")

    def build(self, data: Any, name: str | None = None) -> Run:
        """Run an execution of the revert machine to its end, its parts one after the other."""
        return self._run(one_by_one(definition("RevertMachine")), data, name or f"build-{uuid.uuid4().hex[:12]}")

    def retain(self, data: Any = None, name: str | None = None) -> Run:
        """Run an execution of the retention machine to its end, server after server."""
        machine = one_by_one(definition("RetentionMachine"))
        return self._run(machine, data or {}, name or f"retention-{uuid.uuid4().hex[:12]}")

    def examine(self, data: Any = None, name: str | None = None) -> Run:
        """Run an execution of the doctor machine to its end, server after server."""
        machine = one_by_one(definition("DoctorMachine"))
        return self._run(machine, data or {}, name or f"doctor-{uuid.uuid4().hex[:12]}")

    def run_policy(self, data: Any, name: str | None = None) -> Run:
        """Run an execution of the policy machine to its end, its servers one after the other."""
        return self._run(one_by_one(definition("PolicyMachine")), data, name or f"policy-{uuid.uuid4().hex[:12]}")

    def redrive(self, run: Run, state: str) -> Run:
        """Run a state again with its former input and go on from there, as a redrive does."""
        return self._run({**definition(), "StartAt": state}, run.input_of(state), f"{run.name}-again")

    def lambda_fails(self, step: str, *names: str, after_the_call: bool = False) -> None:
        """Order errors that Step Functions reports for the next calls of a function, before or after their effect."""
        self._orders.setdefault(step, []).extend(LambdaError(n, after_the_call=after_the_call) for n in names)

    def start_fails(self, name: str, times: int) -> None:
        """Order an error that Step Functions reports for the next starts of another machine by a state."""
        self._not_started += [name] * times

    def retention_fails(self, name: str) -> None:
        """Order an error that Step Functions reports whenever a policy run starts the retention of its servers."""
        self._no_retention = name

    def stop_in(self, state: str) -> None:
        """Order a stop of the next execution in this state; a function that runs then runs on."""
        self._stop_in = state

    def sweep(self, run: Run) -> None:
        """Start Sweep, as EventBridge does after an execution was stopped, timed out or failed."""
        described = self.cloud.stepfunctions.describe_execution(executionArn=run.arn)
        self.sweep_by_event(ended_event(run.arn, run.status, described["input"], self.clock.now_s, described))

    def sweep_by_event(self, event: dict[str, Any], step: str = "sweep") -> None:
        """Start Sweep, or the recover function, with an event."""
        self.swept.append(event)
        with self.wire.listen():
            APPS[step].handler(json.loads(json.dumps(event)), self._context(step))

    def sweep_recovery(self, run: Run) -> None:
        """Start the recover function, as EventBridge does after an execution was stopped, timed out or failed."""
        self._sweep_by_its_end(run, "recover")

    def sweep_build(self, run: Run) -> None:
        """Start the revert function, as EventBridge does after an execution was stopped, timed out or failed."""
        self._sweep_by_its_end(run, "revert")

    def _sweep_by_its_end(self, run: Run, step: str) -> None:
        described = self.cloud.stepfunctions.describe_execution(executionArn=run.arn)
        event = ended_event(run.arn, run.status, described["input"], self.clock.now_s, described)
        self.sweep_by_event(event, step)

    def before(self, step: str, action: Callable[[], object]) -> None:
        """Order an action before the next call of a function."""
        self._before[step] = action

    def plug_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Become Lambda for moto's Step Functions, whose executions then run in the thread that starts them."""
        monkeypatch.setattr(moto_execution, "ExecutionWorker", SyncExecutionWorker)
        monkeypatch.setattr(AmazonStateLanguageParser, "parse", PARSE)
        monkeypatch.setattr(lambda_eval_utils, "_invoke_lambda_function", self._invoke)
        monkeypatch.setattr(StepFunctionResponse, "get_execution_history", _page_of_history)
        self._start_by_the_clock(monkeypatch)
        enter, leave = CommonStateField._eval_state_input, CommonStateField._verify_size_quota

        def watched_enter(state: CommonStateField, env: Environment) -> None:
            self._environment, self._state, self._kind = env, state.name, state.state_type
            self._stop_if(state, StateType.Wait)
            enter(state, env)

        def watched_leave(state: CommonStateField, env: Environment, value: Any) -> None:
            self._stop_if(state, StateType.Choice, StateType.Pass)
            leave(state, env, value)

        self._watch_what_no_catch_catches(monkeypatch)
        self._watch_nested_starts(monkeypatch)
        monkeypatch.setattr(StateTaskServiceSfn, "_normalise_response", _as_a_machine_gets_it)
        monkeypatch.setattr(CommonStateField, "_eval_state_input", watched_enter)
        monkeypatch.setattr(CommonStateField, "_verify_size_quota", watched_leave)

    def _watch_nested_starts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def starts(task: Any, parameters: dict[str, Any], **_of: Any) -> None:
            _as_boto_takes_it(task, parameters)
            if parameters["stateMachineArn"].endswith(":RetentionMachine") and self._no_retention:
                self._not_started.insert(0, self._no_retention)
            if self._not_started:
                # moto makes the name of the code, and ends it with "Exception".
                code = self._not_started.pop(0).removeprefix("StepFunctions.").removesuffix("Exception")
                response: Any = {"Error": {"Code": code, "Message": "it was not started"}}
                response["ResponseMetadata"] = {"HTTPStatusCode": 400, "RequestId": "1"}
                raise ClientError(response, "StartExecution")

        monkeypatch.setattr(StateTaskServiceSfn, "_normalise_parameters", starts)

    def _start_by_the_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let an execution start at the test's time, as what it launches does; moto takes this machine's."""
        initialize = moto_execution.Execution.__init__

        def initialized(execution: moto_execution.Execution, *arguments: Any, **named: Any) -> None:
            initialize(execution, *arguments, **named)
            execution.start_date = self.clock.now()

        monkeypatch.setattr(moto_execution.Execution, "__init__", initialized)

    def _watch_what_no_catch_catches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        miss, name, compare = NoSuchJsonPathError.__init__, StatesErrorName.__init__, ComparisonFuncValue._eval_body

        def watched_miss(error: NoSuchJsonPathError, json_path: str, data: Any) -> None:
            miss(error, json_path, data)
            # A Choice may ask whether a path is there.
            if self._kind != StateType.Choice:
                self.missing_paths.append(f"{self._state}: {json_path}")

        def watched_name(error: StatesErrorName, typ: StatesErrorNameType) -> None:
            name(error, typ)
            if typ == StatesErrorNameType.StatesRuntime:
                self.runtime_errors.append(self._state)

        def watched_compare(comparison: ComparisonFuncValue, env: Environment) -> None:
            # To moto a comparison with a path that is not there does not hold.
            variable = env.stack[-1]
            if isinstance(variable, NoSuchVariable) and comparison.operator_type != ComparisonOperatorType.IsPresent:
                self.missing_paths.append(f"{self._state}: {variable.path.partition(',')[0]}")
            compare(comparison, env)

        monkeypatch.setattr(NoSuchJsonPathError, "__init__", watched_miss)
        monkeypatch.setattr(StatesErrorName, "__init__", watched_name)
        monkeypatch.setattr(ComparisonFuncValue, "_eval_body", watched_compare)

    def _stop_if(self, state: CommonStateField, *kinds: StateType) -> None:
        if state.name == self._stop_in and state.state_type in kinds:
            self.stop()

    def stop(self) -> None:
        """Stop the running execution, as an operator does in the console."""
        self._environment.set_stop(stop_date=self.clock.now(), cause="stopped by the test", error="Stopped")

    def unused(self) -> list[str]:
        """Return the ordered failures that no call met."""
        unmet = [f"{step}: {order.name}" for step, orders in self._orders.items() for order in orders]
        return [*unmet, *self._not_started]

    def _run(self, machine: dict[str, Any], data: Any, name: str) -> Run:
        states = self.cloud.stepfunctions
        self._create_nested()
        created = states.create_state_machine(name=f"m-{name}", definition=json.dumps(machine), roleArn=ROLE)
        with self.wire.listen():
            arn = states.start_execution(stateMachineArn=created["stateMachineArn"], name=name, input=json.dumps(data))[
                "executionArn"
            ]
        ended = states.describe_execution(executionArn=arn)
        output = json.loads(ended["output"]) if "output" in ended else None

        def look() -> list[dict[str, Any]]:
            # Not by the wire: an eighth of a whole run went into writing and reading these events.
            return sorted(
                get_backend(ACCOUNT, REGION).get_execution_history(arn)["events"],
                key=lambda event: event["id"],
            )

        return Run(arn, name, ended["status"], ended.get("error"), ended.get("cause"), output, look)

    def _create_nested(self) -> None:
        """Create the machines that others start, once, under the names that stand in their definitions."""
        states = self.cloud.stepfunctions
        known = {machine["name"] for machine in states.list_state_machines()["stateMachines"]}
        for nested in {"RevertMachine", "BackupMachine", "RetentionMachine"} - known:
            real = nested != "RetentionMachine" or self.retains
            text = json.dumps(one_by_one(definition(nested)) if real else STAND_IN)
            states.create_state_machine(name=nested, definition=text, roleArn=ROLE)

    def _invoke(self, parameters: dict[str, Any], **_where: Any) -> dict[str, Any]:
        step = FUNCTIONS[parameters["FunctionName"].rpartition(":")[2]]
        self.invocations.append(step)
        if self._stop_in == self._state:
            self.stop()
        with self.wire.listen(on=False):
            self._before.pop(step, lambda: None)()
        sent, answer = len(self.wire.sent), self._answer(step, parameters["Payload"])
        self.visits.append(Visit(self._state, tuple(self.wire.sent[sent:]), "FunctionError" not in answer))
        return answer

    def _answer(self, step: str, payload: str) -> dict[str, Any]:
        try:
            # Through JSON both ways, as Lambda does.
            return {"Payload": json.loads(json.dumps(self._call(step, json.loads(payload))))}
        except LambdaError as error:
            if error.name == "States.Timeout":
                # moto turns this into States.Timeout.
                raise TimeoutError from None
            kind, words = error.name, "reported by Step Functions"
        except FunctionDied:
            kind, words = "Sandbox.Timedout", "RequestId: test Error: Task timed out after 30.00 seconds"
        except Exception as error:  # noqa: BLE001 - Lambda reports whatever the function raises
            kind, words = type(error).__name__, str(error)
            if not isinstance(error, QuiesceError):
                self.surprises.append(error)
        return {"FunctionError": "Unhandled", "Payload": {"errorType": kind, "errorMessage": words}}

    def _call(self, step: str, event: Any) -> Any:
        orders = self._orders.get(step)
        order = orders.pop(0) if orders else None
        if order and not order.after_the_call:
            raise order
        result = traced(APPS[step].handler)(event, self._context(step))
        if order:
            raise order
        return result

    def _context(self, step: str) -> Any:
        return SimpleNamespace(
            aws_request_id=str(uuid.uuid4()),
            function_name=step,
            memory_limit_in_mb=1024,
            get_remaining_time_in_millis=lambda: self.remaining_ms,
        )


def _as_boto_takes_it(_task: Any, parameters: dict[str, Any], **_of: Any) -> None:
    """Name what starts a nested execution as boto does, which moto leaves out; the input becomes text."""
    for name in list(parameters):
        value = parameters.pop(name)
        parameters[f"{name[0].lower()}{name[1:]}"] = json.dumps(value) if name == "Input" else value
    # Step Functions makes up a name where none is given; to moto it would be none.
    parameters.setdefault("name", str(uuid.uuid4()))


def _as_a_machine_gets_it(_task: Any, response: dict[str, Any], **_of: Any) -> None:
    """Name what came of a nested execution as Step Functions does, with times in milliseconds (its guide)."""
    for name in list(response):
        value = response.pop(name)
        written = round(value.timestamp() * 1000) if isinstance(value, datetime) else value
        response[f"{name[0].upper()}{name[1:]}"] = written


def one_by_one(machine: dict[str, Any]) -> dict[str, Any]:
    """Return a definition whose Maps do one item after the other: the wire and its faults are one for all threads."""
    states = {
        name: _one_by_one(state) if state["Type"] == "Map" else state for name, state in machine["States"].items()
    }
    return {**machine, "States": states}


def _one_by_one(state: dict[str, Any]) -> dict[str, Any]:
    changed = {name: value for name, value in state.items() if name != "MaxConcurrencyPath"} | {"MaxConcurrency": 1}
    if "ToleratedFailurePercentage" in state:
        # moto's grammar takes a fraction only.
        changed["ToleratedFailurePercentage"] = float(state["ToleratedFailurePercentage"])
    return changed


def _page_of_history(self: StepFunctionResponse) -> ActionResult:
    """GetExecutionHistory in pages and in either order, which moto ignores (Step Functions' API reference)."""
    events = self.stepfunction_backend.get_execution_history(self._get_param("executionArn"))["events"]
    ordered = sorted(events, key=lambda event: event["id"], reverse=bool(self._get_param("reverseOrder")))
    start = int(self._get_param("nextToken") or 0)
    end = start + (int(self._get_param("maxResults") or 0) or 100)
    return ActionResult({"events": ordered[start:end]} | ({"nextToken": str(end)} if end < len(ordered) else {}))


def ended_event(
    arn: str, status: str, data: str, now_s: float, described: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Return the event that Step Functions sends to EventBridge when an execution has ended.

    Source: Step Functions' developer guide, "Automating Step Functions event delivery with EventBridge".
    """
    name, machine = arn.rpartition(":")[2], arn.rpartition(":")[0].replace(":execution:", ":stateMachine:")
    detail = {
        "executionArn": arn,
        "stateMachineArn": machine,
        "name": name,
        "status": status,
        "startDate": int(now_s * 1000) - 60_000,
        "stopDate": int(now_s * 1000),
        "input": data,
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": None,
        "error": described.get("error"),
        "cause": described.get("cause"),
    }
    return {
        "version": "0",
        "id": "315c1398-40ff-a850-213b-158f73e60175",
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": ACCOUNT,
        "time": datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [arn],
        "detail": detail,
    }
