"""The PowerShell that cases share treats a command as a process of its own would, and never hides its own end."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.guest import cases
from tests.guest.machine import MODULES, Sharing, command_of
from tests.guest.running import Job, Runner, is_alone, sharing_of
from tests.guest.shared import PowerShellEndedError, SharedPowerShell, base_environment
from tools.guest.mutations import bound_s, seen

KNOWN = cases.load()
PLAIN = next(case for case in KNOWN if not case.sample)
WAIT_S = 60


@pytest.fixture(scope="module")
def shell(pwsh: str) -> Iterator[SharedPowerShell]:
    shared = SharedPowerShell(pwsh, base_environment(MODULES))
    yield shared
    shared.close()


def said(shell: SharedPowerShell, command: str, environment: dict[str, str] | None = None) -> tuple[int, str, str]:
    return shell.wait(shell.start(command, environment or {}), WAIT_S)


def test_a_script_ends_with_its_exit_code_and_the_shell_goes_on(shell, tmp_path):
    (tmp_path / "x.ps1").write_text("param($Code)\n[Console]::Out.WriteLine('said')\nexit $Code\n")
    file = str(tmp_path / "x.ps1")
    assert said(shell, command_of([file, "-Code", "3"]))[:2] == (3, "said\n")
    assert said(shell, command_of([file, "-Code", "0"]))[:2] == (0, "said\n")


def test_what_a_command_leaves_in_its_variables_and_environment_is_gone_for_the_next(shell):
    # The exit code: that of no file and no program.
    said(shell, "$global:left = 1; $env:LEFT = 'here'; Set-StrictMode -Version Latest", {"OWN": "1"})
    assert said(shell, '[Console]::Out.Write("$($global:left)|$env:LEFT|$env:OWN")', {"OWN": "2"})[1] == "||2"


def test_what_a_command_leaves_open_in_its_machines_folder_is_closed_when_it_has_ended(shell, tmp_path):
    command = f"$global:held = [IO.File]::Open('{tmp_path}/runner.lock', 'Create', 'ReadWrite', 'None')"
    assert not said(shell, command, {"FAKE_WINDOWS": str(tmp_path)})[2]
    open_files = {os.readlink(link) for link in Path(f"/proc/{shell.process.pid}/fd").iterdir()}
    assert str(tmp_path / "runner.lock") not in open_files


def test_an_error_that_nobody_catches_is_exit_code_1(shell):
    code, _, errors = said(shell, "$ErrorActionPreference = 'Stop'; throw 'no such thing'")
    assert (code, "no such thing" in errors) == (1, True)


def test_what_is_printed_by_mistake_stands_in_the_output_as_on_a_server(shell):
    assert said(shell, "'a value'; Write-Host 'a word'; & /bin/echo 'a program'")[1].split("\n").count("a value") == 1
    assert "a word" in said(shell, "Write-Host 'a word'")[1]
    assert "a program" in said(shell, "& /bin/sh -c 'echo a program; exit 0'")[1]


def test_two_commands_run_at_the_same_time(shell):
    waits = shell.start("while (-not $global:never) { Start-Sleep -Milliseconds 50 }", {})
    assert said(shell, "[Console]::Out.Write('quick')")[1] == "quick"
    assert shell.is_running(waits)
    assert shell.stop([waits])


def test_a_shell_that_ends_by_itself_is_told_and_gives_no_answer(shell):
    other = SharedPowerShell(shutil.which("pwsh") or "", base_environment(MODULES))
    with pytest.raises(PowerShellEndedError):
        other.wait(other.start("[Environment]::Exit(0)", {}), WAIT_S)
    assert other.ended
    other.close()


def test_a_case_whose_shell_has_ended_runs_again_in_processes_of_its_own_and_is_named(monkeypatch):
    class Shell:
        ended = False
        running = frozenset[int]()

        def close(self):
            """Nothing to close."""

    asked = []

    def run(job, sharing, _look):
        asked.append(sharing)
        if sharing != Sharing():
            sharing.verbs.ended = True
            return None, ["nothing is known"]
        return {"end": {}}, []

    runner = Runner("")
    runner.free.put((Shell(), Shell()))
    monkeypatch.setattr(runner, "_run", run)
    assert runner.run(Job(PLAIN, "")) == ({"end": {}}, [])
    assert (len(asked), asked[1], runner.ended) == (2, Sharing(), [PLAIN.name])


def test_where_all_cases_run_the_sample_shares_but_for_those_that_need_a_process_of_their_own():
    apart = {case.name for case in KNOWN if is_alone(case, sample_apart=False)}
    assert {case.name for case in KNOWN if case.sample} - apart
    assert {case.name for case in KNOWN if case.alone or case.culture != "C.UTF-8"} <= apart


def test_the_sample_and_cases_in_another_language_share_nothing():
    shared = {case.name for case in KNOWN if not is_alone(case)}
    assert not shared & {case.name for case in KNOWN if case.sample or case.culture != "C.UTF-8"}
    assert len(shared) > len(KNOWN) / 2


@pytest.mark.parametrize("step", ["kill", "reboot", "clone", "gone"])
def test_the_tasks_of_a_case_that_ends_processes_are_processes(step):
    sharing = sharing_of(replace(PLAIN, steps=[{step: "session"}]), ("verbs", "tasks"))
    assert sharing == Sharing("verbs", None)


def test_the_bound_of_jobs_is_above_any_order_of_them():
    assert bound_s([90] * 4, 4) == 180
    assert bound_s([90, 90, 220], 2) == 420
    assert bound_s([], 4) == 0


def test_a_case_that_only_ran_out_of_time_has_seen_nothing():
    assert seen(["TimeLimitError: waited in vain until thawed"]) == []
    assert seen(["step 2 freeze: expected frozen"]) == ["step 2 freeze: expected frozen"]
