"""Where the console is to be opened."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import Serving


def lines(serving: Serving) -> Iterator[RenderableType]:
    """Show the address, and what can be done there."""
    yield Text.assemble(("The overview, live", "bold"), (f"  {serving.stack} in {serving.region}", "dim"))
    yield Text(serving.url)
    does = "It can start backups." if serving.starts else "It only looks; --allow-start lets it start backups."
    yield Text(f"{does} Whoever has the address can open it on this machine, until Ctrl-C.", style="dim")
