"""The stand-ins refuse what the real programs would refuse, and what they do not know; a refusal fails the case."""

import json
import signal
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
  <Principals><Principal><UserId>S-1-5-18</UserId></Principal></Principals>
  <Actions><Exec><Command>powershell.exe</Command><Arguments>-File x</Arguments></Exec></Actions>
</Task>"""

TIME = "<TimeTrigger><StartBoundary>{}</StartBoundary></TimeTrigger>"


def make_machine(home: Path) -> Path:
    """Return a folder with what the stand-ins look for."""
    for folder in ("acl", "tasks", "tasks.pid", "killed", "faults"):
        (home / folder).mkdir()
    return home


def journal_of(home: Path) -> list[dict[str, object]]:
    """Return what the stand-ins noted on a machine."""
    journal = home / "journal"
    return [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    return make_machine(tmp_path)


def call(machine: Path, *arguments: str) -> tuple[int, list[dict[str, object]]]:
    """Call a stand-in; return its exit code and its refusals."""
    done = subprocess.run([sys.executable, "-IS", STANDIN, *arguments], env={"FAKE_WINDOWS": str(machine)}, check=False)
    return done.returncode, [entry for entry in journal_of(machine) if entry["kind"] == "refused"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("schtasks", "/query"),
        ("schtasks", "/create", "/tn", "\\Elsewhere\\x", "/xml", "x.xml", "/f"),
        ("schtasks", "/run", "/tn", "session"),
        ("icacls", ".", "/grant", "Users:F"),
        ("icacls", ".", "/grant:r", "*S-1-5-18:(OI)(CI)F"),
        ("icacls", ".", "/inheritance:r", "/grant:r", "*S-1-5-32-545:(OI)(CI)F"),
        ("icacls", ".", "/grant", "SQL-A\\backup:(OI)(CI)(M)"),
        ("schtasks", "/end", "/tn", "account"),
        ("taskkill", "/F", "/PID", "1"),
        ("taskkill", "/T", "/F", "/PID", "1", "/FI", "IMAGENAME eq x.exe"),
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
        (TASK.replace("<BootTrigger />", TIME.format("2026-12-01T04:00:00")), "utf-16"),
        (TASK.replace("<BootTrigger />", TIME.format("2026-12-01T04:00:00+00:00")), "utf-16"),
        (TASK.replace("<BootTrigger />", TIME.format("tomorrow at four, UTCZ")), "utf-16"),
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
    assert (done.returncode, [entry["program"] for entry in journal_of(machine)]) == (1, ["diskshadow"])


NEVER_SEEN = [
    "Get-CimInstance -Namespace root/cimv2 -ClassName Win32_LogicalDisk -OperationTimeoutSec 20",
    "Get-CimInstance -Namespace root/cimv2 -ClassName MSFT_Disk -OperationTimeoutSec 20",
    READ_REGISTRY.format("Win32_Process", "Create", "[uint32]2147483650", KEY, "InstallationType"),
    READ_REGISTRY.format("StdRegProv", "GetStringValue", "2147483650", KEY, "InstallationType"),
    READ_REGISTRY.format("StdRegProv", "GetStringValue", "[uint32]2147483649", KEY, "InstallationType"),
    READ_REGISTRY.format("StdRegProv", "GetStringValue", "[uint32]2147483650", "SOFTWARE", "InstallationType"),
    READ_REGISTRY.format("StdRegProv", "GetStringValue", "[uint32]2147483650", KEY, "ProductName"),
]
VOLUMES = "Get-CimInstance -Namespace root/cimv2 -ClassName Win32_Volume -OperationTimeoutSec 20"
TYPES = f"({VOLUMES})[0].Capacity.GetType().Name, ({VOLUMES})[0].DriveLetter"


@pytest.fixture(scope="module")
def asked(pwsh: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, list[str]]]:
    """What the stand-in for CimCmdlets printed as JSON for each question, and what it refused.

    All are asked in one PowerShell, which takes a second to start, and each on a machine of its own.
    """
    script, homes = [f"Import-Module '{CIM}'"], []
    for question in (*NEVER_SEEN, TYPES):
        home = make_machine(tmp_path_factory.mktemp("machine"))
        hardware.install(home, "nvme")
        homes.append(home)
        script.append(f"$env:FAKE_WINDOWS = '{home}'")
        script.append(f"try {{ ConvertTo-Json -Compress -InputObject @({question}) }} catch {{ '' }}")
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(homes[0])}
    arguments = [pwsh, "-NoProfile", "-NonInteractive", "-Command", "\n".join(script)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    refused = [[entry["program"] for entry in journal_of(home)] for home in homes]
    answers = zip(done.stdout.splitlines(), refused, strict=True)
    return dict(zip((*NEVER_SEEN, TYPES), answers, strict=True))


@pytest.mark.parametrize("command", NEVER_SEEN)
def test_a_question_to_cim_that_nobody_has_seen_is_refused(
    asked: dict[str, tuple[str, list[str]]], command: str
) -> None:
    assert asked[command] == ("", ["CIM"])


def test_cim_tells_of_a_volume_in_the_types_that_are_documented(asked: dict[str, tuple[str, list[str]]]) -> None:
    printed, refused = asked[TYPES]
    assert (json.loads(printed), refused) == (["UInt64", "C:"], [])


OF_ACCOUNT = TASK.replace("S-1-5-18</UserId>", "{}</UserId><LogonType>{}</LogonType>")


@pytest.mark.parametrize(
    ("user", "logon", "name", "code", "refused"),
    [
        (r"SQL-A\backup", "S4U", "\\Quiesce\\", 0, 0),
        ("CORP\\quiesce$", "Password", "\\Quiesce\\", 0, 0),
        (r"SQL-A\nobody", "S4U", "\\Quiesce\\", 1, 0),
        (r"SQL-A\backup", "Password", "\\Quiesce\\", 1, 1),
        ("CORP\\quiesce$", "S4U", "\\Quiesce\\", 1, 1),
        (r"SQL-A\backup", "S4U", "\\", 1, 1),
    ],
)
def test_task_scheduler_takes_an_account_without_a_password_by_s4u_and_a_gmsa_by_its_own(
    machine: Path, user: str, logon: str, name: str, code: int, refused: int
) -> None:
    (machine / "accounts.json").write_text(json.dumps([r"SQL-A\backup", "CORP\\quiesce$"]))
    file = machine / "account.xml"
    file.write_bytes(b"\xff\xfe" + OF_ACCOUNT.format(user, logon).encode("utf-16-le"))
    ended, found = call(machine, "register-task", name, "account-run-1", str(file))
    assert (ended, len(found), (machine / "tasks" / "account-run-1").exists()) == (code, refused, code == 0)


def test_schtasks_would_ask_for_the_password_of_another_account(machine: Path) -> None:
    file = machine / "account.xml"
    file.write_bytes(b"\xff\xfe" + OF_ACCOUNT.format(r"SQL-A\backup", "S4U").encode("utf-16-le"))
    ended, found = call(machine, "schtasks", "/create", "/tn", "\\Quiesce\\account-run-1", "/xml", str(file), "/f")
    assert (ended, len(found)) == (1, 1)


@pytest.mark.parametrize(("account", "ends"), [(r"SQL-A\backup", True), (r"SQL-A\other", False), ("", False)])
def test_taskkill_with_a_filter_ends_the_processes_of_that_account_alone(
    machine: Path, account: str, ends: bool
) -> None:
    environment = {"FAKE_WINDOWS": str(machine)} | ({"FAKE_ACCOUNT": account} if account else {})
    with subprocess.Popen(["/bin/sleep", "60"], env=environment) as process:
        code, found = call(
            machine, "taskkill", "/T", "/F", "/PID", str(process.pid), "/FI", r"USERNAME eq SQL-A\backup"
        )
        notes = [entry["kind"] for entry in journal_of(machine)]
        process.kill()
    assert (code, found, notes) == (0, [], ["taskkill"] if ends else [])


@pytest.mark.parametrize(("runs_here", "code"), [(True, 0), (False, 128)])
def test_taskkill_ends_a_shared_powershell_only_while_it_runs_something_of_this_machine(
    machine: Path, runs_here: bool, code: int
) -> None:
    with subprocess.Popen(["shared.ps1", "60"], executable="/bin/sleep") as process:
        (machine / "shared").mkdir()
        if runs_here:
            (machine / "shared" / str(process.pid)).touch()
        assert call(machine, "taskkill", "/T", "/F", "/PID", str(process.pid))[0] == code
        if not runs_here:
            assert process.poll() is None
            process.kill()
        assert process.wait(10) == -signal.SIGKILL
