"""Check the beliefs about Windows on Wine: ``python -m tools.guest.wine``.

It needs Wine and, in its prefix (``WINEPREFIX``), PowerShell for Windows; where they are missing it says so and ends
with 0. Exit code 1 if a belief no longer holds that held on Wine before, or the other way round.
Wine proves nothing about Windows: docs/unconfirmed.md says how to check the same on a server.
"""

import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from guest.document import guest_text

HERE = Path(__file__).parent
POWERSHELL = Path("drive_c/Program Files/PowerShell/7/pwsh.exe")
WINE = ("wine64", "/usr/lib/wine/wine64", "wine")
LIMIT_S = 300

# Beliefs that do not hold on Wine 8.0 because of Wine.
WINE_LIMITS = {
    "a batch file sees the exit code over 255 of one that it calls": "its cmd gives 1",
    "taskkill /T /F ends a process and its children": "its taskkill has no /T",
    "there is a process 0, the idle process": "it has none",
    "a junction has the attribute ReparsePoint": "it makes no junctions",
    "icacls by SID leaves SYSTEM and Administrators alone": "its icacls does nothing",
    "schtasks registers a task from XML, runs it and deletes it": "its schtasks runs nothing",
}


def main() -> int:
    """Run both scripts, print their output and the differences from earlier runs on Wine; return the exit code."""
    wine = next((found for name in WINE if (found := shutil.which(name))), None)
    prefix = Path(os.environ.get("WINEPREFIX", Path.home() / ".wine"))
    if wine is None or not (prefix / POWERSHELL).exists():
        print(f"wine: not run, no Wine or no {prefix / POWERSHELL}")  # noqa: T201
        return 0
    with tempfile.TemporaryDirectory(dir=prefix / "drive_c", prefix="quiesce-") as folder:
        for file in HERE.glob("*.ps1"):
            shutil.copy(file, folder)
        (Path(folder) / "quiesce.ps1").write_text(guest_text())
        inside = f"C:\\{Path(folder).name}"
        output = run(wine, prefix, [f"{inside}\\windows.ps1"])
        output += run(wine, prefix, [f"{inside}\\guest.ps1", "-Guest", f"{inside}\\quiesce.ps1"])
    not_held = set(re.findall(r"^NOT held +(.+): expected ", output, re.MULTILINE))
    problems = [f"wine: no longer held: {name}" for name in sorted(not_held - set(WINE_LIMITS))]
    problems += [f"wine: now held, though {WINE_LIMITS[name]}: {name}" for name in sorted(set(WINE_LIMITS) - not_held)]
    if output.count(" not held; PowerShell ") != 2:
        problems.append("wine: a script did not run to its end")
    print("\n".join([output, *problems]))  # noqa: T201
    return 1 if problems else 0


def run(wine: str, prefix: Path, arguments: Sequence[str]) -> str:
    """Run a script in the prefix's PowerShell and return what it wrote to stdout and stderr."""
    environment = {
        "HOME": str(Path.home()),
        "PATH": os.environ["PATH"],
        "WINEPREFIX": str(prefix),
        "WINEDEBUG": "-all",
        "DOTNET_ROOT": "C:\\Program Files\\dotnet",
        "DOTNET_EnableWriteXorExecute": "0",  # with it, .NET on Wine ends with an internal error
        "NO_COLOR": "1",
    }
    program = "C:\\" + str(POWERSHELL.relative_to("drive_c")).replace("/", "\\")
    # Without a console PowerShell on Wine ends at once, with 0 and no output.
    controller, console = pty.openpty()
    try:
        done = subprocess.run(
            [wine, program, "-NoProfile", "-NonInteractive", "-File", *arguments],
            cwd=prefix / "drive_c",
            env=environment,
            stdin=console,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
            timeout=LIMIT_S,
        )
    finally:
        os.close(controller)
        os.close(console)
    return done.stdout.decode("utf-8", errors="replace").replace("\r\n", "\n")


if __name__ == "__main__":
    sys.exit(main())
