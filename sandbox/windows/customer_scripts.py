r"""The scripts of a simulated server's owner: where they lie, and what they do to the application.

A comment in a script decides how it runs here, so that the same text serves on a real server:
`# sandbox: exit 3` (it fails before it touches the application), `# sandbox: run 12 s`, `# sandbox: hang`.
`# sandbox: cannot begin` stands for what only Windows PowerShell sees, such as a syntax error.
A session script holds from its start until it is told to thaw, with the exit code of `exit`, unless a comment says
`# sandbox: never frozen`, `# sandbox: deaf` (to the thaw) or `# sandbox: ends after 2 s` (by itself).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PureWindowsPath

from sandbox.windows.application import BusyApplication
from sandbox.windows.host import SCRIPTS, Outcome
from sandbox.windows.staging import ROOT

CANNOT_BEGIN = "cannot begin"
DIRECTIVE = re.compile(r"^# sandbox: *(.*?)\s*$", re.MULTILINE)
ENDS = re.compile(r"ends after (\d+(?:\.\d+)?) s")
EXIT, RUN = re.compile(r"exit (\d+)"), re.compile(r"run (\d+(?:\.\d+)?) s")


def outcome_of(text: str) -> Outcome:
    """Return how a script with this text runs: at once and successfully, unless a comment says otherwise.

    Raises:
        ValueError: the directive is unknown.
    """
    exit_code, duration_s = 0, 0.0
    for directive in DIRECTIVE.findall(text):
        if found := EXIT.fullmatch(directive):
            exit_code = int(found[1])
        elif found := RUN.fullmatch(directive):
            duration_s = float(found[1])
        elif directive == "hang":
            duration_s = math.inf
        elif directive == CANNOT_BEGIN:
            exit_code = 1
        else:
            raise ValueError(f"unknown directive: # sandbox: {directive}")
    return Outcome(exit_code, duration_s)


def outcome_of_session(text: str) -> Outcome:
    """Return how a session script with this text runs.

    Raises:
        ValueError: the directive is unknown.
    """
    outcome = Outcome(0, math.inf, frozen_s=0.0, thaw_s=0.0)
    for directive in DIRECTIVE.findall(text):
        if found := EXIT.fullmatch(directive):
            outcome = outcome._replace(exit_code=int(found[1]))
        elif found := ENDS.fullmatch(directive):
            outcome = outcome._replace(duration_s=float(found[1]))
        elif directive == "never frozen":
            outcome = outcome._replace(frozen_s=math.inf)
        elif directive == "deaf":
            outcome = outcome._replace(thaw_s=math.inf)
        else:
            raise ValueError(f"unknown directive of a session script: # sandbox: {directive}")
    return outcome


@dataclass
class CustomerScripts:
    """The scripts on one server: `folder` is the server's own, by file name; `get` follows a link into the bucket."""

    application: BusyApplication | None
    get: Callable[[str], bytes | None]
    folder: dict[str, str] = field(default_factory=dict)
    fetched: dict[str, str] = field(default_factory=dict)

    def on_server(self) -> list[str]:
        """Return the names of the files in the server's own scripts folder."""
        return list(self.folder)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file of the folder; all are administrators'."""
        return self.folder[name].encode()

    def fetch(self, link: str) -> bytes | None:
        """Fetch an object from the bucket."""
        return self.get(link)

    def keep(self, files: dict[str, bytes]) -> None:
        """Keep the scripts of a run's package; those of an earlier run of the policy have the same names."""
        scripts = {name: content for name, content in files.items() if name.partition("_")[0] in SCRIPTS}
        self.fetched |= {name: content.decode("utf-8-sig") for name, content in scripts.items()}

    def judge(self, path: str) -> tuple[str, str]:
        """Return why Windows PowerShell would end a script before its first line; nothing is in doubt here."""
        cannot = CANNOT_BEGIN in DIRECTIVE.findall(self._text(path) or "")
        return ("line 1: the parser's words" if cannot else ""), ""

    def _text(self, path: str) -> str | None:
        file = PureWindowsPath(path)
        return (
            self.folder.get(str(file.relative_to(ROOT / "scripts")))
            if file.is_absolute()
            else self.fetched.get(file.name)
        )

    def run(self, path: str, stage: str, argument: str) -> Outcome | None:
        """Start a script; None if it is missing. A script that fails does not touch the application."""
        text = self._text(path)
        if text is None:
            return None
        if stage == "session":
            return self._hold(outcome_of_session(text))
        outcome = outcome_of(text)
        if self.application and outcome.exit_code == 0:
            report = self.application.obey(stage, argument)
            return outcome._replace(printed=(f"{report}\r\n".encode(), b""))
        return outcome

    def _hold(self, outcome: Outcome) -> Outcome:
        """Let a session script hold the application as long as it runs, as a connection to a database does."""
        application = self.application
        if application is None or math.isinf(outcome.frozen_s):
            return outcome
        report = application.obey("before", "")
        printed = (f"{report}\r\n".encode(), b"")
        return outcome._replace(printed=printed, let_go=lambda _told: application.obey("after", "1"))
