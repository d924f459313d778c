"""Windows on a simulated server: the SSM agent, the guest with its tasks, its owner's scripts, and its clock."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from sandbox.windows.agent import Agent, Ended, Process, Step
from sandbox.windows.agent_steps import begin
from sandbox.windows.answers import line_of
from sandbox.windows.application import BusyApplication
from sandbox.windows.aws_vss import AWS_DOCUMENT, AwsVss
from sandbox.windows.collection import Put
from sandbox.windows.customer_scripts import CustomerScripts
from sandbox.windows.guest import Guest, Request, put_nowhere
from sandbox.windows.inventory import Drive
from sandbox.windows.session import Run, Session

# Steps of the clock: while a command makes progress, while a session is open, and otherwise.
TICK_S, LULL_S, QUIET_S = 0.1, 5.0, 120.0
# guest/parts, Start-Runner: the watchdog starts this long after the deadlines that it watches.
WATCHDOG_GRACE_S = 30
SLEEPS = re.compile(r"Start-Sleep -Seconds (\d+)")
PARAMETER = re.compile(r"^ +(\w+) = '([^']*)'$", re.MULTILINE)


class OnDisk(NamedTuple):
    """What of quiesce lies on a server's system drive: its runs with their sessions, and the owner's scripts."""

    runs: dict[str, Run]
    folder: dict[str, str]
    fetched: dict[str, str]


@dataclass
class Verb:
    """A verb of the guest as a process of the agent."""

    request: Request

    def poll(self, now_s: float) -> Ended | None:
        """Return how it ended: with the guest's line, and exit code 1 if the guest refused."""
        answer = self.request.answer(now_s)
        if answer is None:
            return None
        return Ended(0 if answer["ok"] else 1, line_of(answer) + "\r\n")


@dataclass
class Sleep:
    """A script that only sleeps, as a process of the agent."""

    until_s: float

    def poll(self, now_s: float) -> Ended | None:
        """Return its end once it has slept."""
        return Ended(0, "") if now_s >= self.until_s else None


class Windows:
    """One server, switched on; `now_s` is its clock, in seconds since 1970."""

    def __init__(
        self,
        instance_id: str,
        application: BusyApplication | None,
        get: Callable[[str], bytes | None],
        now_s: float,
        *,
        put: Put = put_nowhere,
        drives: Iterable[Drive] = (),
    ) -> None:
        """Switch it on.

        Args:
            instance_id: its id in the instance metadata.
            application: the application that its owner's scripts freeze and thaw.
            get: downloads from a link into the bucket; None where a server would get an error.
            now_s: in seconds since 1970.
            put: uploads to a link into the bucket; False where a server would get an error.
            drives: its volumes as Windows sees them.
        """
        self.scripts = CustomerScripts(application, get)
        self.guest = Guest(instance_id, self.scripts, put, list(drives))
        self.aws_vss = AwsVss(lambda: self.guest.condition.aws_components is not None)
        self.agent = Agent(self._start_script, last_ping_s=now_s)
        self.now_s, self.on = now_s, True
        self._boots_s: float | None = None

    def advance(self, now_s: float) -> None:
        """Do everything that is due by now."""
        while self.now_s < now_s:
            before_s = self.now_s
            self.now_s = min(before_s + self._step_s(), now_s)
            if self._boots_s is not None and self.now_s >= self._boots_s:
                self.boot()
            if self.on:
                self._fire_watchdogs(before_s)
                self.guest.advance(self.now_s)
            self.agent.advance(self.now_s)

    def _step_s(self) -> float:
        if not self.on and self._boots_s is not None:
            return max(self._boots_s - self.now_s, TICK_S)
        if self.agent.busy:
            return TICK_S
        resting = all(session.phase in ("thawed", "ended") for session in self.guest.sessions())
        return QUIET_S if resting and self._boots_s is None else LULL_S

    def switch_off(self) -> None:
        """Cut its power, which ends every process on it."""
        self.on, self._boots_s = False, None
        self.agent.stop()
        for session in self.guest.sessions():
            session.runner = session.process = None

    def boot(self) -> None:
        """Switch it on: tasks with a boot trigger start, and the agent resumes its commands."""
        self.on, self._boots_s = True, None
        self.guest.reboot(self.now_s)
        self.agent.begin(self.now_s)

    def on_disk(self) -> OnDisk:
        """Return what of quiesce lies on the system drive at this moment."""
        return OnDisk(self.guest.runs_on_disk(), dict(self.scripts.folder), dict(self.scripts.fetched))

    def boot_from(self, found: OnDisk) -> None:
        """Boot with what lies on the system drive of the server from whose snapshots the disks come."""
        self.scripts.folder, self.scripts.fetched = dict(found.folder), dict(found.fetched)
        self.guest.find_on_disk(found.runs)
        self.guest.reboot(self.now_s)

    def reboot(self, down_s: float = 60.0) -> None:
        """Switch it off, and on again after `down_s`."""
        self.switch_off()
        self._boots_s = self.now_s + down_s

    def _start_script(self, script: str | Step, now_s: float) -> Process:
        """Start a command's script; the guest gets the parameters that the document's prologue sets."""
        if isinstance(script, Step):
            return begin(script, self.agent, self.guest.condition, now_s)
        if script.startswith(AWS_DOCUMENT):
            return self.aws_vss.start(json.loads(script.removeprefix(AWS_DOCUMENT)), now_s)
        if sleeps := SLEEPS.fullmatch(script):
            return Sleep(now_s + int(sleeps[1]))
        prologue = script.partition("\n}")[0]
        return Verb(self.guest.ask(dict(PARAMETER.findall(prologue)), now_s))

    def _fire_watchdogs(self, since_s: float) -> None:
        for session in self.guest.sessions():
            if session.tasks and any(since_s < due_s <= self.now_s for due_s in _deadlines_s(session)):
                self.guest.start_task("watchdog", session, self.now_s)


def _deadlines_s(session: Session) -> tuple[float, float]:
    limits, grace_s = session.limits, session.created_s + WATCHDOG_GRACE_S
    return grace_s + limits["before"] + limits["freeze"], grace_s + limits["session"]
