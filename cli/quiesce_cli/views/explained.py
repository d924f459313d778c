"""Why a run is not better: cause, where it says so, what to do."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import Explained
from quiesce_cli.views.words import coloured, field


def lines(explained: Explained) -> Iterator[RenderableType]:
    """Show an explanation."""
    yield Text.assemble(("Run ", "bold"), (explained.run_id, "bold"))
    yield field("status", coloured(explained.status))
    yield field("consistency", Text.assemble(coloured(explained.consistency), f": {explained.reason}"))
    if not explained.causes:
        yield field("", Text("Nothing is wrong with it."))
    for number, why in enumerate(explained.causes, 1):
        yield Text("")
        yield Text(f"{number}. {why.what}", style="bold")
        yield field("said by", Text(why.source), 8)
        yield field("do", Text(why.do), 8)
        yield field("page", Text(why.page), 8)
