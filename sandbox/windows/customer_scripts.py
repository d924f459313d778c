r"""The scripts of a simulated server's owner: where they lie, and what they do to the application.

A script's text can say in a comment how it goes, so that one text serves here and on a real server:
`# sandbox: exit 3` (it fails before it has touched the application), `# sandbox: run 12 s`, `# sandbox: hang`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import unquote, urlsplit

from sandbox.windows.application import BusyApplication
from sandbox.windows.host import Outcome

DIRECTIVE = re.compile(r"^# sandbox: *(.*?)\s*$", re.MULTILINE)
EXIT, RUN = re.compile(r"exit (\d+)"), re.compile(r"run (\d+(?:\.\d+)?) s")


def outcome_of(text: str) -> Outcome:
    """How a script with this text goes; at once and well if it does not say.

    Raises:
        ValueError: it says something that nobody knows.
    """
    exit_code, duration_s = 0, 0.0
    for directive in DIRECTIVE.findall(text):
        if found := EXIT.fullmatch(directive):
            exit_code = int(found[1])
        elif found := RUN.fullmatch(directive):
            duration_s = float(found[1])
        elif directive == "hang":
            duration_s = math.inf
        else:
            raise ValueError(f"a script says: # sandbox: {directive}")
    return Outcome(exit_code, duration_s)


@dataclass
class CustomerScripts:
    """The scripts on one server: `folder` is the server's own, by file name; `get` follows a link into the bucket."""

    application: BusyApplication | None
    get: Callable[[str], bytes | None]
    folder: dict[str, str] = field(default_factory=dict)
    fetched: dict[str, str] = field(default_factory=dict)

    def on_server(self) -> list[str]:
        """The names of the files in the server's own scripts folder."""
        return list(self.folder)

    def fetch(self, link: str) -> bool:
        """Fetch a script from the bucket, under the name that the guest gives it."""
        content = self.get(link)
        if content is not None:
            stage, _, policy = PurePosixPath(unquote(urlsplit(link).path)).name.partition("_")
            policy = re.sub(r"\.ps1?$", "", policy, flags=re.IGNORECASE)
            self.fetched[f"{stage.lower()}_{policy}.ps1"] = content.decode("utf-8-sig")
        return content is not None

    def run(self, path: str, stage: str, argument: str) -> Outcome | None:
        """Start a script; None if it is not there. One that fails has left the application alone."""
        where = PureWindowsPath(path)
        text = self.folder.get(where.name) if where.is_absolute() else self.fetched.get(where.name)
        if text is None:
            return None
        outcome = outcome_of(text)
        if self.application and outcome.exit_code == 0:
            said = self.application.obey(stage, argument)
            return outcome._replace(printed=(f"{said}\r\n".encode(), b""))
        return outcome
