"""What it costs."""

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from quiesce_cli.answers.shapes import Cost, Costs
from quiesce_cli.views.words import indented


def lines(costs: Costs) -> Iterator[RenderableType]:
    """Show the sums, and what is not in them."""
    yield Text("In store, for a month: each volume once, in full", style="bold")
    yield _rows(costs.stored, costs.stored_dollars, 2)
    yield Text("")
    yield Text(f"Calls of the newest {costs.runs_counted} run{'s' * (costs.runs_counted != 1)}", style="bold")
    yield _rows(costs.runs, costs.runs_dollars, 6)
    yield Text("")
    yield Text(f"By public prices of {costs.prices_of}. Not in these sums:", style="dim")
    for words in costs.not_counted:
        yield indented(Text(f"- {words}", style="dim"))


def _rows(costs: Sequence[Cost], total: float, digits: int) -> RenderableType:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(overflow="fold")
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    for cost in costs:
        unit = cost.unit if cost.count != 1 else cost.unit.removesuffix("s")
        grid.add_row(Text(cost.what), Text(f"{cost.count:,.0f} {unit}"), Text(f"${cost.dollars:,.{digits}f}"))
    grid.add_row(Text("together", style="bold"), "", Text(f"${total:,.{digits}f}", style="bold"))
    return indented(grid)
