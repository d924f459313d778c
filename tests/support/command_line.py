"""The command line in this process: what it prints and its exit code, on a terminal of a given width or in a pipe."""

import io
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any
from unittest.mock import patch

from botocore import session
from quiesce_cli import app
from quiesce_cli.answers import shapes
from quiesce_cli.screen import PIPED_WIDTH, Screen
from rich.console import Console

from quiesce.clock import Clock

# Each command as a person types it, with what it prints as JSON; None is a record. The tests of all commands take them.
COMMANDS = {
    "status": shapes.Status,
    "points": shapes.Points,
    "show run-0": None,
    "explain run-0": shapes.Explained,
    "writers": shapes.Writers,
    "policy check FILE": shapes.Policies,
    "policy list": shapes.Policies,
    "policy show files": shapes.Policies,
    "policy put FILE": shapes.Policies,
    "policy next": shapes.NextRuns,
    "policy remove files --yes": shapes.Policies,
    "run files --detach": shapes.Ran,
    "follow run-0": shapes.Ran,
    "recover run-0 --dry-run": shapes.Recovered,
    "prune --dry-run": shapes.Pruned,
    "hold run-0": shapes.Held,
    "release run-0": shapes.Held,
    "unprotected": shapes.UnprotectedServers,
    "report --to FOLDER": shapes.Reported,
    "cost": shapes.Costs,
    "doctor": shapes.Health,
    "serve": shapes.Serving,
}
# Each command makes a session of its own; what botocore reads of its services from the disk is the same for all.
_loader = cache(session.create_loader)
# So that no test depends on this machine's clock.
ZONE = timezone(timedelta(hours=1), "CET")


@dataclass(frozen=True)
class Printed:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What ``--json`` printed."""
        return json.loads(self.out)

    @property
    def width(self) -> int:
        """The length of the longest line."""
        return max(map(len, self.out.splitlines()), default=0)


def type_command(
    *arguments: str,
    width: int | None = None,
    colours: bool = False,
    sleep: Callable[[float], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    environment: Mapping[str, str] | None = None,
) -> Printed:
    """Run a command.

    Args:
        arguments: as they are typed.
        width: of the terminal; None is a pipe.
        colours: whether the terminal takes colours.
        sleep: what to do while the command waits.
        now: the clock.
        environment: variables that the person has set; those with an empty text, that they have not.
    """
    out, err = (_console(width, colours=colours) for _ in range(2))
    screen = Screen(out, err, lambda moment: moment.astimezone(ZONE))
    given = {"QUIESCE_CONFIG": os.devnull, **(environment or {})}
    with (
        patch.dict(os.environ, given),
        patch.object(session, "create_loader", _loader),
        patch.multiple(app, _screen=lambda: screen, _clock=Clock(now=now, sleep=sleep)),
    ):
        for name in (name for name, value in given.items() if not value):
            del os.environ[name]
        code = app.run(arguments)
    return Printed(code, *(console.file.getvalue() for console in (out, err)))  # type: ignore[attr-defined]


def _console(width: int | None, *, colours: bool) -> Console:
    return Console(
        file=io.StringIO(),
        width=width or PIPED_WIDTH,
        force_terminal=width is not None,
        color_system="standard" if colours else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
