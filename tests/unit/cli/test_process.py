"""The command as a process of its own: what only a real pipe and a real shell show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import type_command
from tests.support.project import ROOT

POLICY = "name: weekly\ntargets: [{instance_id: i-0123456789abcdef0, vss: off}]\n"
# COLUMNS is what some shells export; nobody is at the other end of a pipe, whatever it says. Python buffers what it
# writes into a pipe, unless this machine's environment says otherwise.
OWN = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
ENVIRONMENT = {**OWN, "PYTHONPATH": f"{ROOT}/src:{ROOT}/cli", "COLUMNS": "20", "QUIESCE_CONFIG": os.devnull}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weekly.yaml"
    path.write_text(POLICY)
    return path


def started(file: Path, *options: str, stdout: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quiesce_cli", "policy", "check", str(file), *options]
    return subprocess.run(command, env=ENVIRONMENT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


def test_in_a_pipe_it_is_plain_and_no_line_is_cut(file: Path) -> None:
    ended = started(file, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second = ended.stdout.splitlines()
    assert first == f"\N{CHECK MARK} weekly  {file}"
    assert second.split() == [
        "server",
        "i-0123456789abcdef0:",
        "no",
        "application",
        "is",
        "asked,",
        "application-or-crash",
    ]


def test_a_check_says_what_a_lock_costs_beyond_the_rule_and_is_good(file: Path) -> None:
    file.write_text(f"{POLICY}keep: {{daily: 14}}\nlock: {{mode: governance, days: 30}}\n")
    ended = started(file, stdout=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "remark 'lock' holds each recovery point for 30 days, and by 'keep' some" in " ".join(ended.stdout.split())


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_reader_that_has_seen_enough_is_no_error(file: Path, option: tuple[str, ...]) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        ended = started(file, *option, stdout=write)
    finally:
        os.close(write)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_is_told_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    for typed, names in {
        "quiesce po": {"points", "policy"},
        "quiesce policy ": {"check", "put", "list", "show", "remove", "next"},
        "quiesce points --s": {"--server", "--stack"},
    }.items():
        words = {"bash": {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split(" ")) - 1)}}
        asked = words.get(shell, {"_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args"})
        with pytest.raises(SystemExit) as ended:
            type_command(environment={"_QUIESCE_COMPLETE": f"complete_{shell}", **asked})
        told = capsys.readouterr().out
        assert not ended.value.code
        assert {name for name in names if name in told} == names, told


def test_the_script_for_the_shell_asks_this_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        type_command(environment={"_QUIESCE_COMPLETE": "source_bash"})
    script = capsys.readouterr().out
    assert "_QUIESCE_COMPLETE=complete_bash" in script
    assert "complete -o default -F _quiesce_completion quiesce" in script
