"""A machine for the real guest: a folder laid out as Windows, the agent's own command line, strict stand-ins.

The guest finds the stand-ins through the environment alone: SystemRoot, ProgramData, PSModulePath.
"""

import base64
import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from ruamel.yaml import YAML

from quiesce.guest.documents import LOOK, MEND
from quiesce.guest.package import OwnScripts
from quiesce.guest.scripts import SCRIPTS
from sandbox.windows.agent import MAX_OUTPUT_BYTES
from sandbox.windows.examination import Condition
from tests.guest.customer import Script
from tests.guest.metadata import Metadata
from tests.guest.packages import PACKAGE_FIELDS, package_of
from tests.guest.shared import DOTNET, Pool, PowerShellEndedError, SharedPowerShell

PROJECT = Path(__file__).resolve().parents[2]
GUEST, STANDINS = PROJECT / "guest", PROJECT / "tools" / "guest" / "standins"
# What the guest finds them by: those that change Windows are apart, since most cases must never meet them.
MODULES = os.pathsep.join(str(STANDINS / folder) for folder in ("modules", "mending"))
INSTANCE = "i-0123456789abcdef0"
CLONE = "i-0fedcba9876543210"
BUCKET_ORIGIN = r"https://${Bucket}\.s3\.${AWS::Region}\.amazonaws\.(com(\.cn)?|eu)"
# Long enough for the slowest machine; a case that goes well never waits this long.
DEFAULTS = {
    "stage": {
        "InstanceId": INSTANCE,
        "Policy": "sql-nightly",
        "Owner": "shop",
        "Scripts": "server",
        "BeforeTimeoutSeconds": "120",
        "AfterTimeoutSeconds": "120",
        "CompleteTimeoutSeconds": "120",
        "FreezeLimitSeconds": "600",
        "SessionLimitSeconds": "3600",
        "CreateTimeoutSeconds": "120",
    },
    "freeze": {"WaitSeconds": "120", "LogBytes": "400000"},
    "thaw": {"WaitSeconds": "120", "AbortShadowCopies": "false", "LogBytes": "400000"},
    "complete": {"WaitSeconds": "120", "Succeeded": "true", "LogBytes": "400000"},
    "recovered": {"InstanceId": CLONE, "WaitSeconds": "120", "ThawAfterRecovery": "false"},
    "inventory": {"InstanceId": INSTANCE, "WritersOf": "none", "Writers": "false", "Cluster": "false"},
    "examine": {"InstanceId": INSTANCE},
    "collect": {"CollectOutput": "true"},
    "set": {"InstanceId": INSTANCE, "Setting": "StartMode", "Subject": "VSS", "From": "Disabled", "To": "Manual"},
}
# As in the agent's source, appconfig/constants_windows.go.
AGENT_ARGUMENTS = ("-InputFormat", "None", "-Noninteractive", "-NoProfile", "-ExecutionPolicy", "unrestricted")
AGENT_TIMEOUT_S = 180
# What the guest asks for the time since the boot; the machine that runs the cases may itself have just booted.
UP, LONG_MS = "[Environment]::TickCount", 86_400_000
KILL_S = 60
# A process that never rests is taken as it is.
REST_S, LEAVE_S = 10, 20
# Many look at once, and some looks go through all processes.
LOOK_S = 0.05
# For sh, between double quotes; $script is the last argument.
CONSTRAINED = r"\$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'; & '$script'; exit \$LASTEXITCODE"
# What a new folder in ProgramData inherits: users may write.
INHERITED = (
    "O:BAG:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIIOID;GA;;;CO)(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)"
)
PROTECTED = "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"


class ContractBrokenError(AssertionError):
    """The guest did what its contract forbids."""


class TimeLimitError(ContractBrokenError):
    """The case waited in vain until its time was up, which says little about the guest."""


