"""Recovery points as a table, or as blocks where the terminal is narrow."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from quiesce.points.restoring import hours_of
from quiesce_cli.answers.shapes import Points, PointShape
from quiesce_cli.views.words import Fitting, Local, coloured, here, indented, mark, utc

HEADINGS = ("", "time", "here", "server", "policy", "consistency", "status", "root", "there", "built", "GiB>", "run")
STAR = "★"


def lines(points: Points, local: Local) -> Iterator[RenderableType]:
    """Show a page of recovery points."""
    if not points.points:
        yield Text("No run has left a recovery point here." if not points.left_out else "None on this page.")
    else:
        rows = [_row(point, local) for point in points.points]
        yield Fitting(HEADINGS, rows, [_block(point, local) for point in points.points])
    yield from _below(points)


def _below(points: Points) -> Iterator[RenderableType]:
    recommended = [point for point in points.points if point.recommended]
    flawed = [point for point in points.points if point.flaw and not point.recommended and point.snapshots]
    if recommended or flawed or points.more or points.left_out or points.problems:
        yield Text("")
    for point in recommended:
        yield Text(f"{STAR} {point.name or point.instance_id}: {point.recover}")
    for point in flawed:
        yield Text.assemble(mark(good=False), f" {point.run_id}: {point.flaw}")
    for point in (each for each in points.points if each.there and each.archived):
        yield Text(f"{point.run_id} is archived: a recovery has EBS restore it first, {_hours(point)}.")
    for problem in points.problems:
        yield Text.assemble(mark(good=False), f" {problem}")
    if points.left_out:
        yield Text(f"{points.left_out} of these runs left no recovery point: --all shows them.", style="dim")
    if points.more:
        yield Text(
            f"{points.more:,} older records are not shown: --limit shows more, --server those of one.", style="dim"
        )


def _row(point: PointShape, local: Local) -> list[Text]:
    star = STAR if point.recommended else ""
    return [
        Text(star, style="bold"),
        Text(utc(point.at)),
        Text(here(point.at, local), style="dim"),
        Text(point.name or point.instance_id),
        Text(point.policy),
        coloured(point.consistency),
        coloured(point.status),
        _yes(point.root),
        Text("archived", style="yellow") if point.there and point.archived else _yes(point.there),
        Text("yes" if point.built else "", style="green"),
        Text(str(point.size_gib)),
        Text(point.run_id),
    ]


def _block(point: PointShape, local: Local) -> Group:
    head = Text.assemble((f"{STAR} " if point.recommended else "", "bold"), (utc(point.at), "bold"))
    head.append(f" ({here(point.at, local)})", style="dim")
    about = Text.assemble(coloured(point.consistency), ", ", coloured(point.status))
    words = [] if point.root or not point.snapshots else ["without the root volume"]
    words += [] if point.there else [f"no server can be recovered from it: {point.flaw}"]
    words += ["built"] if point.built else []
    words += [f"archived: {_hours(point)}"] if point.there and point.archived else []
    more = f"{point.name} {point.instance_id}, {point.policy}, {point.size_gib} GiB".strip()
    return Group(
        head,
        indented(about),
        *([indented(Text(", ".join(words), style="yellow"))] if words else []),
        indented(Text(more)),
        indented(Text(point.run_id)),
    )


def _hours(point: PointShape) -> str:
    return f"which takes up to {hours_of(point.archived)} h"


def _yes(value: bool) -> Text:  # noqa: FBT001
    return Text("yes", style="green") if value else Text("no", style="bold red")


def choices(points: list[PointShape], local: Local) -> Iterator[RenderableType]:
    """Show numbered points to choose from."""
    for number, point in enumerate(points, 1):
        star = STAR if point.recommended else " "
        head = Text.assemble((f"{number:>3} {star} ", "bold"), utc(point.at), (f" ({here(point.at, local)})", "dim"))
        yield head
        about = Text.assemble(f"{point.name or point.instance_id}, {point.policy}, ", coloured(point.consistency))
        yield indented(about, 6)
