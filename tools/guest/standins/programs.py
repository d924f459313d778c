"""The programs of Windows that the guest starts, but for Task Scheduler's."""

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

from machine_folder import MACHINE as FOLDER
from machine_folder import fault, kill, known_account, note, refuse

MACHINE = Path(FOLDER)
# What each of the guest's grants adds.
GRANTS = {"*S-1-5-18:(OI)(CI)F": "(A;OICI;FA;;;SY)", "*S-1-5-32-544:(OI)(CI)F": "(A;OICI;FA;;;BA)"}
ACCOUNT_GRANTS = ("(OI)(CI)(RX)", "(OI)(IO)(R,W)")
EVENTS = re.compile(
    r"/q:\*\[System\[Provider\[@Name='\w+'( or @Name='\w+')*\] "
    r"and TimeCreated\[@SystemTime>='\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ'\]\]\]"
)
# What vssadmin prints on a server without another provider; the Id is that of quiesce.vss.script.
PROVIDERS = """
Provider name: 'Microsoft Software Shadow Copy provider 1.0'
   Provider type: System
   Provider Id: {b5946137-7b9f-4925-af80-51abd60b20d5}
   Version: 1.0.0.7
"""


def icacls(arguments: list[str]) -> int:
    """``icacls FOLDER /inheritance:r /grant:r *SID:(OI)(CI)F ...``, ``icacls PATH /reset /t`` and ``/grant``.

    learn.microsoft.com, icacls.
    With the fault ``plant`` a user puts a file into the folder while its rights are reset.
    """
    folder, *rest = arguments
    if fault("icacls"):
        return 5
    if len(rest) == 2 and rest[0] == "/grant":
        return grant(Path(folder), rest[1])
    if rest == ["/reset", "/t"]:
        for path in (Path(folder), *Path(folder).rglob("*")):
            reset_rights(path)
        if fault("plant") and Path(folder).is_dir():
            planted = Path(folder) / "planted.ps1"
            planted.touch()
            (MACHINE / "acl" / str(planted.stat().st_ino)).write_text("O:S-1-5-21-1-2-3-1001G:SYD:AI(A;ID;FA;;;SY)")
        return 0
    if rest[:2] != ["/inheritance:r", "/grant:r"] or not all(grant in GRANTS for grant in rest[2:]):
        return refuse("icacls", arguments, "only the two grants of the guest are known")
    number = Path(folder).stat().st_ino
    (MACHINE / "acl" / str(number)).write_text("O:BAG:SYD:PAI" + "".join(GRANTS[grant] for grant in rest[2:]))
    return 0


def grant(folder: Path, what: str) -> int:
    """Add an account's rights to what a folder inherits; 1332 is ERROR_NONE_MAPPED."""
    account, _, rights = what.partition(":")
    if rights not in ACCOUNT_GRANTS:
        return refuse("icacls", [str(folder), what], "only the grants of the guest are known")
    if not known_account(account):
        return 1332
    file = MACHINE / "acl" / str(folder.stat().st_ino)
    file.write_text(f"O:BAG:SYD:AI({account} {rights})(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)")
    return 0


def reset_rights(path: Path) -> None:
    """Give a file or folder the rights of our folder, and leave it its owner."""
    known = MACHINE / "acl" / str(path.stat().st_ino)
    owner = (known if known.exists() else MACHINE / "acl" / "inherited").read_text().partition("G:")[0]
    known.write_text(f"{owner}G:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)")


def open_files(arguments: list[str]) -> int:
    """Print a path below a folder that a process of the machine has open, or works in: Windows does not delete it."""
    below = f"{arguments[0]}/"
    mark = f"FAKE_WINDOWS={MACHINE}\0".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark not in (process / "environ").read_bytes():
                continue
            for link in (process / "cwd", *(process / "fd").iterdir()):
                if f"{link.readlink()}/".startswith(below):
                    sys.stdout.write(str(link.readlink()))
                    return 0
        except OSError:
            continue  # it has ended, or belongs to another user
    return 0


def children(process_id: int) -> list[int]:
    """Return the process and all its descendants, which is what /T ends."""
    found = [process_id]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except FileNotFoundError:
            continue  # it has just ended
        if parent == process_id:
            found += children(int(stat.parent.name))
    return found


def goes_on_later() -> bool:
    """Return False at once, and True in a process that goes on a second later."""
    if os.fork():
        return False
    for stream in (0, 1, 2):
        os.close(stream)
    time.sleep(1)
    with (MACHINE / "application.log").open("a") as log:
        log.write("gone\n")
    return True


def is_another_machines(process_id: int) -> bool:
    """Return whether it is a PowerShell that machines share, and runs nothing of this one's: here it has ended."""
    try:
        command = Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:
        return False  # it has just ended
    return b"shared.ps1" in command and not (MACHINE / "shared" / str(process_id)).exists()


