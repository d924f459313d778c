"""Coverage's tracer rests while moto and botocore work, which is most of a run: otherwise it doubles what a run costs.

A tracer counts frames by calls and returns, so it goes on in the very frame in which it was put to rest.
"""

import sys
import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

from botocore.client import BaseClient
from moto.stepfunctions.parser.asl.component.program.program import Program
from moto.stepfunctions.parser.asl.component.state.exec import execute_state

# By thread: the tracer that rests.
_resting = threading.local()


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does the same while this thread's tracer rests, if it is coverage's."""

    @wraps(function)
    def quiet(*arguments: Any, **named: Any) -> Any:
        tracer = sys.gettrace()
        if not type(tracer).__module__.startswith("coverage"):
            return function(*arguments, **named)
        before, _resting.tracer = getattr(_resting, "tracer", None), tracer
        sys.settrace(None)
        try:
            return function(*arguments, **named)
        finally:
            sys.settrace(tracer)
            _resting.tracer = before

    return quiet


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does the same with the tracer that rests, if one does."""

    @wraps(function)
    def seen(*arguments: Any, **named: Any) -> Any:
        tracer = getattr(_resting, "tracer", None)
        if tracer is None or sys.gettrace() is not None:
            return function(*arguments, **named)
        sys.settrace(tracer)
        try:
            return function(*arguments, **named)
        finally:
            sys.settrace(None)

    return seen


class _Thread(threading.Thread):
    def run(self) -> None:
        untraced(super().run)()


def install() -> None:
    """Let the tracer rest in every call to AWS, and in moto's machines but for the functions that they call."""
    BaseClient._make_api_call = untraced(BaseClient._make_api_call)
    Program._eval_body = untraced(Program._eval_body)
    execute_state.Thread = _Thread
