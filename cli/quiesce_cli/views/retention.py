"""Which recovery points would go, and what is held."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import Held, Pruned
from quiesce_cli.views.words import indented, mark


def pruned(pruned: Pruned) -> Iterator[RenderableType]:
    """Show the plans."""
    servers = f"{pruned.servers} server{'s' * (pruned.servers != 1)}"
    words = f"{pruned.would_go} recovery points would go" if pruned.would_go != 1 else "1 recovery point would go"
    yield Text.assemble((f"{words}.", "bold"), (f"  {servers}; nothing was removed", "dim"))
    for plan in pruned.plans:
        yield Text("")
        for line in plan.splitlines():
            yield indented(Text(line))
    if pruned.problems:
        yield Text("")
    for problem in pruned.problems:
        yield Text.assemble(mark(good=False), f" {problem}")


def held(held: Held) -> Iterator[RenderableType]:
    """Say what is held now, or not any more."""
    what = f"{held.run_id} of {held.instance_id}"
    count = f"{len(held.snapshots)} snapshot{'s' * (len(held.snapshots) != 1)}"
    if held.held:
        why = f": {held.why}" if held.why else ""
        yield Text(f"Held{why}. {what} ({count}) stays until: quiesce release {held.run_id}")
    else:
        yield Text(f"Released. {what} ({count}) goes when its policy's rule no longer keeps it.")