def taskkill(arguments: list[str]) -> int:
    """``taskkill /T /F /PID NUMBER [/FI "USERNAME eq NAME"]``: learn.microsoft.com. 128 if there is no such process.

    With the fault ``taskkill`` it waits for WMI, with ``taskkill slow`` the processes are gone a moment after its end.
    """
    if fault("taskkill"):
        signal.pause()
    filtered = len(arguments) == 6 and arguments[4] == "/FI" and arguments[5].startswith("USERNAME eq ")
    whose = arguments[5].removeprefix("USERNAME eq ") if filtered else ""
    if arguments[:3] != ["/T", "/F", "/PID"] or not arguments[3].isdigit() or not (whose or len(arguments) == 4):
        return refuse("taskkill", arguments, "unknown")
    process_id = int(arguments[3])
    if process_id == 0 or not Path(f"/proc/{process_id}").exists() or is_another_machines(process_id):
        return 128
    if whose and f"FAKE_ACCOUNT={whose}\0".encode() not in Path(f"/proc/{process_id}/environ").read_bytes():
        return 0  # "INFO: No tasks running with the specified criteria."
    if fault("taskkill slow") and not goes_on_later():
        return 0
    for each in children(process_id):
        try:
            kill(each)
        except ProcessLookupError:
            continue  # it ended with its parent
    note("taskkill")
    return 0


def cmd(arguments: list[str]) -> int:
    """``cmd /d /s /c ""FILE" ARGUMENT"``, for files of ``echo TEXT>>"FILE"`` and ``exit /b N`` lines."""
    if arguments[:3] != ["/d", "/s", "/c"] or len(arguments) != 4:
        return refuse("cmd", arguments, "unknown")
    file, _, argument = arguments[3].partition(" ")
    for line in Path(file).read_bytes().decode("ascii").split("\r\n"):
        if echo := re.fullmatch(r'echo (.*)>>"([^"]+)"', line):
            with Path(echo[2]).open("a") as log:
                log.write(echo[1].replace("%1", argument).rstrip() + "\n")
        elif end := re.fullmatch(r"exit /b (\d+)", line):
            return int(end[1])
        elif line not in ("@echo off", ""):
            return refuse("cmd", arguments, f"unknown line {line!r}")
    return 0


def cscript(arguments: list[str]) -> int:
    """``cscript //Nologo //E:VBScript "FILE" ARGUMENT``, for files of the lines that the cases write.

    Like the real one it says of an error where it is, and ends with 0 where the script does not say otherwise.
    """
    if arguments[:2] != ["//Nologo", "//E:VBScript"] or len(arguments) not in (3, 4):
        return refuse("cscript", arguments, "unknown")
    file, *rest = arguments[2:]
    for number, line in enumerate(Path(file).read_bytes().decode("ascii").split("\r\n"), 1):
        if echo := re.fullmatch(
            r"""CreateObject\("Scripting.FileSystemObject"\)\.OpenTextFile\("([^"]+)", 8, True\)"""
            r"""\.WriteLine "(\w+)"( & " " & WScript\.Arguments\(0\))?""",
            line,
        ):
            with Path(echo[1]).open("a") as log:
                log.write(" ".join([echo[2], *(rest if echo[3] else [])]) + "\n")
        elif end := re.fullmatch(r"WScript\.Quit (\d+)", line):
            return int(end[1])
        elif line == "Err.Raise 5":
            sys.stderr.write(f"{file}({number}, 1) Laufzeitfehler in Microsoft VBScript: Ung\u00fcltiges Argument\r\n")
            return 0
        elif line:
            return refuse("cscript", arguments, f"unknown line {line!r}")
    return 0


def wevtutil(arguments: list[str]) -> int:
    """``wevtutil qe CHANNEL /q:QUERY /f:text /rd:true /c:200``: learn.microsoft.com, wevtutil. There are no events."""
    match arguments:
        case ["qe", "Application" | "System", query, "/f:text", "/rd:true", "/c:200"] if EVENTS.fullmatch(query):
            return 15010 if fault("wevtutil") else 0
    return refuse("wevtutil", arguments, "unknown")


def vssadmin(arguments: list[str]) -> int:
    """``vssadmin list providers`` and ``vssadmin list writers``: learn.microsoft.com, vssadmin."""
    if arguments not in (["list", "providers"], ["list", "writers"]):
        return refuse("vssadmin", arguments, "unknown")
    if fault("vssadmin"):
        signal.pause()
    condition = json.loads((MACHINE / "condition.json").read_text())
    sys.stdout.write(PROVIDERS if arguments[1] == "providers" else condition["writers"])
    return 0


PROGRAMS = {"icacls": icacls, "open-files": open_files, "taskkill": taskkill, "cmd": cmd, "cscript": cscript}
PROGRAMS |= {"wevtutil": wevtutil, "vssadmin": vssadmin}
