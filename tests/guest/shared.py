"""PowerShells that the contract cases share: to start one takes a second of a processor, to use it again hardly any.

A verb, or a task, has one for itself while it runs, with a runspace and its own environment in it (shared.ps1): so it
can be killed as a process of its own. It inherits no pipe: a case in which that counts has processes of its own.
"""

import json
import os
import queue
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Condition, Thread
from typing import Any

HOST = Path(__file__).with_name("shared.ps1")
START_S = 120
# Nothing here lives long enough to be worth a second compilation, a thread that collects beside the others, pages that
# are written by one address and run by another, or a collection before 256 MB (the number is hexadecimal).
DOTNET = {
    "DOTNET_TC_CallCounting": "0",
    "DOTNET_TieredPGO": "0",
    "DOTNET_gcConcurrent": "0",
    "DOTNET_EnableDiagnostics": "0",
    "DOTNET_JITMinOpts": "1",
    "DOTNET_EnableWriteXorExecute": "0",
    "DOTNET_GCgen0size": "10000000",
}


class PowerShellEndedError(Exception):
    """The shared PowerShell has ended by itself: what ran in it is not known, and has to be run again."""


class SharedPowerShell:
    """One PowerShell process; ``environment`` is what it starts with."""

    def __init__(self, pwsh: str, environment: dict[str, str]) -> None:
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self.answers: dict[int, dict[str, Any]] = {}
        self.homes: dict[int, str] = {}
        """Of each command that runs, its machine's folder; of one of none, everything."""
        self.ending: dict[int, dict[str, Any]] = {}
        """The answers of commands that have left files open."""
        self.running: set[int] = set()
        self.changed, self.last_id, self.ended = Condition(), 0, False
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = str(server.getsockname()[1])
            self.process = subprocess.Popen(
                [pwsh, "-NoProfile", "-NonInteractive", "-File", HOST, "-Port", port],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=self.printed,
                stderr=self.printed,
            )
            server.settimeout(START_S)
            self.connection, _ = server.accept()
        Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        # A reset is what is left of one that was killed.
        with self.connection.makefile(encoding="utf-8") as lines, suppress(PowerShellEndedError, ConnectionResetError):
            for line in lines:
                answer = json.loads(line)
                if not self._is_ended(answer):
                    continue
                with self.changed:
                    self.running.discard(answer["id"])
                    self.answers[answer["id"]] = answer
                    self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _is_ended(self, answer: dict[str, Any]) -> bool:
        """Return whether a command has left no file open; else it is over once the PowerShell has collected them.

        To collect takes as long as a short verb does, so it is asked only where something is open.
        """
        number = answer["id"]
        if answer.get("collected"):
            answer.update(self.ending.pop(number))
            return True
        if not self._holds_files(self.homes.pop(number)):
            return True
        self.ending[number] = answer
        self._send({"id": number, "collect": True})
        return False

    def _holds_files(self, home: str) -> bool:
        """Return whether a file in a machine's folder is open; locks are such files."""
        for link in Path("/proc").glob(f"{self.process.pid}/fd/*"):
            try:
                target = os.readlink(link)
            except FileNotFoundError:
                continue  # closed meanwhile
            if target.startswith(home):
                return True
        return False

    def _send(self, asked: dict[str, Any]) -> None:
        try:
            self.connection.sendall(json.dumps(asked).encode() + b"\n")
        except OSError as error:
            raise PowerShellEndedError from error

    def start(self, command: str, environment: dict[str, str]) -> int:
        """Start a command; return its number."""
        with self.changed:
            self.last_id += 1
            number = self.last_id
            self.running.add(number)
            self.homes[number] = environment.get("FAKE_WINDOWS", "/")
        self._send({"id": number, "command": command, "environment": environment})
        return number

    def wait(self, number: int, timeout_s: float | None) -> tuple[int, str, str]:
        """Return exit code, stdout and stderr of a command; None waits until it has ended, however long it takes.

        Raises:
            TimeoutError: it still runs.
            PowerShellEndedError: the process has ended meanwhile.
        """
        with self.changed:
            self.changed.wait_for(lambda: number in self.answers or self.ended, timeout_s)
            if number in self.answers:
                answer = self.answers.pop(number)
                return answer["code"], answer["output"] + self._printed(), answer["errors"]
        raise PowerShellEndedError if self.ended else TimeoutError

    def _printed(self) -> str:
        """Return what programs have printed that inherited this process' stdout: it was to be the command's."""
        self.printed.seek(0)
        text = self.printed.read().decode(errors="replace")
        self.printed.seek(0)
        self.printed.truncate()
        return text

    def is_running(self, number: int) -> bool:
        """Return whether a command has not ended yet."""
        return number in self.running and not self.ended

    def stop(self, numbers: list[int], timeout_s: float = 10) -> bool:
        """Stop commands; return whether they have ended in time."""
        for number in numbers:
            self._send({"id": number, "stop": True})
        with self.changed:
            return self.changed.wait_for(lambda: self.ended or not self.running & {*numbers}, timeout_s)

    def close(self) -> None:
        """End the process."""
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.printed.close()


class Pool:
    """The PowerShells of one culture that rest at the moment; one is started whenever none rests."""

    def __init__(self, pwsh: str, modules: str, culture: str = "C.UTF-8") -> None:
        self.pwsh, self.environment = pwsh, base_environment(modules, culture)
        self.resting: queue.LifoQueue[SharedPowerShell] = queue.LifoQueue()

    def take(self) -> SharedPowerShell:
        """Return a PowerShell that nobody else uses until it is given back."""
        while not self.resting.empty():
            with suppress(queue.Empty):
                shell = self.resting.get_nowait()
                if shell.process.poll() is None:
                    return shell
                shell.close()  # a machine killed it in the moment in which its command ended
        return SharedPowerShell(self.pwsh, self.environment)

    def give_back(self, shell: SharedPowerShell) -> None:
        """Let others use it; one in which something still runs is ended."""
        if shell.ended or shell.running:
            shell.close()
        else:
            self.resting.put(shell)

    def close(self) -> None:
        """End those that rest."""
        while not self.resting.empty():
            self.resting.get().close()


def base_environment(modules: str, culture: str = "C.UTF-8") -> dict[str, str]:
    """Return what a shared PowerShell starts with: nothing of a machine's but where its modules are."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PSModulePath": modules,
        "LC_ALL": culture,
        "POWERSHELL_TELEMETRY_OPTOUT": "1",
        "POWERSHELL_UPDATECHECK": "Off",
        "NO_COLOR": "1",
        **DOTNET,
    }
