"""A machine for the real guest: a folder laid out as Windows, the agent's own command line, strict stand-ins.

The guest finds the stand-ins through the environment alone: SystemRoot, ProgramData, PSModulePath.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from sandbox.windows.agent import MAX_OUTPUT_BYTES
from tests.guest.customer import Script
from tests.guest.metadata import Metadata

PROJECT = Path(__file__).resolve().parents[2]
GUEST, STANDINS = PROJECT / "guest", PROJECT / "tools" / "guest" / "standins"
INSTANCE = "i-0123456789abcdef0"
BUCKET_ORIGIN = r"https://${Bucket}\.s3\.${AWS::Region}\.amazonaws\.com(\.cn)?"
# Long enough for the slowest machine; a case that goes well never waits this long.
DEFAULTS = {
    "stage": {
        "InstanceId": INSTANCE,
        "Policy": "sql-nightly",
        "Scripts": "server",
        "BeforeTimeoutSeconds": "120",
        "AfterTimeoutSeconds": "120",
        "CompleteTimeoutSeconds": "120",
        "FreezeLimitSeconds": "600",
        "SessionLimitSeconds": "3600",
        "ShadowScript": "none",
        "CreateTimeoutSeconds": "120",
    },
    "freeze": {"WaitSeconds": "120"},
    "thaw": {"WaitSeconds": "120", "AbortShadowCopies": "false"},
    "complete": {"WaitSeconds": "120", "Succeeded": "true"},
    "inventory": {"InstanceId": INSTANCE},
    "collect": {"CollectOutput": "true"},
}
# As in the agent's source, appconfig/constants_windows.go.
AGENT_ARGUMENTS = ("-InputFormat", "None", "-Noninteractive", "-NoProfile", "-ExecutionPolicy", "unrestricted")
AGENT_TIMEOUT_S = 180
# For sh, between double quotes; $script is the last argument.
CONSTRAINED = r"\$ExecutionContext.SessionState.LanguageMode = 'ConstrainedLanguage'; & '$script'; exit \$LASTEXITCODE"
PROTECTED = "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"


class ContractBrokenError(AssertionError):
    """The guest did what its contract forbids."""


def wait_for(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    """Wait until the condition holds; raise ContractBrokenError after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise ContractBrokenError(f"waited {timeout_s} s in vain until {what}")
        time.sleep(0.05)


