"""cmd.exe's reading of the guest's batch file; it knows only the lines that the guest writes.

As a program: ``batch.py FILE [ARGUMENT]``; it ends with 250 and its words on a line that it does not know.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path


class UnknownLine(Exception):
    """The stand-in does not know what cmd.exe does with this line."""


class _Exit(Exception):
    def __init__(self, code: str) -> None:
        self.code = int(code)


class Batch:
    """One run of a batch file."""

    def __init__(self, file: Path, arguments: list[str], rest: Callable[[], None]) -> None:
        self.folder, self.argument, self.rest = file.parent, "".join(arguments[:1]), rest
        text = file.read_bytes().decode("ascii")
        if not text.endswith("\r\n") or "\n" in text.replace("\r\n", ""):
            raise UnknownLine("a line that does not end with CR and LF")
        self.lines = text.split("\r\n")[:-1]
        self.numbers: dict[str, int] = {}
        self.next = 0

    def run(self) -> int:
        """Run it to its end."""
        try:
            while self.next < len(self.lines):
                line = self.lines[self.next]
                self.next += 1
                self.do(line)
        except _Exit as end:
            return end.code
        return 0

    def do(self, line: str) -> None:
        """Run one line."""
        for pattern, command in COMMANDS.items():
            if found := re.fullmatch(pattern, line):
                command(self, *found.groups())
                return
        raise UnknownLine(line)

    def nothing(self) -> None:
        """Echo off, a label, or the change into the folder, where all names are looked up anyway."""

    def require_ends(self, last: str, both: str, code: str) -> None:
        """End unless the argument's first character, and all from a place on, are these."""
        if self.argument[:1] + self.argument[int(last) :] != both:
            raise _Exit(code)

    def echo(self, name: str) -> None:
        """Write the argument into a file; with the machine's fault ``hold`` nothing can be written."""
        if not Path(os.environ.get("FAKE_WINDOWS", ""), "faults", "hold").exists():
            (self.folder / name).write_text(f"{self.argument}\r\n", newline="")

    def set_zero(self, name: str) -> None:
        """Set a counter to zero."""
        self.numbers[name] = 0

    def count(self, name: str) -> None:
        """Add one to a counter."""
        self.numbers[name] += 1

    def end_if_there(self, name: str, code: str) -> None:
        """End if a file exists."""
        if (self.folder / name).exists():
            raise _Exit(code)

    def end_if_more(self, name: str, limit: str, code: str) -> None:
        """End if a counter is above its limit."""
        if self.numbers[name] > int(limit):
            raise _Exit(code)

    def ping(self) -> None:
        """Take a second on Windows, and less here."""
        self.rest()

    def goto(self, label: str) -> None:
        """Continue at a label."""
        self.next = self.lines.index(f":{label}")


COMMANDS: dict[str, Callable[..., None]] = {
    r'@echo off|:\w+|cd /d "%~dp0" \|\| exit /b 3|set id=%~1': Batch.nothing,
    r'if not "%id:~0,1%%id:~(\d+)%"=="(\S+)" exit /b (\d)': Batch.require_ends,
    r">(\S+) echo %id%": Batch.echo,
    r"set (\w+)=0": Batch.set_zero,
    r"set /a (\w+)\+=1": Batch.count,
    r"if exist (\S+) exit /b (\d)": Batch.end_if_there,
    r"if %(\w+)% gtr (\d+) exit /b (\d)": Batch.end_if_more,
    r'"%SystemRoot%\\System32\\ping\.exe" -n 2 127\.0\.0\.1 >nul': Batch.ping,
    r"goto (\w+)": Batch.goto,
}


def run_batch(file: Path, arguments: list[str], rest: Callable[[], None]) -> int:
    """Run a batch file with these arguments; ``rest`` is called where it waits a second.

    Raises:
        UnknownLine: the stand-in does not know a line.
    """
    return Batch(file, arguments, rest).run()


if __name__ == "__main__":
    try:
        sys.exit(run_batch(Path(sys.argv[1]), sys.argv[2:], lambda: time.sleep(0.1)))
    except UnknownLine as unknown:
        sys.stderr.write(str(unknown))
        sys.exit(250)
