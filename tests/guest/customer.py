"""The scripts of a customer. A file stands for the application: while the file exists, it is frozen."""

from dataclasses import dataclass
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples" / "scripts"
PS1 = {
    "ok": "exit 0",
    "exits": "exit {code}",
    "closed": "exit 0 }}",
    "throws": "throw 'Z\u00fcrich'",
    "big": "$line = 'x' * 1023; for ($i = 0; $i -lt 10240; $i++) {{ [Console]::Out.WriteLine($line) }}; exit 0",
}
SHELL = {
    "ok": "exit 0",
    "exits": "exit {code}",
    "crashes": "kill -9 $$",
    "hangs": "sleep 600 & echo $! >'{home}/{stage}.child'; wait",
    # From a pipe, and by the shell itself: a child that starts while its parent is ended would live on.
    "holds": "read go <'{home}/release/{stage}'; exit 0",
    "finishes": "read go <'{home}/release/{stage}'; echo {stage} done >>'{home}/application.log'",
    "prints": "head -c 1000000 /dev/zero; echo {stage} done >>'{home}/application.log'; exit 0",
    "child": "sleep 600 & exit 0",
    "big": "head -c 10485759 /dev/zero | tr '\\0' 0; echo; exit 0",
    "huge": "head -c 31457280 /dev/zero | tr '\\0' 0; echo the last line; exit 0",
    "garbage": "",
    "errs": "echo problem >&2; exit 0",
}
# What a session script does from its start on: it holds from its file until it is told, or is gone.
WAITS = """until [ -e "$QUIESCE_THAW" ]; do sleep 0.05; done; rm -f '{frozen}'; echo 'session thaws' >>'{log}'; """
HOLDS = """: >"$QUIESCE_FROZEN"; """
SESSION = {
    "ok": HOLDS + WAITS + "exit 0",
    "ends": HOLDS + WAITS + "exit {code}",
    "exits": "rm -f '{frozen}'; exit {code}",
    "leaves": HOLDS + "read go <'{home}/release/session'; rm -f '{frozen}'; exit {code}",
    "late": "read go <'{home}/release/session'; " + HOLDS + WAITS + "exit 0",
    "never": WAITS + "exit 0",
    "deaf": HOLDS + "sleep 600 & echo $! >'{home}/session.child'; wait",
    "stuck": "sleep 600 & wait",
}
SESSION_PS1 = """Add-Content -Path '{log}' -Value 'session'
Set-Content '{frozen}' x
Set-Content $env:QUIESCE_FROZEN x
while (-not (Test-Path $env:QUIESCE_THAW)) {{ Start-Sleep -Milliseconds 50 }}
Remove-Item '{frozen}'
Add-Content -Path '{log}' -Value 'session thaws'
exit {code}
"""


@dataclass(frozen=True)
class Script:
    """One script: what it ``does``, and its file's ``name`` on the server, which ends in .ps1, .cmd, .vbs or .exe.

    ``head`` is a PowerShell script's first lines, with ``$Argument`` or without; ``refused`` says whether PowerShell
    would end it before its first line, ``unsure`` what stage cannot tell of it.
    """

    stage: str
    does: str = "ok"
    code: int = 0
    name: str = ""
    head: str = "param($Argument = '')"
    refused: bool = False
    unsure: str = ""

    @property
    def file_name(self) -> str:
        """Return the name of the file on the server."""
        return self.name or f"{self.stage}_sql-nightly.exe"

    def text(self, home: Path) -> str:
        """Return the file's text: a script's, or that of a file of writers."""
        writers = f"# of {self.file_name}\r\n{{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}}\r\n"
        return writers if self.file_name.endswith(".txt") else self.script_text(home)

    def script_text(self, home: Path) -> str:
        """Return the script's text: it writes to the application's log, freezes or thaws, and does its ``does``."""
        if self.does == "example":
            return (EXAMPLES / f"{self.stage}_orders.ps1").read_text("ascii")
        log, frozen = home / "application.log", home / "application.frozen"
        fields = {"code": self.code, "home": home, "stage": self.stage, "log": log, "frozen": frozen}
        if self.does == "garbage" or self.stage == "session":
            return "not a program" if self.does == "garbage" else self.session_text(fields)
        touch = {"before": "freeze", "after": "thaw", "complete": ""}[self.stage]
        if self.file_name.lower().endswith(".ps1"):
            act = {"freeze": f"Set-Content '{frozen}' x", "thaw": f"Remove-Item '{frozen}'", "": ""}[touch]
            argument = "$Argument" if "$Argument" in self.head else "$args"
            say = f"Add-Content -Path '{log}' -Value \"{self.stage} {argument}\".Trim()"
            return f"{self.head}\n{say}\n{act}\n{PS1[self.does].format(**fields)}\n"
        if self.file_name.lower().endswith(".cmd"):
            return f'@echo off\r\necho {self.stage} %1>>"{log}"\r\nexit /b {self.code}\r\n'
        if self.file_name.lower().endswith(".vbs"):
            argument = "" if self.stage == "before" else ' & " " & WScript.Arguments(0)'
            say = f'CreateObject("Scripting.FileSystemObject").OpenTextFile("{log}", 8, True).WriteLine "{self.stage}"'
            return f"{say}{argument}\r\n{'Err.Raise 5' if self.does == 'raises' else f'WScript.Quit {self.code}'}\r\n"
        act = {"freeze": f"touch '{frozen}'", "thaw": f"rm -f '{frozen}'", "": ":"}[touch]
        return f"#!/bin/sh\necho {self.stage} $1 >>'{log}'\n{act}\n{SHELL[self.does].format(**fields)}\n"

    def session_text(self, fields: dict[str, object]) -> str:
        """Return the text of a session script."""
        if self.file_name.lower().endswith(".ps1"):
            return SESSION_PS1.format(**fields)
        begin = "#!/bin/sh\necho session >>'{log}'\ntouch '{frozen}'\n"
        return f"{begin}{SESSION[self.does]}\n".format(**fields)
