"""A word of thaw that a full disk does not take, which no contract case can make: the real function alone."""

import json
import re
import subprocess
from pathlib import Path

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


def thaw(pwsh: str, folder: Path, *, full: int, thawed: str, free: str) -> dict[str, object]:
    """Ask for the thaw; return how often its word was written, the watchdog's task started, and the error."""
    functions = [re.search(rf"(?ms)^function {name}\(.*?^\}}$", guest_text()) for name in REAL]
    around = AROUND.replace("FULL", str(full)).replace("THAWED", thawed).replace("FREE", free)
    script = folder / "thaw.ps1"
    script.write_text("\n".join([*(found[0] for found in functions if found), around]))
    command = [pwsh, "-NoProfile", "-NonInteractive", "-File", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    seen: dict[str, object] = json.loads(done.stdout)
    return seen


def test_a_word_that_a_full_disk_does_not_take_is_named(pwsh: str, tmp_path: Path) -> None:
    seen = thaw(pwsh, tmp_path, full=1000, thawed="$false", free="$false")
    assert seen["error"] == "StateNotWritten: thaw.flag: There is not enough space on the disk."


def test_it_is_left_as_soon_as_there_is_room(pwsh: str, tmp_path: Path) -> None:
    seen = thaw(pwsh, tmp_path, full=2, thawed="$seen.writes -gt 2", free="$false")
    assert seen == {"writes": 3, "tasks": 0, "error": ""}


def test_a_dead_runners_place_is_taken_without_it(pwsh: str, tmp_path: Path) -> None:
    seen = thaw(pwsh, tmp_path, full=1000, thawed="$seen.tasks -gt 0", free="$true")
    assert (seen["tasks"], seen["error"]) == (1, "")
