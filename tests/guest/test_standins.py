"""The stand-ins refuse what the real programs would refuse, and what they do not know; a refusal fails the case."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest import hardware

STANDIN = Path(__file__).parents[2] / "tools" / "guest" / "standins" / "windows.py"
CIM = STANDIN.parent / "modules" / "CimCmdlets" / "CimCmdlets.psm1"
READ_REGISTRY = "Invoke-CimMethod -Namespace root/cimv2 -ClassName {0} -MethodName {1} -OperationTimeoutSec 20"
READ_REGISTRY += " -Arguments @{{ hDefKey = {2}; sSubKeyName = '{3}'; sValueName = '{4}' }}"
KEY = "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
TASK = """<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers><BootTrigger /></Triggers>
  <Actions><Exec><Command>powershell.exe</Command><Arguments>-File x</Arguments></Exec></Actions>
</Task>"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    for folder in ("acl", "tasks", "tasks.pid", "faults"):
        (tmp_path / folder).mkdir()
    return tmp_path


def call(machine: Path, *arguments: str) -> tuple[int, list[dict[str, object]]]:
    """Call a stand-in; return its exit code and its refusals."""
    done = subprocess.run([sys.executable, "-IS", STANDIN, *arguments], env={"FAKE_WINDOWS": str(machine)}, check=False)
    journal = machine / "journal"
    entries = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    return done.returncode, [entry for entry in entries if entry["kind"] == "refused"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("schtasks", "/query"),
        ("schtasks", "/create", "/tn", "\\Elsewhere\\x", "/xml", "x.xml", "/f"),
        ("schtasks", "/run", "/tn", "\\Quiesce\\nobody"),
        ("schtasks", "/run", "/tn", "session"),
        ("icacls", ".", "/grant", "Users:F"),
        ("icacls", ".", "/grant:r", "*S-1-5-18:(OI)(CI)F"),
        ("icacls", ".", "/inheritance:r", "/grant:r", "*S-1-5-32-545:(OI)(CI)F"),
        ("taskkill", "/F", "/PID", "1"),
        ("cmd", "/c", "x.cmd"),
    ],
)
def test_a_command_line_that_nobody_has_seen_is_refused(machine: Path, arguments: tuple[str, ...]) -> None:
    code, refused = call(machine, *arguments)
    assert code == 1
    assert [entry["program"] for entry in refused] == [arguments[0]]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (TASK, "utf-8"),
        (TASK, "utf-8-sig"),
        (TASK, "utf-16-le"),
        (TASK.replace("<Exec>", "<Nothing>"), "utf-16"),
        ("", "utf-16"),
    ],
)
def test_a_task_that_task_scheduler_would_not_take_is_refused(machine: Path, text: str, encoding: str) -> None:
    (machine / "task.xml").write_bytes(text.encode(encoding))
    code, refused = call(machine, "schtasks", "/create", "/tn", "\\Quiesce\\x", "/xml", str(machine / "task.xml"), "/f")
    assert code == 1
    assert len(refused) == 1
    assert not list((machine / "tasks").iterdir())


def test_a_task_is_kept_with_its_triggers_and_the_priority_that_windows_would_give_it(machine: Path) -> None:
    (machine / "task.xml").write_bytes(TASK.encode("utf-16"))
    assert call(machine, "schtasks", "/create", "/tn", "\\Quiesce\\x", "/xml", str(machine / "task.xml"), "/f") == (
        0,
        [],
    )
    kept = json.loads((machine / "tasks" / "x").read_text())
    assert (kept["triggers"], kept["priority"]) == ([{"boot": True}], 7)


def test_ending_a_process_that_is_not_there_is_what_windows_answers(machine: Path) -> None:
    assert call(machine, "taskkill", "/T", "/F", "/PID", "0") == (128, [])


@pytest.mark.parametrize(
    ("arguments", "script"),
    [
        (("/s", "shadow.txt"), ""),
        (("-s", "shadow.txt", "/l", "diskshadow.log"), ""),
        (("/s", "C:\\shadow.txt", "/l", "diskshadow.log"), ""),
        (("/s", "shadow.txt", "/l", "diskshadow.log"), "end backup\r\n"),
    ],
)
def test_a_diskshadow_that_nobody_has_seen_is_refused(machine: Path, arguments: tuple[str, ...], script: str) -> None:
    hardware.install(machine, "nvme")
    (machine / "shadow.txt").write_text(script, newline="")
    environment = {"FAKE_WINDOWS": str(machine)}
    command = [sys.executable, "-I", STANDIN.with_name("diskshadow.py"), *arguments]
    done = subprocess.run(command, cwd=machine, env=environment, capture_output=True, check=False)
    entries = [json.loads(line) for line in (machine / "journal").read_text().splitlines()]
    assert (done.returncode, [entry["program"] for entry in entries]) == (1, ["diskshadow"])


def ask_cim(machine: Path, command: str) -> tuple[str, list[str]]:
    """Run a command with the stand-in for CimCmdlets; return its output as JSON, and the refusals."""
    pwsh = shutil.which("pwsh")
    if pwsh is None:
        pytest.skip("no pwsh on the PATH")
    hardware.install(machine, "nvme")
    script = f"Import-Module '{CIM}'; ConvertTo-Json -Compress -InputObject @({command})"
    environment = {"FAKE_WINDOWS": str(machine), "PATH": "/usr/bin:/bin", "HOME": str(machine)}
    arguments = [pwsh, "-NoProfile", "-NonInteractive", "-Command", script]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    journal = machine / "journal"
    lines = journal.read_text().splitlines() if journal.exists() else []
    return done.stdout, [json.loads(line)["program"] for line in lines]


@pytest.mark.parametrize(
    "command",
    [
        "Get-CimInstance -Namespace root/cimv2 -ClassName Win32_LogicalDisk -OperationTimeoutSec 20",
        "Get-CimInstance -Namespace root/cimv2 -ClassName MSFT_Disk -OperationTimeoutSec 20",
        READ_REGISTRY.format("Win32_Process", "Create", "[uint32]2147483650", KEY, "InstallationType"),
        READ_REGISTRY.format("StdRegProv", "GetStringValue", "2147483650", KEY, "InstallationType"),
        READ_REGISTRY.format("StdRegProv", "GetStringValue", "[uint32]2147483649", KEY, "InstallationType"),
        READ_REGISTRY.format("StdRegProv", "GetStringValue", "[uint32]2147483650", "SOFTWARE", "InstallationType"),
        READ_REGISTRY.format("StdRegProv", "GetStringValue", "[uint32]2147483650", KEY, "ProductName"),
    ],
)
def test_a_question_to_cim_that_nobody_has_seen_is_refused(machine: Path, command: str) -> None:
    assert ask_cim(machine, command)[1] == ["CIM"]


def test_cim_tells_of_a_volume_in_the_types_that_are_documented(machine: Path) -> None:
    command = "Get-CimInstance -Namespace root/cimv2 -ClassName Win32_Volume -OperationTimeoutSec 20"
    printed, refused = ask_cim(machine, f"({command})[0].Capacity.GetType().Name, ({command})[0].DriveLetter")
    assert (json.loads(printed), refused) == (["UInt64", "C:"], [])
