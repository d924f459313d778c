"""The commands of docs/use/recover.md wait and print: each shell's block is run against a pretended AWS."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quiesce.recovery.input import read_recovery_request
from tests.support.project import ROOT

PAGE = (ROOT / "docs" / "use" / "recover.md").read_text().partition("## Start one")[2].partition("\n| Field |")[0]
# Two rounds of waiting; the file must be named as one, since Windows PowerShell takes the quotes out of JSON.
ANSWERS = {
    "bash": """
aws() {
  echo "$*" >> calls
  case "$*" in
    *start-execution*) [ -e recovery.json ] && echo arn:1 ;;
    *"--query status"*) if [ $(grep -c -- "--query status" calls) -gt 2 ]; then echo SUCCEEDED; else echo RUNNING; fi ;;
    *progress.txt*) echo "Now: Swap" ;;
    *output*) echo "SUCCEEDED None None {}" ;;
  esac
}
sleep() { echo "sleep $*" >> calls; }
""",
    "powershell": """
$global:asked = 0
function aws {
  Add-Content calls "$args"
  switch -Wildcard ("$args") {
    '*start-execution*' { if (Test-Path recovery.json) { 'arn:1' }; break }
    '*--query status*' { $global:asked += 1; if ($global:asked -gt 2) { 'SUCCEEDED' } else { 'RUNNING' }; break }
    '*progress.txt*' { 'Now: Swap'; break }
    '*output*' { 'SUCCEEDED None None {}' }
  }
}
function Start-Sleep { Add-Content calls "sleep $args" }
""",
}
SHELLS = {"bash": ["bash", "-u"], "powershell": ["pwsh", "-NoProfile", "-NonInteractive", "-File"]}


def block(language: str) -> str:
    [text] = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return text


def the_input() -> str:
    [text] = re.findall(r"Write `recovery\.json`:\n\n```\n(.*?)```", PAGE, re.DOTALL)
    return text


def test_the_file_of_the_page_is_an_input_that_a_recovery_takes() -> None:
    request = read_recovery_request(json.loads(the_input()), "Europe/Berlin")
    assert (request.instance_id, request.at, request.mode) == ("FILES01", "latest whole", "dry-run")


@pytest.mark.parametrize("language", SHELLS)
def test_the_commands_of_the_page_wait_print_how_far_it_is_and_at_last_the_outcome(
    language: str, tmp_path: Path
) -> None:
    program, *options = SHELLS[language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on the PATH")
    (tmp_path / "recovery.json").write_text(the_input())
    commands = block(language).replace("<RecoverMachine>", "arn:machine").replace("<bucket>", "bucket")
    script = tmp_path / ("page.ps1" if language == "powershell" else "page.sh")
    script.write_text(ANSWERS[language] + commands)
    ended = subprocess.run(
        [program, *options, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split("\n") == ["Now: Swap", "Now: Swap", "SUCCEEDED None None {}", ""]
    calls = (tmp_path / "calls").read_text().splitlines()
    assert "--input file://recovery.json" in calls[0]
    look = ["s3 cp s3://bucket/recoveries/fire-1/progress.txt -", "sleep"]
    assert [next((n for n in look if call.startswith(n)), "") for call in calls[1:]] == [*["", *look] * 2, "", ""]
    assert all("arn:1" in call for call in calls[1:] if call.startswith("stepfunctions"))
    assert not re.search(r"[{}]", " ".join(calls)), "JSON on a command line"
