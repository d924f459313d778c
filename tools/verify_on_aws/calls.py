"""Every call to AWS and every command, in one place: made and kept, or, in a dry run, only printed."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

REFUSED = (ClientError, BotoCoreError)
LOOK_EVERY_S = 5.0
ACCEPTED = "accepted"


class TookTooLong(Exception):
    """AWS did not come to an end within the time that a step gives it."""


class CommandFailed(Exception):
    """A command of this machine failed; the message is the end of what it printed."""


class Whatever:
    """Stands for what AWS would answer in a dry run: any field of it, any entry, any number."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __str__(self) -> str:
        return f"<{self._name}>"

    __repr__ = __str__

    def __format__(self, _form: str) -> str:
        return str(self)

    def __getitem__(self, key: object) -> "Whatever":
        return Whatever(key if isinstance(key, str) else self._name)

    def get(self, key: str, _default: object = None) -> "Whatever":
        """Return any field."""
        return Whatever(key)

    def items(self) -> list[tuple["Whatever", "Whatever"]]:
        """Return any field with its name."""
        return [(self, self)]

    def __iter__(self) -> Iterator["Whatever"]:
        return iter([Whatever(self._name)])

    def __len__(self) -> int:
        return 1

    def __contains__(self, _key: object) -> bool:
        return True

    def __sub__(self, _other: object) -> "Whatever":
        return self

    def total_seconds(self) -> float:
        """Return the length of a time between two of AWS's times."""
        return 0.0

    def read(self) -> bytes:
        """Return the content of an object."""
        return b"{}"


@dataclass
class Calls:
    """Makes the calls; ``client`` returns boto3's client of a service, ``say`` prints a line."""

    client: Callable[[str], Any]
    say: Callable[[str], object]
    dry: bool = False
    look_every_s: float = LOOK_EVERY_S
    pause: Callable[[float], object] = time.sleep
    now_s: Callable[[], float] = time.monotonic
    made: list[tuple[str, str, str]] = field(default_factory=list)
    """Each call or command with its parameters and how it ended."""
    before_each: Callable[[], object] = lambda: None
    """Runs before each call: it stops the tool where the limit in dollars is reached."""

    def __call__(self, operation: str, **parameters: Any) -> Any:
        """Make a call.

        Args:
            operation: as ``ec2:DescribeInstances``, the service as boto3 names it.
            parameters: as boto3 takes them.
        """
        service, _, name = operation.partition(":")
        text = json.dumps(parameters, default=str)
        if self.dry:
            self._note(operation, text, "not sent")
            return Whatever(name)
        self.before_each()
        try:
            answer = getattr(self.client(service), xform_name(name))(**parameters)
        except REFUSED as error:
            self._note(operation, text, str(error))
            raise
        self._note(operation, text, "ok")
        return answer

    def code_of(self, operation: str, **parameters: Any) -> str:
        """Make a call that AWS should refuse; return its error code, or ``accepted``."""
        try:
            self(operation, **parameters)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return ACCEPTED

    def until(
        self,
        operation: str,
        ready: Callable[[Any], bool],
        *,
        limit_s: float,
        every_s: float | None = None,
        **parameters: Any,
    ) -> Any:
        """Repeat a look until its answer is ready.

        Raises:
            TookTooLong: it was not within ``limit_s``.
        """
        end_s = self.now_s() + limit_s
        while True:
            answer = self(operation, **parameters)
            if self.dry or ready(answer):
                return answer
            if self.now_s() > end_s:
                raise TookTooLong(f"{operation} was not ready within {limit_s:.0f} s: {parameters}")
            self.pause(self.look_every_s if every_s is None else every_s)

    def command(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        """Run a command of this machine.

        Raises:
            CommandFailed: it ended with another exit code than 0.
        """
        text = " ".join(arguments)
        if self.dry:
            self._note("command", text, "not run")
            return
        ended = subprocess.run(
            arguments, cwd=folder, env=dict(environment), check=False, capture_output=True, text=True
        )
        self._note("command", text, f"exit code {ended.returncode}")
        if ended.returncode:
            raise CommandFailed(f"{text}: {(ended.stdout + ended.stderr)[-3000:]}")

    def _note(self, operation: str, parameters: str, outcome: str) -> None:
        self.made.append((operation, parameters, outcome))
        if self.dry:
            self.say(f"  {operation} {parameters}")
