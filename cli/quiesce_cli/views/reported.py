"""Where a page was written, and how to open it."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import Reported
from quiesce_cli.views.words import mark


def lines(reported: Reported) -> Iterator[RenderableType]:
    """Show where a page is."""
    words = "Everything on it is good." if reported.good else "Not everything on it is good."
    yield Text.assemble(mark(good=reported.good), " ", words)
    yield Text(reported.page, overflow="fold")
    if not reported.opened:
        yield Text("Open it in a browser; it loads nothing, and needs no network.", style="dim")