def _command_line(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
    except OSError:
        return ""  # it has ended


class Machine:
    """One simulated server. ``home`` is its folder, ``document`` the text of the SSM document."""

    def __init__(self, home: Path, document: str, metadata: Metadata, pwsh: str, culture: str = "C.UTF-8") -> None:
        self.home, self.document, self.metadata = home, YAML(typ="safe").load(document), metadata
        self.name, self.instance = home.name, INSTANCE
        metadata.instances[self.name] = INSTANCE
        for folder in ("acl", "tasks", "tasks.pid", "faults", "release", "agent", "tmp", "ProgramData"):
            (home / folder).mkdir(parents=True)
        self.root = home / "ProgramData" / "Quiesce"
        self.environment = {
            "FAKE_WINDOWS": str(home),
            "SystemRoot": str(home / "Windows"),
            "ProgramData": str(home / "ProgramData"),
            "PSModulePath": str(STANDINS / "modules"),
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.origin(self.name),
            "HOME": os.environ.get("HOME", "/"),
            "PATH": os.environ["PATH"],
            "TMPDIR": str(home / "tmp"),
            "LC_ALL": culture,
            "POWERSHELL_TELEMETRY_OPTOUT": "1",
            "POWERSHELL_UPDATECHECK": "Off",
            "NO_COLOR": "1",
            "DOTNET_TieredPGO": "0",
            "DOTNET_EnableDiagnostics": "0",
        }
        (home / "environment.json").write_text(json.dumps(self.environment))
        self._install(pwsh)

    def _install(self, pwsh: str) -> None:
        system = self.home / "Windows" / "System32"
        self.powershell = system / "WindowsPowerShell" / "v1.0" / "powershell.exe"
        self.powershell.parent.mkdir(parents=True)
        python = f'exec "{sys.executable}" -IS "{STANDINS / "windows.py"}"'
        for program in ("icacls", "schtasks", "taskkill", "cmd", "wevtutil", "vssadmin"):
            self.program(system / f"{program}.exe", f'{python} {program} "$@"')
        self.diskshadow = system / "diskshadow.exe"
        self.program(self.diskshadow, f'exec "{sys.executable}" -I "{STANDINS / "diskshadow.py"}" "$@"')
        self.program(self.home / "get-acl", f'{python} get-acl "$@"')
        self.program(
            self.powershell,
            f'if [ -e "{self.home}/faults/language" ]; then for script; do :; done\n'
            f'exec "{pwsh}" -NoProfile -Command "{CONSTRAINED}"; fi\n'
            f'exec "{pwsh}" "$@"',
        )

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
            self.metadata.objects[self.name, script.stage] = script.text(self.home).encode()
            return
        if not self.root.exists():
            self.root.mkdir()
            self.give(self.root, PROTECTED)
        file = self.root / "scripts" / script.file_name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(script.text(self.home).encode())
        file.chmod(0o755)

    def parameters(self, verb: str, changes: dict[str, str]) -> dict[str, str]:
        """Return all parameters of the document, checked against its patterns as Systems Manager does."""
        known = self.document["parameters"]
        values = {name: parameter.get("default") for name, parameter in known.items()}
        values |= {"Verb": verb, "RunId": "run-1", **DEFAULTS[verb], **changes}
        if values["Scripts"] == "bucket":
            for stage in ("before", "after", "complete"):
                name = f"{stage.capitalize()}Link"
                if (self.name, stage) in self.metadata.objects and name not in changes:
                    values[name] = f"{self.metadata.origin(self.name)}/scripts/{stage}?X-Amz-Expires=600"
        if verb == "collect" and "UploadLink" not in changes:
            values["UploadLink"] = f"{self.metadata.origin(self.name)}/logs/session.zip?X-Amz-Expires=600"
        for name, value in values.items():
            pattern = known[name]["allowedPattern"]
            if isinstance(pattern, dict):
                pattern = pattern["Fn::Sub"].replace(BUCKET_ORIGIN, re.escape(self.metadata.origin(self.name)))
            if not re.search(pattern, value or ""):
                raise ValueError(f"Systems Manager would refuse {name}={value!r}")
        return values

    def verb(self, verb: str, changes: dict[str, str]) -> dict[str, object]:
        """Send a verb as the agent does, and return its answer.

        Raises:
            ContractBrokenError: not one line of ASCII JSON in the agent's limit, a wrong exit code, or an open pipe.
        """
        values = self.parameters(verb, changes)
        with self.start(verb, values) as process:
            try:
                output, errors = process.communicate(timeout=AGENT_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                self.kill(self.processes())
                raise ContractBrokenError(f"{verb}: the agent still waits for its pipe") from error
        return self.checked(verb, process.returncode, output, errors)

    def start(self, verb: str, values: dict[str, str]) -> subprocess.Popen[str]:
        """Start the document's script as the agent does: parameters filled in, a byte order mark, LF."""
        script = "\n".join(self.document["mainSteps"][0]["inputs"]["runCommand"])
        for name, value in values.items():
            script = script.replace("{{" + name + "}}", value)
        folder = Path(tempfile.mkdtemp(prefix=f"{verb}-", dir=self.home / "agent"))
        (folder / "_script.ps1").write_bytes(b"\xef\xbb\xbf" + script.encode())
        own_id = {} if (self.home / "faults" / "agent").exists() else {"AWS_SSM_INSTANCE_ID": self.instance}
        return subprocess.Popen(
            [self.powershell, *AGENT_ARGUMENTS, "-f", folder / "_script.ps1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.environment, **own_id},
        )

    @staticmethod
    def checked(verb: str, code: int, output: str, errors: str) -> dict[str, object]:
        """Return the answer if stdout is one line of JSON that fits the exit code."""
        whole = output.isascii() and len(output) < MAX_OUTPUT_BYTES
        if len(output.splitlines()) != 1 or code not in (0, 1) or not whole:
            raise ContractBrokenError(f"{verb}: exit {code}, {output!r}, {errors!r}")
        answer: dict[str, object] = json.loads(output)
        if answer["ok"] != (code == 0):
            raise ContractBrokenError(f"{verb}: exit {code} with {answer}")
        return answer

    def session_folder(self, run: str = "run-1", attempt: str = "1") -> Path:
        """Return the folder of an attempt's session."""
        return self.root / "runs" / run / attempt

    def state(self) -> dict[str, Any]:
        """Return the first attempt's state; empty if there is none at this moment."""
        try:
            state: dict[str, Any] = json.loads((self.session_folder() / "state.json").read_text())
        except FileNotFoundError:
            return {}
        return state

    def processes(self) -> list[int]:
        """Return every process of this machine, by the mark in its environment."""
        mark = f"FAKE_WINDOWS={self.home}\0".encode()
        found = []
        for environment in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environment.read_bytes():
                    found.append(int(environment.parent.name))
            except OSError:
                continue  # it has ended, or belongs to another user
        return found

    def tasks_of(self, run: str, attempt: str) -> list[int]:
        """Return the processes of this machine that are tasks of a session."""
        task = re.compile(rf"-Verb (session|watchdog) -RunId {re.escape(run)} -Attempt {attempt}\b")
        return [process for process in self.processes() if task.search(_command_line(process))]

    def kill(self, process_ids: list[int]) -> None:
        """End processes as a crash does, and wait until they are gone."""
        for process_id in process_ids:
            try:
                os.kill(process_id, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it has just ended
        wait_for(lambda: not set(process_ids) & set(self.processes()), "the processes are gone")

    def kill_task(self, task: str) -> None:
        """Kill a task's own process, or ``diskshadow``; the processes that it started live on."""
        if task == "diskshadow":
            self.kill([self.state()["shadow"]["processId"]])
            return
        self.kill([int((self.home / "tasks.pid" / f"{task}-run-1-1").read_text())])

    def start_tasks(self, trigger: str) -> None:
        """Fire the ``boot`` or the ``time`` triggers of every registered task."""
        for file in sorted((self.home / "tasks").iterdir()):
            triggers = json.loads(file.read_text())["triggers"]
            if any(("boot" in each) == (trigger == "boot") for each in triggers):
                self.start_task(file.name)

    def start_task(self, name: str) -> None:
        """Start a task as Task Scheduler does."""
        standin = [sys.executable, STANDINS / "windows.py", "schtasks", "/run", "/tn", f"\\Quiesce\\{name}"]
        subprocess.run(standin, env=self.environment, check=True)

    def close(self) -> None:
        """End the machine's processes and remove its folder."""
        self.kill(self.processes())
        shutil.rmtree(self.home)
