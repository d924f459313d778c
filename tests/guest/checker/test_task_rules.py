"""The rules over a task's definition: they accept a right one, and refuse each mistake by name."""

import pytest

from tools.guest.checker.task_rules import task_findings

WATCHDOG = r"""<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <Triggers>
    <TimeTrigger><Enabled>true</Enabled><StartBoundary>2026-11-24T23:40:00Z</StartBoundary></TimeTrigger>
    <BootTrigger><Enabled>true</Enabled></BootTrigger>
  </Triggers>
  <Principals>
    <Principal id="Author"><UserId>S-1-5-18</UserId><RunLevel>HighestAvailable</RunLevel></Principal>
  </Principals>
  <Settings>
    <MultipleInstancesPolicy>Parallel</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <StartWhenAvailable>true</StartWhenAvailable>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <Priority>4</Priority>
  </Settings>
  <Actions Context="Author">
    <Exec>
      <Command>C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe</Command>
      <Arguments>-NoProfile -NonInteractive -ExecutionPolicy Bypass -File "C:\x\quiesce.ps1" -Verb watch</Arguments>
    </Exec>
  </Actions>
</Task>
"""
# A change of the definition, and the rule that must refuse it.
WRONG = [
    ("<Priority>4</Priority>", "<Priority>7</Priority>", "task-settings"),
    ("<Priority>4</Priority>", "", "task-settings"),
    ("<ExecutionTimeLimit>PT0S", "<ExecutionTimeLimit>PT72H", "task-settings"),
    ("<ExecutionTimeLimit>PT0S</ExecutionTimeLimit>", "", "task-settings"),
    ("<DisallowStartIfOnBatteries>false", "<DisallowStartIfOnBatteries>true", "task-settings"),
    ("<StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>", "", "task-settings"),
    ("<StartWhenAvailable>true", "<StartWhenAvailable>false", "task-settings"),
    (">Parallel<", ">IgnoreNew<", "task-settings"),
    ("S-1-5-18", "SYSTEM", "task-principal"),
    ("HighestAvailable", "LeastPrivilege", "task-principal"),
    ("<RunLevel>", "<LogonType>ServiceAccount</LogonType><RunLevel>", "task-principal"),
    ("<BootTrigger><Enabled>true</Enabled></BootTrigger>", "", "task-trigger"),
    ("<BootTrigger><Enabled>true", "<BootTrigger><Enabled>false", "task-trigger"),
    ("<BootTrigger><Enabled>true</Enabled>", "<BootTrigger><After>true</After>", "task-trigger"),
    ("TimeTrigger>", "LogonTrigger>", "task-trigger"),
    ("23:40:00Z", "23:40:00", "task-trigger"),
    ("23:40:00Z", "23.40.00Z", "task-trigger"),
    ("<Enabled>true</Enabled><StartBoundary>2026-11-24T23:40:00Z</StartBoundary>",
     "<StartBoundary>2026-11-24T23:40:00Z</StartBoundary><Enabled>true</Enabled>", "task-trigger"),
    (r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe", "powershell.exe", "task-action"),
    (r"v1.0\powershell.exe", r"v1.0\pwsh.exe", "task-action"),
    ("-NoProfile ", "", "task-action"),
    ("-File", "-Command", "task-action"),
    ('encoding="UTF-16"', 'encoding="UTF-8"', "task-encoding"),
    ("</Task>", "", "task-xml"),
]  # fmt: skip


def as_written(text: str) -> bytes:
    return b"\xff\xfe" + text.encode("utf-16-le")


def test_a_definition_that_is_right_is_accepted() -> None:
    assert task_findings(as_written(WATCHDOG), watchdog=True) == []


@pytest.mark.parametrize(("old", "new", "rule"), WRONG)
def test_a_definition_that_is_wrong_is_refused_by_name(old: str, new: str, rule: str) -> None:
    assert old in WATCHDOG
    assert [finding.rule for finding in task_findings(as_written(WATCHDOG.replace(old, new)), watchdog=True)] == [rule]


@pytest.mark.parametrize("definition", [WATCHDOG.encode("ascii"), WATCHDOG.encode("utf-16-le")])
def test_bytes_that_are_not_what_the_declaration_says_are_refused(definition: bytes) -> None:
    assert {finding.rule for finding in task_findings(definition, watchdog=True)} <= {"task-encoding", "task-xml"}
    assert task_findings(definition, watchdog=True)


def test_only_the_watchdog_needs_to_start_at_boot() -> None:
    runner = WATCHDOG.replace("<BootTrigger><Enabled>true</Enabled></BootTrigger>", "")
    runner = runner.replace(">Parallel<", ">IgnoreNew<")
    assert task_findings(as_written(runner), watchdog=False) == []
    assert task_findings(as_written(WATCHDOG), watchdog=False) != []


ACCOUNT = (
    WATCHDOG.replace(
        "<TimeTrigger><Enabled>true</Enabled><StartBoundary>2026-11-24T23:40:00Z</StartBoundary></TimeTrigger>", ""
    )
    .replace("<BootTrigger><Enabled>true</Enabled></BootTrigger>", "")
    .replace("S-1-5-18</UserId>", r"SQL-A\backup</UserId><LogonType>S4U</LogonType>")
)


@pytest.mark.parametrize(
    ("user", "logon", "right"),
    [
        (r"SQL-A\backup", "S4U", True),
        ("CORP\\quiesce$", "Password", True),
        ("CORP\\quiesce$", "S4U", False),
        (r"SQL-A\backup", "Password", False),
        (r"SQL-A\backup", "InteractiveToken", False),
        ("backup", "S4U", False),
        (r".\backup", "S4U", False),
        ("S-1-5-18", "S4U", False),
    ],
)
def test_an_accounts_task_needs_no_password(user: str, logon: str, right: bool) -> None:
    text = ACCOUNT.replace(r"SQL-A\backup", user).replace("S4U", logon)
    found = task_findings(as_written(text), watchdog=False, account=True)
    assert [finding.rule for finding in found] == ([] if right else ["task-principal"])


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("HighestAvailable", "LeastPrivilege", "task-principal"),
        (">Parallel<", ">IgnoreNew<", "task-settings"),
        ("<Triggers>", "<Triggers><BootTrigger><Enabled>true</Enabled></BootTrigger>", "task-trigger"),
    ],
)
def test_an_accounts_task_is_started_by_the_runner_alone(old: str, new: str, rule: str) -> None:
    found = task_findings(as_written(ACCOUNT.replace(old, new)), watchdog=False, account=True)
    assert [finding.rule for finding in found] == [rule]
