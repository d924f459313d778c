"""What doctor found."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from quiesce_cli.answers.shapes import Health
from quiesce_cli.views.words import mark


def lines(health: Health, *, fixing: bool = False) -> Iterator[RenderableType]:
    """Show the checks, and what to do where one is not good.

    Args:
        health: the checks.
        fixing: whether a person has asked to mend what can be mended.
    """
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, width=9)
    grid.add_column(overflow="fold")
    for check in health.checks:
        grid.add_row(mark(good=check.good), Text(check.name, style="bold"), Text(check.words))
        if check.fixed:
            grid.add_row("", "", Text(f"✓ done: {check.fix}", style="green"))
        elif check.fix:
            grid.add_row("", "", Text(f"→ quiesce doctor --fix: {check.fix}", style="yellow"))
        if check.remedy:
            grid.add_row("", "", Text(f"→ {check.remedy}", style="yellow"))
    yield grid
    if fixing and not any(check.fix for check in health.checks if not check.good) and not health.good:
        yield Text("")
        yield Text("Nothing of this can be mended from here.")
    bad = sum(not check.good for check in health.checks)
    yield Text("")
    if health.good:
        yield Text("All is as it should be.", style="bold green")
    else:
        yield Text(f"Not good: {bad} of {len(health.checks)} checks.", style="bold red")
