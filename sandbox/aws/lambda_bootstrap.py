"""Starts functions as Lambda's managed Python runtime does, each execution environment in a process of its own.

One process of this program stands for all environments with the same layers and variables. It imports what functions
import anyway, and is then forked for each environment, which begins where a fresh interpreter would be after a second.

Arguments: the factor for the functions' pauses, the folder with the managed runtime's packages (boto3 and the runtime
client), then the folders of the layers; the environment is the functions' own variables. Neither the project nor its
virtual environment is importable here: what the layer lacks is missing, as it would be on AWS. Standard input is a
socket: each line asks for an environment, a JSON object of its variables, with the descriptor of its output; a line
for its process id comes back, and one when it has ended. When the socket closes, all end.
"""

import gc
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module

# Of the managed runtime and of the layer, what nearly every function imports; what is not there is left out.
# Not the runtime's client: its C code reads the endpoint when it is imported.
SHARED = (
    "boto3",
    "awslambdaric.lambda_context",
    "awslambdaric.lambda_runtime_marshaller",
    "pydantic",
    "aws_lambda_powertools",
)
PRODUCT = "quiesce"
SERVICES = ("dynamodb", "ebs", "ec2", "lambda", "s3", "scheduler", "sns", "ssm", "stepfunctions")
LONGEST = 1 << 20


def main() -> None:
    """Import, then fork an environment for each line, until the socket closes."""
    pauses, runtime, *layers = sys.argv[1:]
    # Before anything is imported that would keep the real one.
    time.sleep = partial(_sleep, time.sleep, float(pauses))
    standard_library = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
    sys.path[:] = [*(os.path.join(layer, "python") for layer in layers), *standard_library, runtime]
    _import_what_is_shared()
    gc.collect()
    gc.freeze()
    _serve(socket.socket(fileno=os.dup(0)))


def _sleep(sleep: Callable[[float], None], factor: float, seconds: float) -> None:
    sleep(seconds * factor)


def _import_what_is_shared() -> None:
    for name in SHARED:
        _import(name)
    for found in pkgutil.walk_packages(getattr(_import(PRODUCT), "__path__", []), f"{PRODUCT}.", lambda _: None):
        if not found.name.endswith("__main__"):
            _import(found.name)
    import boto3
    from botocore.loaders import JSONFileLoader

    # What botocore reads of each service does not depend on the client: each environment would parse it once more.
    JSONFileLoader.load_file = staticmethod(cache(JSONFileLoader().load_file))  # type: ignore[method-assign]
    session = boto3.session.Session("none", "none", region_name="us-east-1")
    for service in SERVICES:
        session.client(service)


def _import(name: str) -> object:
    try:
        return import_module(name)
    except Exception:  # noqa: BLE001 - a function that needs it fails with the same error, where Lambda reports it
        return None


def _serve(requests: socket.socket) -> None:
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running: set[int] = set()
    with selectors.DefaultSelector() as looks:
        looks.register(requests, selectors.EVENT_READ)
        looks.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in looks.select()}
            if woken in ready:
                os.read(woken, LONGEST)
                _report_ended(requests, running)
            if requests in ready:
                line, outputs, *_ = socket.recv_fds(requests, LONGEST, 1)
                if not line:
                    break
                running.add(_fork(requests, json.loads(line), *outputs))
    for process in running:
        os.kill(process, signal.SIGTERM)


def _report_ended(requests: socket.socket, running: set[int]) -> None:
    for process in list(running):
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            running.discard(process)
            _tell(requests, process, os.waitstatus_to_exitcode(status))


def _tell(requests: socket.socket, process: int, code: int | None) -> None:
    requests.sendall(json.dumps([process, code]).encode() + b"\n")


def _fork(requests: socket.socket, variables: dict[str, str], output: int) -> int:
    if process := os.fork():
        os.close(output)
        _tell(requests, process, None)
        return process
    try:
        signal.set_wakeup_fd(-1)
        for name in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(name, signal.SIG_DFL)
        requests.close()
        _become(variables, output)
    except Exception:  # noqa: BLE001 - what ends a process with its traceback
        traceback.print_exc()
    finally:
        os._exit(1)


def _become(variables: dict[str, str], output: int) -> None:
    """Go on as the environment's process: its variables, its folder, its output, and Lambda's runtime client."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for given, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(given, standard)
    os.close(output)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(variables["LAMBDA_TASK_ROOT"])
    sys.path.insert(0, variables["LAMBDA_TASK_ROOT"])
    from awslambdaric.__main__ import main as run

    run(["awslambdaric", variables["_HANDLER"]])


if __name__ == "__main__":
    main()
