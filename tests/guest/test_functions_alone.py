"""What no contract case can make, as a word that a full disk does not take: the real functions alone."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from guest.document import guest_text

REAL = ("Invoke-Request", "Set-Word", "Wait-Until", "Test-Reached")
# The disk has no room for the first FULL writes; the session is thawed once THAWED, and its runner is alive or not.
AROUND = """
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$WaitSeconds = '2'
$Phases = 'created', 'before', 'frozen', 'after', 'thawed', 'complete', 'ended'
$seen = @{ writes = 0; tasks = 0; error = '' }
$session = @{ Folder = '/folder'; State = [pscustomobject]@{ phase = 'frozen' } }
function New-Flag($Path, $Text) {
    $seen.writes++
    if ($seen.writes -le FULL) { throw [IO.IOException]'There is not enough space on the disk.' }
    $true
}
function Update-State($Session) { if (THAWED) { $Session.State.phase = 'thawed' } }
function Enter-Attempt { }
function Test-Free { FREE }
function Test-Overrun { $false }
function Start-Task { $seen.tasks++ }
function Write-Log { }
try { Invoke-Request $session 'thaw.flag' '' 'thawed' } catch { $seen.error = $_.Exception.Message }
ConvertTo-Json -InputObject $seen -Compress
"""


# A session script holds, as the runner's OWN process or one that a dead runner left, and nothing can be written.
HOLDING = """
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$seen = @{ ended = ''; seconds = -1; reason = '' }
$process = [Diagnostics.Process]::Start('/bin/sleep', '600')
$before = [pscustomobject]@{ succeeded = $true }
$record = [pscustomobject]@{ succeeded = $false; reason = 'Interrupted'; argument = '1' }
$limits = [pscustomobject]@{ after = 60 }
$session = @{
    Folder = '/folder'; Holder = OWN; State = [pscustomobject]@{ before = $before }
    Manifest = [pscustomobject]@{ limitSeconds = $limits }
}
function New-Flag { throw [IO.IOException]'There is not enough space on the disk.' }
function Test-Flag { $false }
function Write-Log { }
function Get-LeftProcess { $process }
function Read-End($Session, $Stage, $Process, $Seconds, $Record) { $seen.seconds = $Seconds }
function Stop-Tree($Session, $What, $Process) { $seen.ended = $What }
try { Close-Hold $session $record } finally { $process.Kill() }
$seen.reason = $record.reason
ConvertTo-Json -InputObject $seen -Compress
"""


# The process of an account's script has ended, and SAID is what it left in its file.
SPOKEN = """
Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$record = [pscustomobject]@{ succeeded = $false; exitCode = $null; reason = 'Interrupted' }
$session = @{ Copies = @() }
function Get-ScriptName { 'before' }
function Wait-Program { $true }
function Get-Account { 'SQL-A\\backup' }
function Copy-Said { }
function Get-SaidFile { '/said' }
function Read-Field { 'SAID' }
function Test-Unhandled { $false }
Read-End $session 'before' $null 60 $record
ConvertTo-Json -InputObject $record -Compress
"""


def run(pwsh: str, folder: Path, names: tuple[str, ...], around: str) -> dict[str, object]:
    """Run these functions of the guest in what is around them; return what they did."""
    functions = [re.search(rf"(?ms)^function {name}\(.*?^\}}$", guest_text()) for name in names]
    script = folder / "real.ps1"
    script.write_text("\n".join([*(found[0] for found in functions if found), around]))
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    seen: dict[str, object] = json.loads(done.stdout)
    return seen


def thaw(pwsh: str, folder: Path, *, full: int, thawed: str, free: str) -> dict[str, object]:
    """Ask for the thaw; return how often its word was written, the watchdog's task started, and the error."""
    around = AROUND.replace("FULL", str(full)).replace("THAWED", thawed).replace("FREE", free)
    return run(pwsh, folder, REAL, around)


def test_a_word_that_a_full_disk_does_not_take_is_named(pwsh: str, tmp_path: Path) -> None:
    seen = thaw(pwsh, tmp_path, full=1000, thawed="$false", free="$false")
    assert seen["error"] == "StateNotWritten: thaw.flag: There is not enough space on the disk."


def test_it_is_left_as_soon_as_there_is_room(pwsh: str, tmp_path: Path) -> None:
    seen = thaw(pwsh, tmp_path, full=2, thawed="$seen.writes -gt 2", free="$false")
    assert seen == {"writes": 3, "tasks": 0, "error": ""}


def test_a_dead_runners_place_is_taken_without_it(pwsh: str, tmp_path: Path) -> None:
    seen = thaw(pwsh, tmp_path, full=1000, thawed="$seen.tasks -gt 0", free="$true")
    assert (seen["tasks"], seen["error"]) == (1, "")


def test_a_session_script_that_cannot_be_told_to_thaw_is_not_waited_for(pwsh: str, tmp_path: Path) -> None:
    seen = run(pwsh, tmp_path, ("Close-Hold", "Set-Hold"), HOLDING.replace("OWN", "$process"))
    assert (seen["seconds"], seen["ended"]) == (0, "")


def test_one_that_a_dead_runner_left_is_ended_at_once(pwsh: str, tmp_path: Path) -> None:
    seen = run(pwsh, tmp_path, ("Close-Hold", "Set-Hold"), HOLDING.replace("OWN", "$null"))
    assert (seen["ended"], seen["reason"]) == ("session", "TimedOut")


@pytest.mark.parametrize(
    ("said", "record"),
    [
        ("0", {"succeeded": True, "exitCode": 0, "reason": ""}),
        ("7", {"succeeded": False, "exitCode": 7, "reason": "ExitCode"}),
        ('"NotStarted: gone"', {"succeeded": False, "exitCode": None, "reason": "NotStarted: gone"}),
        ("", {"succeeded": False, "exitCode": None, "reason": "Unheard"}),
    ],
)
def test_an_accounts_process_that_ends_without_a_word_is_no_success(
    pwsh: str, tmp_path: Path, said: str, record: dict[str, object]
) -> None:
    assert run(pwsh, tmp_path, ("Read-End", "Read-ExitCode"), SPOKEN.replace("SAID", said)) == record
