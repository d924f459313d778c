"""cmd.exe's reading of the guest's batch file; it knows only the lines that the guest writes."""

import re
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

    def match(self, pattern: str, code: str) -> None:
        """End unless the argument matches; ``echo`` of nothing prints whether echo is on."""
        if not re.fullmatch(pattern, self.argument or "ECHO is off."):
            raise _Exit(code)

    def echo(self, name: str) -> None:
        """Write the argument into a file."""
        (self.folder / name).write_text(f"{self.argument}\r\n", newline="")

    def require_size(self, name: str, size: str, code: str) -> None:
        """End where a file is too small."""
        if (self.folder / name).stat().st_size < int(size):
            raise _Exit(code)

    def move(self, name: str, target: str) -> None:
        """Rename a file."""
        (self.folder / name).rename(self.folder / target)

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
    r'@echo off|:\w+|cd /d "%~dp0" \|\| exit /b 3': Batch.nothing,
    r'echo %~1\|"%SystemRoot%\\System32\\findstr\.exe" /r /x "([^"]+)" >nul \|\| exit /b (\d)': Batch.match,
    r">(\S+) echo %~1": Batch.echo,
    r"for %%F in \((\S+)\) do if %%~zF lss (\d+) exit /b (\d)": Batch.require_size,
    r"move (\S+) (\S+) >nul \|\| exit /b 3": Batch.move,
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