class Limit:
    """How long a case may take, all its waits together; one that goes well never waits this long."""

    def __init__(self, limit_s: float) -> None:
        self.limit_s, self.ends = limit_s, time.monotonic() + limit_s

    def left_s(self) -> float:
        """Return the seconds that are left."""
        return max(0.0, self.ends - time.monotonic())

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds; raise TimeLimitError if the case's time is up."""
        while not condition():
            if not self.left_s():
                raise TimeLimitError(f"waited in vain until {what}: the case took {self.limit_s:.0f} s")
            time.sleep(LOOK_S)


@dataclass(frozen=True)
class SharedTask:
    """A task, or a verb for whose answer nobody waits, in a shared PowerShell, which is its process until it ends."""

    name: str
    shell: SharedPowerShell
    number: int


def command_of(words: list[str]) -> str:
    """Return the command for a file with its parameters, each value as -File takes it: as a text."""
    file, *rest = [word if word.startswith("-") else "'" + word.replace("'", "''") + "'" for word in words]
    return f"& {file} {' '.join(rest)}"


def _command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""  # it has ended


def _rests(process: int) -> bool:
    """Return whether every thread of a process waits for something."""
    try:
        threads = [file.read_text() for file in Path(f"/proc/{process}/task").glob("*/stat")]
    except OSError:
        return True  # it has ended
    return all(thread.rpartition(")")[2].split()[0] == "S" for thread in threads)


def _is_gone(process: int) -> bool:
    """Return whether a killed process has gone, or only waits for this one, its parent, to ask after it."""
    try:
        state, parent, *_ = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return True
    return state == "Z" and int(parent) == os.getpid()


def unpacked(data: str) -> dict[str, Any]:
    """Return the parts of an answer, from its compressed field; none if it has no such field."""
    parts: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(data))) if data else {}
    return parts


@cache
def loaded(document: str) -> dict[str, Any]:
    """Return the content of an SSM document."""
    content: dict[str, Any] = YAML(typ="safe").load(document)
    return content


def by_machines_clock(text: str) -> str:
    """Return the guest's text with the machine's own time since its boot, not that of what runs the cases."""
    return text.replace(UP, "[int][IO.File]::ReadAllText((Join-Path $env:FAKE_WINDOWS 'up'))")


