"""The VSS writers of each server: which took part in its newest run, and which has failed."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import ServerWriters, Writers, WriterShape
from quiesce_cli.views.words import Fitting, Local, field, here, indented, mark, utc

PARTS = {
    "whole": ("took part", "green"),
    "some": ("some components", "yellow"),
    "none": ("took no part", "dim"),
    "excluded": ("excluded", "yellow"),
}


def lines(found: Writers, local: Local) -> Iterator[RenderableType]:
    """Show the writers of each server."""
    if not found.servers:
        yield Text("No run that was looked at has asked VSS for its writers.")
        yield field("do", Text("back a server up with VSS (quiesce run POLICY SERVER), or look at more with --limit"))
    for number, server in enumerate(found.servers):
        if number:
            yield Text("")
        yield Text(f"{server.name} {server.instance_id}".strip(), style="bold")
        yield field("run", Text(server.run_id))
        yield field("ended", Text(f"{utc(server.at)} ({here(server.at, local)})"))
        yield _table(server)
    if found.more:
        yield Text("")
        yield Text(f"{found.more} older records were not looked at; --limit looks at more.", style="dim")
    if found.problems:
        yield Text("")
    for problem in found.problems:
        yield Text.assemble(mark(good=False), " ", problem)


def _table(server: ServerWriters) -> RenderableType:
    rows = [[Text(each.name), _part(each), _state(each), Text(each.writer_id, "dim")] for each in server.writers]
    blocks = [
        Group(Text(each.name), indented(Text.assemble(_part(each), ", ", _state(each))), indented(Text(each.writer_id)))
        for each in server.writers
    ]
    return Fitting(("writer", "in the backup", "state", "id"), rows, blocks)


def _part(writer: WriterShape) -> Text:
    return Text(*PARTS[writer.part])


def _state(writer: WriterShape) -> Text:
    return Text(f"{writer.state}: {writer.error}", "red") if writer.error else Text(writer.state)
