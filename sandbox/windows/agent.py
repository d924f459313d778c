"""The SSM agent of one server, and Run Command's view of the commands sent to it, as AWS documents both.

Time is an input: things happen only in `advance`, and nothing here sleeps. Sources: the API reference of SSM, the user
guide's "Understanding command statuses" and "Run Command timeouts", and amazon-ssm-agent's own source (named at each).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

# constants.go: DefaultCommandWorkersLimit, DefaultCommandRetryLimit; processor.go: older documents are not resumed.
MAX_COMMANDS_AT_ONCE = 5
MAX_RESUMPTIONS = 15
OLDEST_RESUMED_S = 48 * 3600
# iohandler.go and pluginutil.go (StringPrefix): bytes, the suffix among them.
MAX_OUTPUT_BYTES = 24_000
TRUNCATED = b"--output truncated--"
# API reference, GetCommandInvocation: "the first 8,000 characters".
MAX_ERROR_CHARACTERS = 8_000
# constants.go: HealthFrequencyMinutes. Until then SSM still shows a lost agent as "Online".
PING_EVERY_S = 300
# pluginutil_windows.go: these mean a reboot, the end of the document, or a timeout; our verbs must not end with them.
CODES_WITH_A_MEANING = frozenset({3010, 168, 169, -1})

UNFINISHED = frozenset({"Pending", "In Progress", "Cancelling"})


class Ended(NamedTuple):
    """How a script ended."""

    exit_code: int
    stdout: str
    stderr: str = ""


class Process(Protocol):
    """A script that the agent has started."""

    def poll(self, now_s: float) -> Ended | None:
        """Return how it ended, None while it runs."""


class Step(NamedTuple):
    """A step of AWS's own that the agent does itself: its action, and what stands in the document for it."""

    action: str
    inputs: tuple[tuple[str, str], ...]

    @property
    def named(self) -> dict[str, str]:
        """Its inputs by their names."""
        return dict(self.inputs)


StartScript = Callable[[str | Step, float], Process]


@dataclass
class Command:
    """One command to one server; `status` is the StatusDetails of its invocation, times in seconds since 1970."""

    command_id: str
    script: str | Step
    sent_s: float
    delivery_limit_s: float
    execution_limit_s: float
    status: str = "Pending"
    exit_code: int = -1  # API reference: not started, or no answer
    stdout: str = ""
    stderr: str = ""
    started_s: float = 0.0
    ended_s: float = 0.0
    in_progress: bool = False
    """Whether the command is on the agent's own list, which survives a restart of the agent."""
    starts: int = 0
    process: Process | None = None
    unreported: tuple[str, Ended] | None = None

    @property
    def expires_s(self) -> float:
        """User guide, timeouts: delivery plus execution; a command without an answer by then has timed out."""
        return self.sent_s + self.delivery_limit_s + self.execution_limit_s


@dataclass
class Agent:
    """The agent. `connected` is its network, `running` its service; `delay_s` a command's delivery time."""

    start_script: StartScript
    version: str = "3.3.3572.0"
    delay_s: float = 0.2
    connected: bool = True
    running: bool = True
    last_ping_s: float = 0.0
    commands: list[Command] = field(default_factory=list)

    @property
    def busy(self) -> bool:
        """Whether a command may make progress soon."""
        return self.running and any(c.process or (c.status in UNFINISHED and self.connected) for c in self.commands)

    def seems_online(self, now_s: float) -> bool:
        """Whether SSM shows the agent as online: it notices a lost one only when a ping is overdue."""
        return now_s - self.last_ping_s <= PING_EVERY_S

    def advance(self, now_s: float) -> None:
        """Do everything that is due by now."""
        if self.running and self.connected:
            self.last_ping_s = now_s
        if self.running:
            self._begin_pending(now_s)
            for command in self.commands:
                self._check_process(command, now_s)
        if self.running and self.connected:
            for command in self.commands:
                self._report(command, now_s)
        for command in self.commands:
            if command.status in UNFINISHED and now_s >= command.expires_s:
                command.status, command.ended_s = "Delivery Timed Out", command.expires_s

    def cancel(self, command: Command, now_s: float) -> None:
        """Cancel a command, as from the console; what its script has started on the server keeps running."""
        if command.status == "Pending":
            command.status, command.ended_s = "Cancelled", now_s
        elif command.status == "In Progress":
            command.status = "Cancelling"

    def lose_worker(self, command: Command) -> None:
        """End the process that runs a command's document; what its script has begun on the server goes on.

        amazon-ssm-agent, processor.go: the document then counts as failed, and no plugin has written any output.
        """
        words = "document process failed unexpectedly"
        command.process, command.unreported = None, None
        command.in_progress, command.status, command.exit_code = False, "Failed", 1
        command.stdout, command.stderr = "", words

    def stop(self) -> None:
        """Stop the agent's service, and with it the scripts that it runs."""
        self.running = False
        for command in self.commands:
            command.process = None

    def begin(self, now_s: float) -> None:
        """Start the service; commands in progress run again from the beginning (processor.go)."""
        self.running = True
        for command in self.commands:
            if command.in_progress and not command.process and not command.unreported:
                resumable = command.starts <= MAX_RESUMPTIONS and now_s - command.sent_s < OLDEST_RESUMED_S
                command.in_progress = resumable
                if resumable:
                    self._begin(command, now_s)

    def restart(self, now_s: float) -> None:
        """Stop and start the service."""
        self.stop()
        self.begin(now_s)

    def _begin_pending(self, now_s: float) -> None:
        """API reference, TimeoutSeconds: a command that has not started by then never starts."""
        for command in [pending for pending in self.commands if pending.status == "Pending"]:
            if sum(other.in_progress for other in self.commands) >= MAX_COMMANDS_AT_ONCE or not self.connected:
                return
            arrived = now_s >= command.sent_s + self.delay_s
            if arrived and now_s < command.sent_s + command.delivery_limit_s:
                command.status, command.started_s = "In Progress", now_s
                self._begin(command, now_s)

    def _begin(self, command: Command, now_s: float) -> None:
        command.in_progress, command.started_s = True, now_s
        command.starts += 1
        command.process = self.start_script(command.script, now_s)

    def _check_process(self, command: Command, now_s: float) -> None:
        """executers.go: a timeout or a cancellation ends powershell.exe, but not the processes that it has started."""
        if command.process is None:
            return
        if command.status == "Cancelling":
            outcome = "Cancelled", Ended(-1, "")
        elif ended := command.process.poll(now_s):
            if ended.exit_code in CODES_WITH_A_MEANING:
                raise NotImplementedError(f"exit code {ended.exit_code}, which has a meaning to the agent")
            outcome = "Success" if ended.exit_code == 0 else "Failed", ended
        elif now_s >= command.started_s + command.execution_limit_s:
            outcome = "Execution Timed Out", Ended(-1, "")
        else:
            return
        command.process, command.unreported = None, outcome

    def _report(self, command: Command, now_s: float) -> None:
        if command.unreported is None:
            return
        status, ended = command.unreported
        command.unreported, command.in_progress = None, False
        if command.status in UNFINISHED:
            command.status, command.exit_code, command.ended_s = status, ended.exit_code, now_s
            command.stdout, command.stderr = _cut(ended.stdout), _cut(ended.stderr)[:MAX_ERROR_CHARACTERS]


def _cut(text: str) -> str:
    output = text.encode()
    if len(output) < MAX_OUTPUT_BYTES:
        return text
    return (output[: MAX_OUTPUT_BYTES - len(TRUNCATED)] + TRUNCATED).decode(errors="replace")
