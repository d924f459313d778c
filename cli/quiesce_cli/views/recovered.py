"""A recovery's plan before it begins, and its end."""

from collections.abc import Iterator

from rich.console import RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import Recovered
from quiesce_cli.views.words import coloured, field, indented, mark


def lines(recovered: Recovered) -> Iterator[RenderableType]:
    """Show a plan, or how the recovery ended."""
    yield from _plan(recovered) if recovered.status == "Planned" else _end(recovered)


def _plan(plan: Recovered) -> Iterator[RenderableType]:
    yield Text.assemble(("The plan", "bold"), "  (nothing was created)")
    yield field("from", Text(plan.recovery_point))
    yield field("gives", Text(plan.consistency))
    yield Text("")
    for step in plan.steps:
        yield indented(Text(step))
    if plan.notes:
        yield Text("")
    for note in plan.notes:
        yield field("note", Text(note))
    if plan.problems:
        yield Text("")
        yield Text("It can't be carried out:", style="bold red")
    for problem in plan.problems:
        yield indented(Text.assemble(mark(good=False), f" {problem}"))


def _end(recovered: Recovered) -> Iterator[RenderableType]:
    yield Text.assemble(coloured(recovered.status), f": {recovered.reason}")
    if recovered.instance_id:
        yield field("new server", Text(recovered.instance_id, style="bold"))
    yield field("from", Text(recovered.recovery_point))
    yield field("recovery", Text(recovered.recovery_id))
    for note in recovered.notes:
        yield field("note", Text(note))
    if recovered.to_do:
        yield Text("")
        yield Text("Left for you:", style="bold")
    for task in recovered.to_do:
        yield indented(Text(f"☐ {task}"))
