"""Lambda functions on AWS's own runtime client, so that exceptions keep their names and layers work as on Lambda.

MiniStack's worker reports every exception as `Runtime.HandlerError`, and gives functions the packages of its own
interpreter. Its worker for custom runtimes speaks Lambda's Runtime API: a function becomes a custom runtime whose
bootstrap is `lambda_bootstrap.py`.
"""

import io
import json
import subprocess
import threading
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

from sandbox.aws.forks import Fork, end_all, end_idle, template
from sandbox.aws.interpreter import ARCHITECTURE, RUNTIME, make_runtime_folder

# The variables that Lambda sets; a function gets these and its own, and no others of this process.
SET_BY_LAMBDA = [
    "_HANDLER",
    "LAMBDA_TASK_ROOT",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
]

# Cold starts compete for two cores, and Lambda allows ten seconds for each: further invocations wait.
AT_ONCE = 8
_running = threading.BoundedSemaphore(AT_ONCE)
# An execution that still runs when the sandbox ends asks for further functions: none of them starts.
_ended = threading.Event()
# Set while what runs is ended: of what waits for its turn, nothing starts any more.
_ending = threading.Event()
_starting = threading.Lock()
END_TIMEOUT_S = 10
# A process that is about to start is ended once it has.
END_RUNNING_TIMEOUT_S = 60
LOOK_S = 0.01
_FUNCTION = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]
_delete_function = _FUNCTION["delete"]


# Lambda developer guide, "Deleting layers": a function goes on with a layer that was deleted.
_layers: dict[str, bytes] = {}


def _content_of(layer: Any) -> bytes | None:
    """Return a layer's archive, also once it was deleted; None if no function had ever run with it."""
    if found := lambda_svc._resolve_layer_zip(layer):
        _layers[str(layer)] = found
    return _layers.get(str(layer))


class RuntimeClientWorker(lambda_runtime.ProvidedWorker):
    """One execution environment."""

    runtime_folder: Path
    pauses: float

    def __init__(self, func_name: str, config: dict[str, Any], code_zip: bytes) -> None:
        super().__init__(func_name, config, self._with_bootstrap(config, code_zip))

    def _with_bootstrap(self, config: dict[str, Any], code_zip: bytes) -> bytes:
        """Put beside the code what starts it: the layers, and the variables that are not the environment's own."""
        layers = [layer for each in config.get("Layers", []) if (layer := _content_of(each))]
        folders = [lambda_svc._docker_extracted_dir(layer, "layer") for layer in layers]
        # Lambda developer guide, "Setting your function's log format": only JSON has levels, and INFO is the default.
        logs = config.get("LoggingConfig") or {}
        levels = {"AWS_LAMBDA_LOG_FORMAT": logs.get("LogFormat", "Text")}
        if logs.get("LogFormat") == "JSON":
            levels["AWS_LAMBDA_LOG_LEVEL"] = logs.get("ApplicationLogLevel", "INFO")
        variables = config.get("Environment", {}).get("Variables", {}) | levels
        package = io.BytesIO(code_zip)
        with zipfile.ZipFile(package, "a") as archive:
            archive.writestr("bootstrap", json.dumps({"layers": folders, "variables": variables}))
        return package.getvalue()

    def _build_handler_class(self, generation: int, pending: Any) -> type:
        """Buffer the output: otherwise each invocation waits 40 ms for a delayed acknowledgement."""
        handler: Any = super()._build_handler_class(generation, pending)
        handler.disable_nagle_algorithm, handler.wbufsize = True, -1
        return handler  # type: ignore[no-any-return]

    def _drain_stderr_bounded(
        self, first_line_wait: float = 0.004, idle_confirm: float = 0.002, hard_cap: float = 0.25
    ) -> str:
        """Wait less for log lines than the 50 ms that MiniStack allows."""
        return super()._drain_stderr_bounded(first_line_wait, idle_confirm, hard_cap)  # type: ignore[no-any-return]


def _start(command: list[str], *, env: dict[str, str], **_pipes: Any) -> Fork:
    """Start the process of an environment, as MiniStack starts a bootstrap: with its whole environment."""
    needed = json.loads(Path(command[0]).read_text())
    variables: dict[str, str] = needed["variables"]
    with _starting:
        if _ended.is_set():
            raise OSError("the sandbox has ended")
        worker = RuntimeClientWorker
        made = template(worker.runtime_folder, tuple(needed["layers"]), variables, worker.pauses)
        return made.start({name: env[name] for name in SET_BY_LAMBDA if name in env} | variables)


def _execute(function: dict[str, Any], event: Any, request_id: str) -> dict[str, Any]:
    """Run one invocation; refuse a function for another runtime or architecture."""
    config = function.get("config") or function
    needed = (config.get("Runtime"), (config.get("Architectures") or ["x86_64"])[0])
    if needed != (RUNTIME, ARCHITECTURE):
        message = f"This sandbox runs {RUNTIME} on {ARCHITECTURE}; the function needs {needed[0]} on {needed[1]}"
        return {"error": True, "body": {"errorType": "Sandbox.OtherRuntime", "errorMessage": message}}
    with _running:
        if _ended.is_set() or _ending.is_set():
            return {"error": True, "body": {"errorType": "Sandbox.Ended", "errorMessage": "The sandbox has ended"}}
        result: dict[str, Any] = lambda_svc._execute_function_provided_warm(function, event, request_id)
    body = result.get("body")
    if isinstance(body, dict) and body.get("errorType") == "Sandbox.Timedout":
        body["errorMessage"] = f"{request_id} {body['errorMessage']}"  # as Lambda words it
    return result


def _delete(function_name: str, properties: dict[str, Any]) -> None:
    """Delete a stack's function, and end its environments: MiniStack leaves them running, and their threads too."""
    _delete_function(function_name, properties)
    lambda_runtime.invalidate_worker(function_name)
    with _starting:
        end_idle()


def install(runtime_folder: Path, pauses: float) -> None:
    """Run every Python function of MiniStack this way, its pauses multiplied by a factor."""
    _ended.clear()
    RuntimeClientWorker.pauses = pauses
    RuntimeClientWorker.runtime_folder = make_runtime_folder(runtime_folder)
    lambda_runtime._worker_class_for = lambda _config: RuntimeClientWorker
    lambda_svc._execute_function_warm = _execute
    _FUNCTION["delete"] = _delete
    lambda_runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": _start})


def end_running() -> None:
    """End the functions that run or wait for their turn; their environments go on with the next start.

    Raises:
        TimeoutError: some still run; names them.
    """
    until_s = time.monotonic() + END_RUNNING_TIMEOUT_S
    _ending.set()
    try:
        while (left := lambda_svc.executions_in_flight())[0]:
            for worker in [w for workers in list(lambda_runtime._workers.values()) for w in workers if w.in_use]:
                if process := worker._proc:
                    process.kill()
            if time.monotonic() > until_s:
                raise TimeoutError(f"functions still run after {END_RUNNING_TIMEOUT_S} s: {left[1]}")
            time.sleep(LOOK_S)
    finally:
        _ending.clear()


def end() -> None:
    """End every process that runs a function, and wait until none that was asked for before starts any more."""
    with _starting:
        _ended.set()
    lambda_runtime.reset()
    end_all()
    for _ in [_ for _ in range(AT_ONCE) if _running.acquire(timeout=END_TIMEOUT_S)]:
        _running.release()
    lambda_runtime.reset()
