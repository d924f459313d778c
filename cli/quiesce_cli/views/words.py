"""Words and colours that all views share: times, verdicts, lines that fit."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

Local = Callable[[datetime], datetime]

COLOURS = {
    "Successful": "green",
    "Recovered": "green",
    "PartiallySuccessful": "yellow",
    "Failed": "red",
    "Skipped": "dim",
    "application": "green",
    "crash": "yellow",
    "none": "red",
}
# People read the state machine's words as these.
PLAIN = {"PartiallySuccessful": "Partially successful"}
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
INDENT = 2


def coloured(word: str) -> Text:
    """Return a status or a consistency in its colour, which never says more than the word."""
    return Text(PLAIN.get(word, word), style=COLOURS.get(word, ""))


def mark(*, good: bool) -> Text:
    """Return a sign in front of a line: different by form, not by colour alone."""
    return Text("✓", style="green") if good else Text("✗", style="bold red")


def utc(moment: datetime) -> str:
    """Write a time in UTC, to the minute."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def here(moment: datetime, local: Local) -> str:
    """Write a time on this machine's clock, with the day where it is another one than in UTC."""
    own = local(moment)
    day = "" if own.date() == moment.date() else f"{own:%a} "
    return f"{day}{own:%H:%M} {own:%Z}".rstrip()


def ago(moment: datetime, now: datetime) -> str:
    """Say how long ago something was, as exactly as a person wants to know."""
    passed = now - moment
    if passed < MINUTE:
        return "just now"
    if passed < HOUR:
        return f"{passed // MINUTE} min ago"
    if passed < 2 * DAY:
        return f"{passed // HOUR} h ago"
    return f"{passed // DAY} days ago"


def seconds(value: float) -> str:
    """Write a duration."""
    if value < 60:  # noqa: PLR2004 - seconds of a minute
        return f"{value:.1f} s"
    minutes = int(value // 60)
    return f"{minutes} min {int(value % 60)} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def indented(line: RenderableType, by: int = INDENT) -> Padding:
    """Move a line to the right; where it wraps, its rest stays there."""
    return Padding(line, (0, 0, 0, by), expand=False)


def field(name: str, value: RenderableType, width: int = 12) -> RenderableType:
    """Return a name and a value that wraps beside it."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=width, style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(name, value)
    return indented(grid)


class Fitting:
    """A table where it fits the terminal, and the same as short blocks where it does not; nothing is ever cut."""

    def __init__(self, headings: Sequence[str], rows: Sequence[Sequence[Text]], blocks: Sequence[Group]) -> None:
        """Take the table's headings and cells, and for each row a block for narrow terminals."""
        self._table, self._blocks = _table(headings, rows), blocks

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give the form that fits."""
        wide = Measurement.get(console, options.update(max_width=10_000), self._table).maximum
        if wide <= options.max_width:
            yield self._table
        else:
            yield from self._separated()

    def _separated(self) -> Iterator[RenderableType]:
        for number, block in enumerate(self._blocks):
            if number:
                yield Text("")
            yield block


def _table(headings: Sequence[str], rows: Sequence[Sequence[Text]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", show_edge=False)
    for heading in headings:
        right = heading.endswith(">")
        table.add_column(heading.rstrip(">"), justify="right" if right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table
