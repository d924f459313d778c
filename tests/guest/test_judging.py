"""Stage judges a PowerShell script as PowerShell itself treats it: each one here is judged, then really started."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from guest.document import guest_text

AS_TEXT = {"before": ("",), "after": ("1", "0")}
# The head of a script, by whether it begins with no argument, and whether it does with 1 and with 0.
HEADS = {
    "": (True, True),
    "param()": (True, True),
    "param($Before)": (True, True),
    "param([string]$Before, $Other)": (True, True),
    "param([int]$Before)": (True, True),
    "param([bool]$Before)": (True, False),
    "param([datetime]$Before)": (True, False),
    "param([switch]$Before)": (True, True),
    "param([switch]$Force, [bool]$Before)": (True, False),
    "param([bool]$Before = $true)": (True, False),
    "param([int]$Before = 'x')": (False, True),
    "param([int]$Before = 7, $Other = (Get-Date))": (True, True),
    "param([Parameter(Mandatory)]$Before)": (False, True),
    "param([Parameter(Mandatory = $true)][string]$Before, [Parameter(Mandatory = $true)]$Other)": (False, False),
    "param([Parameter(Position = 1)]$Other, [Parameter(Position = 0)][bool]$Before)": (True, False),
    "param([Parameter(ValueFromRemainingArguments)]$All)": (True, True),
    "[CmdletBinding()]param()": (True, False),
    "[CmdletBinding()]param([switch]$Before)": (True, False),
    "[CmdletBinding(PositionalBinding = $false)]param($Before)": (True, False),
    "[CmdletBinding(SupportsShouldProcess)]param($Before)": (True, True),
    "param([ValidateSet('1')]$Before)": (True, False),
    "param([ValidateSet('0', '1')]$Before)": (True, True),
    "param([ValidateRange(0, 1)][int]$Before)": (True, True),
    "param([ValidateRange(1, 2)][int]$Before)": (True, False),
    "param([ValidatePattern('^[01]$')]$Before)": (True, True),
    "param([ValidateLength(2, 3)]$Before)": (True, False),
    "param([No.Such.Type]$Before)": (False, False),
    "if (1) {": (False, False),
    "'no end": (False, False),
    "#Requires -Version 5.1": (True, True),
    "#Requires -Version 99": (False, False),
    "#Requires -Modules No.Such.Module": (False, False),
    "#Requires -Modules Microsoft.PowerShell.Utility": (True, True),
    "#Requires -Modules @{ModuleName = 'Microsoft.PowerShell.Utility'; ModuleVersion = '99.0'}": (False, False),
    "#Requires -PSEdition Desktop": (False, False),
    "#Requires -ShellId Another": (False, False),
    "using module No.Such.Module": (False, False),
}
# What cannot be told without running it: a word of what is said.
UNSURE = {
    "param([ValidateScript({ $true })]$Before)": "run code",
    "param($Before)\ndynamicparam { }\nend { }": "run code",
    "using namespace System.IO\nparam([FileInfo]$Before)": "",
    "#Requires -Modules Microsoft.PowerShell.Utility\nparam([No.Such.Type]$Before)": "No.Such.Type",
    "param([Kind]$Before)\nenum Kind { One = 1; None = 0 }": "Kind",
}
FUNCTIONS = ("Get-Lacking", "Get-BareParameters", "Test-Call", "Test-Script")


def start(pwsh: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", *arguments]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb"}
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


def judged(pwsh: str, folder: Path, files: list[Path]) -> list[list[list[str]]]:
    """Return what the guest's own functions say of each file, for before and for after: the refusal, and the doubt."""
    source = guest_text()
    functions = [re.search(rf"(?ms)^function {name}\(.*?^\}}$", source) for name in FUNCTIONS]
    calls = [f"'{argument}'" for argument in (AS_TEXT["before"][0], *AS_TEXT["after"])]
    lines = [
        "Set-StrictMode -Version Latest",
        "$ErrorActionPreference = 'Stop'",
        *(found[0] for found in functions if found),
        "$verdicts = @(foreach ($file in $args) {",
        f", @(@(Test-Script $file {calls[0]}), @(Test-Script $file {calls[1]}, {calls[2]})) }})",
        "ConvertTo-Json -InputObject $verdicts -Depth 4 -Compress",
    ]
    script = folder / "judge.ps1"
    script.write_text("\n".join(lines))
    done = start(pwsh, folder, str(script), *map(str, files))
    assert done.returncode == 0, done.stderr
    verdicts: list[list[list[str]]] = json.loads(done.stdout)
    return verdicts


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("scripts")
    found = {}
    for number, head in enumerate([*HEADS, *UNSURE]):
        found[head] = folder / f"{number}.ps1"
        found[head].write_text(f"{head}\n" if head in UNSURE else f"{head}\n'it has begun'\nexit 0\n")
    return found


@pytest.fixture(scope="module")
def verdicts(pwsh: str, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    folder = tmp_path_factory.mktemp("judge")
    return dict(zip(files, judged(pwsh, folder, list(files.values())), strict=True))


@pytest.fixture(scope="module")
def begun(pwsh: str, files: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], bool]:
    """Say of each script and argument whether it begins when it is really started, all in one PowerShell."""
    folder = tmp_path_factory.mktemp("begin")
    calls = [(head, argument) for head in HEADS for argument in ("", "1", "0")]
    starts = [f"& '{files[head]}' {argument and repr(argument)}" for head, argument in calls]
    lines = [f"try {{ [int](({each}) -ceq 'it has begun') }} catch {{ 0 }}" for each in starts]
    script = folder / "begin.ps1"
    script.write_text("\n".join(lines))
    done = start(pwsh, folder, str(script))
    return dict(zip(calls, (line == "1" for line in done.stdout.split()), strict=True))


@pytest.mark.parametrize("head", HEADS)
def test_a_script_is_judged_as_powershell_treats_it_when_it_starts(
    head: str, verdicts: dict[str, list[list[str]]], begun: dict[tuple[str, str], bool]
) -> None:
    really = begun[head, ""], begun[head, "1"] and begun[head, "0"]
    assert really == HEADS[head]
    (before, doubt), (after, other_doubt) = verdicts[head]
    assert (not before, not after, doubt, other_doubt) == (*really, "", "")


@pytest.mark.parametrize("head", UNSURE)
def test_what_cannot_be_told_without_running_the_script_is_no_refusal(
    head: str, verdicts: dict[str, list[list[str]]]
) -> None:
    refusal, doubt = verdicts[head][1]
    assert not refusal
    assert UNSURE[head] in doubt


def test_an_elevated_script_is_no_problem_for_system(pwsh: str, tmp_path: Path) -> None:
    script = tmp_path / "elevated.ps1"
    script.write_text("#Requires -RunAsAdministrator\nparam($Before)\nexit 0\n")
    assert judged(pwsh, tmp_path, [script]) == [[["", ""], ["", ""]]]


def test_the_script_itself_and_its_defaults_do_not_run(pwsh: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    script = tmp_path / "leaves_a_trace.ps1"
    touch = f"Set-Content -Path '{trace}' -Value 1"
    script.write_text(f"param($Before = $({touch}), [ValidateScript({{ {touch} }})]$Other = 2)\n{touch}\n")
    [[(refusal, _), _]] = judged(pwsh, tmp_path, [script])
    assert (refusal, trace.exists()) == ("", False)
