"""How a run ended."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import Ran
from quiesce_cli.views.words import coloured, field


def lines(ran: Ran) -> Iterator[RenderableType]:
    """Show how a run ended, or that it was started."""
    if ran.status == "Running":
        yield Text.assemble("Started. Look on: ", (f"quiesce follow {ran.run_id}", "bold"))
        return
    yield Text.assemble(coloured(ran.status), f": {ran.reason}")
    if ran.consistency:
        yield field("consistency", coloured(ran.consistency))
    yield field("run", Text(ran.run_id))
    if ran.record:
        yield field("record", Text(ran.record))
    if ran.status != "Successful":
        yield field("why", Text(f"quiesce explain {ran.run_id}"))
