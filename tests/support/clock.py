"""Time in tests: it passes only where the code under test waits."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from quiesce.clock import Clock as StepClock
from sandbox.aws.snapshots import RULES
from tests.support.wire import FunctionDied


class Clock:
    """One clock for the functions, the state machine's waits, boto3's own pauses, and the simulated EBS."""

    def __init__(self) -> None:
        # A second ahead of the real time, which moto writes into the execution.
        self.now_s = float(int(time.time()) + 1)
        self.ends_s = math.inf
        """When Lambda ends the function that runs; no function is ended unless a test sets it."""
        self.aws_ahead_s = 0.0
        """How far AWS's clock, by the Date of its answers, is ahead of the functions'."""
        self.waits: list[float] = []
        self._actions: list[Callable[[], None]] = []

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.fromtimestamp(self.now_s, UTC)

    def wait(self, seconds: float) -> None:
        """Let time pass, and run the next ordered action meanwhile."""
        self.waits.append(seconds)
        if self._actions:
            self._actions.pop(0)()
        self.now_s += seconds

    def at_next_wait(self, *actions: Callable[[], None]) -> None:
        """Order what happens during waits: the first action in the next wait, the second in the one after."""
        self._actions.extend(actions)

    def plug_in(self, monkeypatch: pytest.MonkeyPatch, modules: list[Any]) -> None:
        """Become the clock of these modules of functions, of moto's state machines, of botocore and of EBS."""
        retrier = import_module("moto.stepfunctions.parser.asl.component.common.retry.retrier_decl")
        waiting = import_module("moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function")
        endpoint = import_module("botocore.endpoint")
        clock = StepClock(self.now, lambda: self.now_s, self.spend)
        for module in modules:
            if hasattr(module.step, "clock"):
                monkeypatch.setattr(module, "step", replace(module.step, clock=clock))
        monkeypatch.setattr(retrier, "time", SimpleNamespace(sleep=self.wait))
        monkeypatch.setattr(endpoint, "time", SimpleNamespace(sleep=self.spend))
        monkeypatch.setattr(waiting.WaitFunction, "_wait_interval", self._wait_in_state)
        monkeypatch.setattr(RULES, "now_s", lambda: self.now_s)
        monkeypatch.setattr(import_module("moto.core.responses"), "utcnow", self._aws_now)

    def _aws_now(self) -> datetime:
        return datetime.fromtimestamp(self.now_s + self.aws_ahead_s, UTC).replace(tzinfo=None)

    def spend(self, seconds: float) -> None:
        """Let a function spend this time; if it has less left, Lambda ends it."""
        if self.now_s + seconds > self.ends_s:
            self.now_s = self.ends_s
            raise FunctionDied
        self.now_s += seconds

    def _wait_in_state(self, env: Any, wait_seconds: float) -> None:
        self.wait(wait_seconds)
