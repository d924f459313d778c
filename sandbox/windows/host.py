"""What a session finds on a simulated server: its disk, the customer's scripts, VSS, and its runner."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sandbox.windows.vss import Server

STAGES = ("before", "after", "complete")
# With the script that is before and after in one.
SCRIPTS = (*STAGES, "session")
Json = Any  # what json.loads returns


# What a session script's end does to the application; it is told whether the script has thawed it by itself.
LetGo = Callable[[bool], object]


class Outcome(NamedTuple):
    """What a started script does. ``exit_code`` None: it is not a program. ``duration_s`` may be ``math.inf``.

    ``frozen_s`` and ``thaw_s`` are a session script's: after how long it makes its file, and how long it takes to end
    once it is told to thaw. ``stays``: its process can't be ended.
    """

    exit_code: int | None = 0
    duration_s: float = 0.0
    printed: tuple[bytes, bytes] = (b"", b"")  # to stdout, to stderr
    frozen_s: float = math.inf
    thaw_s: float = math.inf
    let_go: LetGo = lambda _told: None
    stays: bool = False


# Starts the customer's script (path, stage, argument) and returns how it will end; None if there is no such file.
RunScript = Callable[[str, str, str], Outcome | None]


@dataclass
class Process:
    """A script running on the server, and the runner that started it; ``ends_s`` is when it ends by itself."""

    runner: "Runner"
    exit_code: int
    ends_s: float
    stays: bool = False


class ForeignServerError(Exception):
    """A runner that did not know whose server this is has learned that it is another one than its session's."""


@dataclass
class Runner:
    """What runs a session until a phase: the task ``session``, or after its death the ``watchdog`` or a ``verb``.

    ``recovered`` runs nothing but after, on a clone; ``certain`` raises ForeignServerError.
    """

    name: str
    until: str
    certain: Callable[[], bool]
    since_s: float
    hung: bool = False

    @property
    def started_it(self) -> bool:
        """Whether this is the runner that the session began with, not one that took over after its death."""
        return self.name == "session"


def identity(number: int) -> dict[str, Json]:
    """Return what tells a process apart from all others: its number, and when it started."""
    return {"processId": number, "startedTicks": 638_000_000_000_000_000 + number}


def record(reason: str, argument: str, now_s: float) -> dict[str, Json]:
    """Return a script's entry as it is before the script has ended."""
    return {
        "succeeded": False,
        "reason": reason,
        "exitCode": None,
        "argument": argument,
        "processId": 0,
        "startedTicks": 0,
        "startedMs": int(now_s * 1000),
        "endedMs": 0,
    }


@dataclass
class Host:
    """What a session finds on its server: its disk, the customer's scripts, VSS, CIM, and accounts.

    ``account_problem`` says why no task runs under an account, empty if one does.
    """

    disk_full: Callable[[], bool]
    run_script: RunScript
    vss: Server
    cim_answers: Callable[[], bool]
    account_problem: Callable[[str], str] = lambda _account: ""
