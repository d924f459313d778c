"""The PowerShell that cases share treats a command as a process of its own would, and never hides its own end."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.guest import cases
from tests.guest.machine import MODULES, Limit, Machine, _is_gone, command_of
from tests.guest.metadata import Metadata
from tests.guest.running import Job, Runner, is_alone, mixed
from tests.guest.shared import Pool, PowerShellEndedError, SharedPowerShell, base_environment
from tools.guest.mutations import bound_s, seen

KNOWN = cases.load()
PLAIN = next(case for case in KNOWN if not case.sample)
WAIT_S = 60
FOR_EVER = "while ($true) { Start-Sleep -Milliseconds 50 }"


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


def test_what_runs_in_a_shell_can_be_stopped_and_the_shell_goes_on(shell):
    waits = shell.start("while (-not $global:never) { Start-Sleep -Milliseconds 50 }", {})
    assert shell.is_running(waits)
    assert shell.stop([waits])
    assert said(shell, "[Console]::Out.Write('next')")[1] == "next"


def test_a_shell_that_ends_by_itself_is_told_and_gives_no_answer(shell):
    other = SharedPowerShell(shutil.which("pwsh") or "", base_environment(MODULES))
    with pytest.raises(PowerShellEndedError):
        other.wait(other.start("[Environment]::Exit(0)", {}), WAIT_S)
    assert other.ended
    other.close()


def test_a_case_whose_shell_has_ended_runs_again_in_processes_of_its_own_and_is_named(monkeypatch):
    asked = []

    def run(job, pool, _look):
        asked.append(pool)
        return (None, ["nothing is known"], True) if pool else ({"end": {}}, [], False)

    runner = Runner("")
    monkeypatch.setattr(runner, "_run", run)
    assert runner.run(Job(PLAIN, "")) == ({"end": {}}, [])
    assert (asked, runner.ended) == ([runner.pools[PLAIN.culture], None], [PLAIN.name])


@pytest.fixture
def machines(pwsh: str, tmp_path: Path) -> Iterator[Callable[[], Machine]]:
    """Makes machines that share one PowerShell."""
    pool, made = Pool(pwsh, MODULES), []

    def make() -> Machine:
        made.append(Machine(tmp_path / str(len(made)), {}, Metadata(), pwsh, "C.UTF-8", pool, Limit(WAIT_S)))
        return made[-1]

    yield make
    for machine in made:
        machine.close()
    pool.close()


def begin(machine: Machine, command: str) -> int:
    """Start a command as a task of a machine; return the number of its process."""
    machine._start_shared(machine.pool, "session-run-1-1", command, machine.environment)
    return machine.process_of("session")


def wait_for_end(machine: Machine) -> None:
    Limit(WAIT_S).wait_for(lambda: not machine.shared_tasks, "the task has ended")


def test_a_machines_own_crash_is_told_from_a_shell_that_ends_by_itself_or_by_another(machines):
    crashed, ended, hit = machines(), machines(), machines()
    crashed.kill([begin(crashed, FOR_EVER)])
    begin(ended, "[Environment]::Exit(0)")
    os.kill(begin(hit, FOR_EVER), signal.SIGKILL)
    for machine in (crashed, ended, hit):
        wait_for_end(machine)
    assert (crashed.lost_shell, ended.lost_shell, hit.lost_shell) == (False, True, True)


def test_a_kill_that_comes_late_leaves_alone_what_runs_another_machines_task_by_now(machines):
    first, second = machines(), machines()
    process = begin(first, "'done'")
    wait_for_end(first)
    assert begin(second, FOR_EVER) == process
    first.kill([process])
    assert not _is_gone(process)


def test_a_shell_that_ends_as_a_task_is_given_to_it_is_told(machines, monkeypatch):
    machine = machines()
    definition = {"command": ["powershell.exe", "-File x.ps1"], "user": "S-1-5-18", "logon": None}
    (machine.home / "tasks" / "session-run-1-1").write_text(json.dumps(definition))

    def end(*_):
        raise PowerShellEndedError

    monkeypatch.setattr(SharedPowerShell, "start", end)
    machine.start_task("session-run-1-1")
    Limit(WAIT_S).wait_for(lambda: machine.lost_shell, "it is told")


def test_a_pool_lends_no_shell_that_has_ended_while_it_rested(pwsh):
    pool = Pool(pwsh, MODULES)
    pool.give_back(dead := pool.take())
    dead.process.kill()
    dead.process.wait()
    alive = pool.take()
    pool.give_back(alive)
    pool.close()
    assert alive is not dead


def test_a_pool_lends_a_shell_to_one_at_a_time_and_only_again_if_nothing_runs_in_it(pwsh):
    pool = Pool(pwsh, MODULES)
    first, second = pool.take(), pool.take()
    assert first is not second
    pool.give_back(first)
    assert pool.take() is first
    second.start(FOR_EVER, {})
    pool.give_back(second)
    assert second.process.poll() is not None
    pool.give_back(first)
    pool.close()
    assert first.process.poll() is not None


def test_where_all_cases_run_the_sample_shares_but_for_those_that_need_a_process_of_their_own():
    apart = {case.name for case in KNOWN if is_alone(case, sample_apart=False)}
    assert {case.name for case in KNOWN if case.sample} - apart
    assert {case.name for case in KNOWN if case.alone} <= apart


def test_the_sample_shares_nothing_where_only_what_changed_runs():
    shared = {case.name for case in KNOWN if not is_alone(case)}
    assert not shared & {case.name for case in KNOWN if case.sample}
    assert len(shared) > len(KNOWN) / 2


def test_a_culture_has_its_own_shells(monkeypatch):
    runner, asked = Runner("", sample_apart=False), []
    monkeypatch.setattr(runner, "_run", lambda _job, pool, _look: (asked.append(pool), [], False))
    for case in KNOWN:
        if case.culture != "C.UTF-8":
            runner.run(Job(case, ""))
    assert len({pool.environment["LC_ALL"] for pool in asked}) == len(asked) >= 3


def test_jobs_that_wait_and_jobs_that_work_begin_side_by_side_and_none_is_lost():
    jobs = [Job(replace(PLAIN, name=str(each), takes_s=each), {}) for each in (0, 0, 20, 0, 130, 0, 0)]
    assert [job.case.takes_s for job in mixed(jobs)] == [130, 0, 0, 20, 0, 0, 0]
    assert {*map(id, mixed(jobs))} == {*map(id, jobs)}
    assert [job.case.takes_s for job in mixed(jobs[4:5])] == [130]


def test_the_bound_of_jobs_is_above_any_order_of_them():
    assert bound_s([90] * 4, 4) == 180
    assert bound_s([90, 90, 220], 2) == 420
    assert bound_s([], 4) == 0


def test_a_case_that_only_ran_out_of_time_has_seen_nothing():
    assert seen(["TimeLimitError: waited in vain until thawed"]) == []
    assert seen(["step 2 freeze: expected frozen"]) == ["step 2 freeze: expected frozen"]