class Machine:
    """One simulated server. ``home`` is its folder, ``texts`` are the guest's, by the names of their files.

    Of its tasks those of the modes ``apart`` have processes of their own.
    """

    def __init__(
        self,
        home: Path,
        texts: Mapping[str, str],
        metadata: Metadata,
        pwsh: str,
        culture: str,
        pool: Pool | None,
        limit: Limit,
        apart: Collection[str] = (),
    ) -> None:
        self.home, self.metadata = home, metadata
        self.texts = {name: by_machines_clock(text) for name, text in texts.items()}
        self.pool, self.limit = pool, limit
        self.shared_tasks: list[SharedTask] = []
        self.begun: list[subprocess.Popen[str]] = []
        self.changing = Lock()
        self.lost_shell = False
        """Whether a shared PowerShell has ended by itself, so that nothing is known of this machine."""
        self.lent: set[int] = set()
        """The numbers of shared PowerShells that ever ran a task here; by now they may run another machine's."""
        self.name, self.instance = home.name, INSTANCE
        metadata.instances[self.name] = INSTANCE
        for folder in ("acl", "tasks", "tasks.pid", "shared", "killed", "faults", "release", "agent", "tmp"):
            (home / folder).mkdir(parents=True)
        (home / "ProgramData").mkdir()
        self.has_been_up(LONG_MS)
        for stage in SCRIPTS:
            os.mkfifo(home / "release" / stage)
        self.root = home / "ProgramData" / "Quiesce"
        self.environment = {
            "FAKE_WINDOWS": str(home),
            "SystemRoot": str(home / "Windows"),
            "ProgramData": str(home / "ProgramData"),
            "ProgramFiles": str(home / "ProgramFiles"),
            "COMPUTERNAME": Condition.node,
            "PSModulePath": MODULES,
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.origin(self.name),
            "HOME": os.environ.get("HOME", "/"),
            "PATH": os.environ["PATH"],
            "TMPDIR": str(home / "tmp"),
            "LC_ALL": culture,
            "POWERSHELL_TELEMETRY_OPTOUT": "1",
            "POWERSHELL_UPDATECHECK": "Off",
            "NO_COLOR": "1",
            **DOTNET,
        }
        (home / "environment.json").write_text(json.dumps(self.environment))
        self._install(pwsh)
        (home / "apart").write_text(" ".join(apart))
        self.scheduler = self._schedule(pool) if pool else None

    def has_been_up(self, milliseconds: int) -> None:
        """Set how long ago this machine has booted."""
        (self.home / "up").write_text(str(milliseconds))

    def _install(self, pwsh: str) -> None:
        system = self.home / "Windows" / "System32"
        self.powershell = system / "WindowsPowerShell" / "v1.0" / "powershell.exe"
        self.powershell.parent.mkdir(parents=True)
        python = f'exec "{sys.executable}" -IS "{STANDINS / "windows.py"}"'
        for program in ("icacls", "schtasks", "taskkill", "cmd", "cscript", "wevtutil", "vssadmin"):
            self.program(system / f"{program}.exe", f'{python} {program} "$@"')
        self.diskshadow = system / "diskshadow.exe"
        self.program(self.diskshadow, f'exec "{sys.executable}" -I "{STANDINS / "diskshadow.py"}" "$@"')
        for program in ("open-files", "register-task"):
            self.program(self.home / program, f'{python} {program} "$@"')
        (self.home / "accounts.json").write_text(json.dumps([f"{Condition.node}\\backup", "CORP\\quiesce$"]))
        (self.home / "acl" / "inherited").write_text(INHERITED)
        self.program(
            self.powershell,
            f'if [ -e "{self.home}/faults/language" ]; then for script; do :; done\n'
            f'exec "{pwsh}" -NoProfile -Command "{CONSTRAINED}"; fi\n'
            f'exec "{pwsh}" "$@"',
        )

    def _schedule(self, pool: Pool) -> socket.socket:
        """Listen for the tasks that the stand-in for schtasks starts, and start each in a shared PowerShell."""
        scheduler = socket.socket(socket.AF_UNIX)
        scheduler.bind(str(self.home / "scheduler"))
        scheduler.listen()

        def listen() -> None:
            while True:
                try:
                    connection, _ = scheduler.accept()
                except OSError:
                    return  # the machine is closed
                with connection, connection.makefile("rw") as line:
                    name, *words = json.loads(line.readline())
                    command = command_of(words[words.index("-File") + 1 :])
                    try:
                        self._start_shared(pool, name, command, self.environment)
                    except PowerShellEndedError:
                        self.lost_shell = True  # nothing runs: the case will be repeated, whatever it sees
                    line.write("started\n")

        Thread(target=listen, daemon=True).start()
        return scheduler

    def _start_shared(self, pool: Pool, name: str, command: str, environment: dict[str, str]) -> None:
        """Start a command in a shared PowerShell, for whose end nobody waits."""
        shell = pool.take()
        process = str(shell.process.pid)
        with self.changing:
            self.lent.add(shell.process.pid)
            (self.home / "shared" / process).touch()
            (self.home / "tasks.pid" / name).write_text(process)
            number = shell.start(command, environment)
            task = SharedTask(name, shell, number)
            self.shared_tasks.append(task)
        Thread(target=self._end_shared, args=(pool, task), daemon=True).start()

    def _end_shared(self, pool: Pool, task: SharedTask) -> None:
        """Wait until a shared task has ended; from then on its process is none of this machine's."""
        try:
            task.shell.wait(task.number, None)
        except PowerShellEndedError:
            self.lost_shell |= not (self.home / "killed" / str(task.shell.process.pid)).exists()
        with self.changing:
            process, file = str(task.shell.process.pid), self.home / "tasks.pid" / task.name
            (self.home / "shared" / process).unlink()
            if file.read_text() == process:
                file.write_text("0")
            self.shared_tasks.remove(task)
        pool.give_back(task.shell)

    def use_proxy(self) -> None:
        """Let the machine have a proxy, at which nobody is."""
        self.environment |= {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
        (self.home / "environment.json").write_text(json.dumps(self.environment))

    @staticmethod
    def program(file: Path, body: str) -> None:
        """Install a small program on the machine."""
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(0o755)

    def give(self, folder: Path, descriptor: str) -> None:
        """Give a folder an owner and rights."""
        (self.home / "acl" / str(folder.stat().st_ino)).write_text(descriptor)

    def add_script(self, script: Script, source: str) -> None:
        """Put a customer's script into the policy's source of scripts."""
        if source == "bucket":
            self.metadata.objects[self.name, f"scripts/{script.stage}"] = script.text(self.home).encode()
            return
        if not self.root.exists():
            self.root.mkdir()
            self.give(self.root, PROTECTED)
        file = self.root / "scripts" / script.file_name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(script.text(self.home).encode())
        file.chmod(0o755)

    def parameters(self, verb: str, changes: dict[str, str]) -> dict[str, str]:
        """Return all parameters of the verb's document, checked against its patterns as Systems Manager does."""
        known = self.document(verb)["parameters"]
        values = {name: parameter.get("default") for name, parameter in known.items()}
        asked = {name: value for name, value in changes.items() if name not in PACKAGE_FIELDS}
        values |= {"Verb": verb, "RunId": "run-1", **DEFAULTS[verb], **asked}
        if verb == "collect" and "UploadLink" not in changes:
            values["UploadLink"] = f"{self.metadata.origin(self.name)}/logs/session.zip?X-Amz-Expires=600"
        if verb == "stage":
            values |= self.packed(changes, values) | asked
        for name, value in values.items():
            pattern = known[name]["allowedPattern"]
            if isinstance(pattern, dict):
                pattern = pattern["Fn::Sub"].replace(BUCKET_ORIGIN, re.escape(self.metadata.origin(self.name)))
            if not re.search(pattern, value or ""):
                raise ValueError(f"Systems Manager would refuse {name}={value!r}")
        return values

    def document(self, verb: str) -> dict[str, Any]:
        """Return the content of the SSM document that carries a verb."""
        return loaded(self.texts["look" if verb in LOOK else "mend" if verb in MEND else "act"])

    def packed(self, changes: dict[str, str], values: dict[str, str]) -> dict[str, str]:
        """Put the run's package into the bucket as Plan does, and return the parameters about it."""
        bucket = values["Scripts"] == "bucket"
        files = {stage: self.metadata.objects.get((self.name, f"scripts/{stage}")) for stage in SCRIPTS if bucket}
        scripts = {stage: content for stage, content in files.items() if content is not None}
        ours = OwnScripts(self.texts["quiesce"].encode(), self.texts["account"].encode())
        package = package_of(changes, values["Policy"], scripts, ours)
        self.metadata.objects[self.name, "packages/run.zip"] = package.content
        link = f"{self.metadata.origin(self.name)}/packages/run.zip?X-Amz-Expires=600"
        return {"PackageLink": link, "PackageHash": package.sha256}

    def verb(self, verb: str, changes: dict[str, str]) -> dict[str, object]:
        """Send a verb as the agent does, and return its answer.

        Raises:
            ContractBrokenError: not one line of ASCII JSON in the agent's limit, a wrong exit code, or an open pipe.
        """
        values = self.parameters(verb, changes)
        timeout_s = min(AGENT_TIMEOUT_S, self.limit.left_s())
        if self.pool:
            return self.checked(verb, *self._run_shared(self.pool, verb, values, timeout_s))
        with self.start(verb, values) as process:
            try:
                output, errors = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as error:
                self.kill(self.processes())
                if timeout_s < AGENT_TIMEOUT_S:
                    raise TimeLimitError(f"{verb} has not ended after {timeout_s:.0f} s") from error
                raise ContractBrokenError(f"{verb}: the agent still waits for its pipe") from error
        return self.checked(verb, process.returncode, output, errors)

    def _run_shared(self, pool: Pool, verb: str, values: dict[str, str], timeout_s: float) -> tuple[int, str, str]:
        """Run a verb in a shared PowerShell; return exit code, stdout and stderr."""
        command = command_of([str(self.script_file(verb, values))])
        shell = pool.take()
        try:
            return shell.wait(shell.start(command, self.environment | self.own_id()), timeout_s)
        except PowerShellEndedError:
            self.lost_shell = True
            raise
        except TimeoutError as error:
            if timeout_s == AGENT_TIMEOUT_S:
                raise ContractBrokenError(f"{verb} has not ended after {timeout_s} s") from error
            raise TimeLimitError(f"{verb} has not ended after {timeout_s:.0f} s") from error
        finally:
            pool.give_back(shell)

    def own_id(self) -> dict[str, str]:
        """Return what the agent adds to the environment of what it starts."""
        return {} if (self.home / "faults" / "agent").exists() else {"AWS_SSM_INSTANCE_ID": self.instance}

    def script_file(self, verb: str, values: dict[str, str]) -> Path:
        """Write the document's script as the agent does: parameters filled in, a byte order mark, LF."""
        script = "\n".join(self.document(verb)["mainSteps"][0]["inputs"]["runCommand"])
        for name, value in values.items():
            script = script.replace("{{" + name + "}}", value)
        folder = Path(tempfile.mkdtemp(prefix=f"{verb}-", dir=self.home / "agent"))
        (folder / "_script.ps1").write_bytes(b"\xef\xbb\xbf" + script.encode())
        return folder / "_script.ps1"

    def begin(self, verb: str, values: dict[str, str]) -> Callable[[], bool]:
        """Start a verb whose answer is lost; return what tells whether it has ended."""
        if self.pool is None:
            process = self.start(verb, values)
            self.begun.append(process)
            return lambda: process.poll() is not None
        file = self.script_file(verb, values)
        name = file.parent.name
        self._start_shared(self.pool, name, command_of([str(file)]), self.environment | self.own_id())
        return lambda: all(task.name != name for task in list(self.shared_tasks))

    def start(self, verb: str, values: dict[str, str]) -> subprocess.Popen[str]:
        """Start a verb as the agent does."""
        return subprocess.Popen(
            [self.powershell, *AGENT_ARGUMENTS, "-f", self.script_file(verb, values)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment | self.own_id(),
        )

    @staticmethod
    def checked(verb: str, code: int, output: str, errors: str) -> dict[str, object]:
        """Return the answer if stdout is one line of JSON that fits the exit code."""
        whole = output.isascii() and len(output) < MAX_OUTPUT_BYTES
        if len(output.splitlines()) != 1 or code not in (0, 1) or not whole:
            raise ContractBrokenError(f"{verb}: exit {code}, {output!r}, {errors!r}")
        answer: dict[str, object] = json.loads(output)
        answer |= unpacked(str(answer.pop("data", "")))
        if answer["ok"] != (code == 0):
            raise ContractBrokenError(f"{verb}: exit {code} with {answer}")
        return answer

    def session_folder(self, run: str = "run-1", attempt: str = "1") -> Path:
        """Return the folder of an attempt's session."""
        return self.root / "runs" / run / attempt

    def state(self) -> dict[str, Any]:
        """Return the first attempt's state; empty if there is none at this moment, or none that can be read."""
        try:
            state: dict[str, Any] = json.loads((self.session_folder() / "state.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return state

    def processes(self) -> list[int]:
        """Return every process of this machine: by the mark in its environment, or that of a shared task."""
        with self.changing:
            shared = [task.shell.process for task in self.shared_tasks]
            # A runner first: one that is killed after its script would see that end, and say so.
            return [*(each.pid for each in shared if each.poll() is None), *self._own_processes()]

    def _own_processes(self) -> list[int]:
        mark = f"FAKE_WINDOWS={self.home}\0".encode()
        found = []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environment.read_bytes():
                    found.append(int(environment.parent.name))
            except OSError:
                continue  # it has ended, or belongs to another user
        return found

    def runs_tasks(self, run: str, attempt: str) -> bool:
        """Return whether a task of a session runs."""
        task = re.compile(rf"-Verb (session|watchdog|thaw|complete) -RunId {re.escape(run)} -Attempt {attempt}\b")
        names = {f"{mode}-{run}-{attempt}" for mode in ("session", "watchdog")}
        with self.changing:
            shared = any(each.name in names for each in self.shared_tasks)
        return shared or any(task.search(_command_line(process)) for process in self._own_processes())

    def kill(self, process_ids: list[int]) -> None:
        """End processes as a crash does, and wait until they are gone."""
        killed = [process_id for process_id in process_ids if self._kill(process_id)]
        # Until whoever takes over from a dead parent has waited for them, they are seen as running.
        Limit(KILL_S).wait_for(lambda: all(map(_is_gone, killed)), "the processes are gone")

    def _kill(self, process_id: int) -> bool:
        """End a process, unless it is a shared one that runs nothing of this machine's any more."""
        with self.changing:
            if process_id in self.lent - {task.shell.process.pid for task in self.shared_tasks}:
                return False
            (self.home / "killed" / str(process_id)).touch()
            try:
                os.kill(process_id, signal.SIGKILL)
            except ProcessLookupError:
                return False  # it has just ended
        return True

    def kill_task(self, task: str) -> None:
        """Kill a task's own process, or ``diskshadow``; the processes that it started live on."""
        process = self.state()["shadow"]["processId"] if task == "diskshadow" else self.process_of(task)
        self.wait_for_rest([process])
        self.kill([process])

    def process_of(self, task: str) -> int:
        """Return the number of a task's own process; 0 if it was a shared one, and has ended."""
        return int((self.home / "tasks.pid" / f"{task}-run-1-1").read_text())

    def wait_for_rest(self, processes: list[int]) -> None:
        """Wait until processes have done what they were at, as on a machine that nobody else uses."""
        # Two looks: between two waits a process may look as if it rested.
        looks, ends = 0, time.monotonic() + REST_S
        while looks < 2 and time.monotonic() < ends:
            looks = looks + 1 if all(map(_rests, processes)) else 0
            time.sleep(LOOK_S)

    def left(self, expected: int) -> int:
        """Return how many processes are left, once there are no more than expected, or those had time to go."""
        ends = time.monotonic() + LEAVE_S
        while (alive := len(self.processes())) > expected and time.monotonic() < ends:
            time.sleep(LOOK_S)
        return alive

    def start_tasks(self, trigger: str) -> None:
        """Fire the ``boot`` or the ``time`` triggers of every registered task; one may delete those that follow."""
        for file in sorted((self.home / "tasks").iterdir()):
            try:
                triggers = json.loads(file.read_text())["triggers"]
                if any(("boot" in each) == (trigger == "boot") for each in triggers):
                    self.start_task(file.name)
            except (FileNotFoundError, subprocess.CalledProcessError):
                if file.exists():
                    raise

    def start_task(self, name: str) -> None:
        """Start a task as Task Scheduler does."""
        standin = [sys.executable, STANDINS / "windows.py", "schtasks", "/run", "/tn", f"\\Quiesce\\{name}"]
        subprocess.run(standin, env=self.environment, check=True)

    def close(self) -> None:
        """End the machine's processes and tasks, and remove its folder."""
        self.kill(self._own_processes())
        if self.scheduler:
            self.scheduler.close()
            for task in list(self.shared_tasks):
                if not task.shell.stop([task.number]):
                    self._kill(task.shell.process.pid)
            Limit(KILL_S).wait_for(lambda: not self.shared_tasks, "the shared tasks have ended")
            self.kill(self._own_processes())
        for process in self.begun:
            process.communicate()
        shutil.rmtree(self.home, ignore_errors=True)
