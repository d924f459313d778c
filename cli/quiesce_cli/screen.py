"""The terminal: colours and live lines where a person looks, plain lines in a pipe."""

import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, RenderableType
from rich.status import Status as Spinner
from rich.text import Text

# In a pipe nothing is cut or wrapped: the reader is a program.
PIPED_WIDTH = 4000
# A server's name or a script's words are text, whatever is in them.
CONTROL, SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"), "\N{REPLACEMENT CHARACTER}"


class Listened(Console):
    """A console whose reader may leave: then the rest goes nowhere, and the exit code stays the answer's."""

    def on_broken_pipe(self) -> None:
        """Say nothing more, and let what is still in the stream's buffer go nowhere when Python ends.

        As Python's documentation of SIGPIPE advises.
        """
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


@dataclass(frozen=True)
class Screen:
    """Where answers and remarks go; ``local`` puts a time on the clock of this machine."""

    out: Console
    err: Console
    local: Callable[[datetime], datetime] = lambda moment: moment.astimezone()

    @property
    def lively(self) -> bool:
        """Whether a person looks."""
        return self.out.is_terminal

    @property
    def asks(self) -> bool:
        """Whether a person can be asked."""
        return self.lively and sys.stdin.isatty()

    def show(self, lines: Iterable[RenderableType]) -> None:
        """Print the lines of a view."""
        for line in lines:
            _print(self.out, line)

    def write(self, text: str) -> None:
        """Write an answer for programs, as it is."""
        try:
            self.out.file.write(text)
            self.out.file.flush()
        except BrokenPipeError:
            self.out.on_broken_pipe()

    def remark(self, line: RenderableType) -> None:
        """Print what is no part of the answer."""
        _print(self.err, line)

    def spinner(self, text: str) -> Spinner:
        """Return a live line."""
        return self.err.status(text, spinner="dots")


def _print(console: Console, renderable: RenderableType) -> None:
    """Print without the blanks that fill lines, and without what would command a terminal."""
    rendered = Text(renderable) if isinstance(renderable, str) else renderable
    for line in console.render_lines(rendered, pad=False):
        cleaned = Text()
        for segment in line:
            if not segment.control:
                cleaned.append(CONTROL.sub(SHOWN, segment.text), segment.style)
        cleaned.rstrip()
        console.print(cleaned, no_wrap=True, overflow="ignore", crop=False)


def screen() -> Screen:
    """Return the process's own terminal."""
    return Screen(_console(stderr=False), _console(stderr=True))


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # highlight and markup off: a server's name is text, and never a command to the terminal.
    width = None if stream.isatty() else PIPED_WIDTH
    return Listened(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)
