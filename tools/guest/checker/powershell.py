"""Run a script in the PowerShell on the PATH."""

import os
import shutil
import subprocess
from pathlib import Path

LIMIT_S = 120
QUIET = {"POWERSHELL_TELEMETRY_OPTOUT": "1", "POWERSHELL_UPDATECHECK": "Off", "NO_COLOR": "1"}


class PowerShellMissingError(RuntimeError):
    """No ``pwsh`` is on the PATH."""


def run_script(script: Path, *arguments: str | Path) -> bytes:
    """Return what a script writes to stdout.

    Raises:
        PowerShellMissingError: there is no ``pwsh`` on the PATH.
        CalledProcessError: the script's exit code is not 0; its errors went to our stderr.
        TimeoutExpired: the script ran for more than ``LIMIT_S`` seconds.
    """
    powershell = shutil.which("pwsh")
    if powershell is None:
        raise PowerShellMissingError("pwsh is not on the PATH")
    command = [powershell, "-NoProfile", "-NonInteractive", "-File", script, *arguments]
    return subprocess.run(command, env=os.environ | QUIET, stdout=subprocess.PIPE, check=True, timeout=LIMIT_S).stdout
