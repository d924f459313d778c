"""Processes of functions, forked from one that has imported what they share: see lambda_bootstrap.py."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

BOOTSTRAP = Path(__file__).with_name("lambda_bootstrap.py")
STARTED, ENDED = "started", "ended"
LOST = -1
"""The exit code of a process whose template has ended."""


class Fork:
    """A process of a function; what MiniStack uses of ``subprocess.Popen``."""

    def __init__(self, output: int) -> None:
        """Take the descriptor from which its output is read."""
        self.pid, self.returncode, self.stdout = 0, None, os.fdopen(output, "rb")
        self._ended = threading.Event()

    returncode: int | None

    def end(self, code: int) -> None:
        """Note that it has ended."""
        self.returncode = code
        self._ended.set()

    def poll(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if not self._ended.wait(timeout) or self.returncode is None:
            raise subprocess.TimeoutExpired(str(BOOTSTRAP), timeout or 0)
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended, and its template is about to tell so
                os.kill(self.pid, number)


class Template:
    """A process that has imported what functions with these layers and variables share, and is forked for each."""

    def __init__(self, runtime: Path, layers: tuple[str, ...], variables: dict[str, str], pauses: float) -> None:
        """Start it; it answers once it has imported."""
        self._socket, theirs = socket.socketpair()
        command = [sys.executable, "-I", "-S", str(BOOTSTRAP), str(pauses), str(runtime), *layers]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), env=variables)
        self._one_at_a_time, self._ended = threading.Lock(), threading.Event()
        self._started: SimpleQueue[str] = SimpleQueue()
        self._starting: Fork | None = None
        self._running: dict[int, Fork] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def start(self, variables: dict[str, str]) -> Fork:
        """Start an environment's process.

        Args:
            variables: its whole environment; LAMBDA_TASK_ROOT is its folder.

        Raises:
            OSError: the template has ended.
        """
        output, theirs = os.pipe()
        with self._one_at_a_time:
            fork = self._starting = Fork(output)
            try:
                socket.send_fds(self._socket, [json.dumps(variables).encode()], [theirs])
                if self._started.get() == ENDED:
                    self._started.put(ENDED)
                    raise BrokenPipeError(f"{BOOTSTRAP.name} has ended with {self._process.wait()}")
            except OSError:
                fork.stdout.close()
                raise
            finally:
                os.close(theirs)
        return fork

    def has_ended(self) -> bool:
        """Say whether it can start no more."""
        return self._ended.is_set()

    def is_idle(self) -> bool:
        """Say whether none of its processes runs."""
        return not self._running

    def close(self) -> None:
        """End it and all that it has started."""
        with suppress(OSError):  # it has ended before
            self._socket.shutdown(socket.SHUT_WR)
        self._process.wait()
        self._reader.join()
        self._socket.close()

    def _read(self) -> None:
        with self._socket.makefile("rb") as answers:
            for line in answers:
                process, code = json.loads(line)
                if code is not None:
                    self._running.pop(process).end(code)
                elif fork := self._starting:
                    fork.pid, self._running[process] = process, fork
                    self._started.put(STARTED)
        self._ended.set()
        for fork in self._running.values():
            fork.end(LOST)
        self._started.put(ENDED)


_templates: dict[tuple[tuple[str, ...], str], Template] = {}
_lock = threading.Lock()


def template(runtime: Path, layers: tuple[str, ...], variables: dict[str, str], pauses: float = 1.0) -> Template:
    """Return the process from which all functions with these layers and variables are forked.

    ``pauses`` is the factor for their pauses, the same for all of a sandbox.
    """
    key = layers, json.dumps(variables, sort_keys=True)
    with _lock:
        if key in _templates and _templates[key].has_ended():
            _templates.pop(key).close()
        if key not in _templates:
            _templates[key] = Template(runtime, layers, variables, pauses)
        return _templates[key]


def end_idle() -> None:
    """End the templates of which no process runs; a function that needs one gets another."""
    with _lock:
        for key in [key for key, each in _templates.items() if each.is_idle()]:
            _templates.pop(key).close()


def end_all() -> None:
    """End all processes."""
    with _lock:
        while _templates:
            _templates.popitem()[1].close()
