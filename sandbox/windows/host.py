"""What a session finds on a simulated server: its disk, the customer's scripts, VSS, and who runs it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from sandbox.windows.vss import Server

STAGES = ("before", "after", "complete")
Json = Any  # what json.loads returns


class Outcome(NamedTuple):
    """What a customer's script does once started. ``exit_code`` None: it is no program. It may run for ``math.inf``."""

    exit_code: int | None = 0
    duration_s: float = 0.0
    printed: tuple[bytes, bytes] = (b"", b"")  # to stdout, to stderr


# Starts the customer's script (path, stage, argument) and tells how it will go; None if there is no such file.
RunScript = Callable[[str, str, str], Outcome | None]


@dataclass
class Process:
    """A script that runs on the server, and who started it; ``ends_s`` is when it ends if nobody ends it before."""

    runner: "Runner"
    exit_code: int
    ends_s: float


@dataclass
class Runner:
    """Who runs the session: the task ``session``, the ``watchdog`` after its death, or a ``verb``, until a phase."""

    name: str
    until: str
    certain: Callable[[], bool]
    since_s: float

    @property
    def started_it(self) -> bool:
        """Whether this is the runner that the session began with, not one that came after a death."""
        return self.name == "session"


def record(reason: str, argument: str, now_s: float) -> dict[str, Json]:
    """Return what is known of a script before it has ended."""
    return {
        "succeeded": False,
        "reason": reason,
        "exitCode": None,
        "argument": argument,
        "processId": 0,
        "startedMs": int(now_s * 1000),
        "endedMs": 0,
    }


@dataclass
class Host:
    """What a session finds on its server: its disk, the customer's scripts, VSS, and CIM."""

    disk_full: Callable[[], bool]
    run_script: RunScript
    vss: Server
    cim_answers: Callable[[], bool]
