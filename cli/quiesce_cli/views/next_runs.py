"""When policies start next."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import NextRun, NextRuns
from quiesce_cli.views.words import Fitting, Local, here, indented, mark, utc


def lines(runs: NextRuns, local: Local) -> Iterator[RenderableType]:
    """Show the next starts, each on three clocks: the schedule's, UTC, and this machine's."""
    for remark in runs.remarks:
        yield Text.assemble(mark(good=False), f" {remark}")
    if not runs.runs:
        yield Text("No schedule starts a policy.")
        return
    rows = [_cells(run, local) for run in runs.runs]
    blocks = [Group(row[0], *(indented(cell) for cell in row[1:] if cell.plain)) for row in rows]
    yield Fitting(("on its clock", "UTC", "here", "policy", "schedule", ""), rows, blocks)


def _cells(run: NextRun, local: Local) -> list[Text]:
    style = "dim" if run.left_out else ""
    moved = "later, because clocks are put forward over its time" if run.moved else ""
    words = f"nothing is backed up: {run.left_out}" if run.left_out else moved
    return [
        Text(run.clock, style=style or "bold"),
        Text(utc(run.at), style=style),
        Text(here(run.at, local), style="dim"),
        Text(run.policy, style=style),
        Text(run.schedule, style="dim"),
        Text(words, style="yellow"),
    ]
