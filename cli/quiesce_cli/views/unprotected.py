"""The servers that no policy covers, and those that a policy has lost."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import UnprotectedServers
from quiesce_cli.views.words import ago, field, mark, utc


def lines(found: UnprotectedServers, now: datetime) -> Iterator[RenderableType]:
    """Show the servers that nothing backs up, and why."""
    yield _headline(found, now)
    for server in found.servers:
        yield Text("")
        yield Text.assemble(mark(good=False), " ", (f"{server.name} {server.instance_id}".strip(), "bold"))
        yield field("why", Text(server.reason))
        if server.state != "running":
            yield field("state", Text(server.state))
        if server.newest_at:
            yield field("newest", Text(f"{ago(server.newest_at, now)}, {utc(server.newest_at)}"))
    if found.left:
        yield Text("")
        yield Text("Recovery points that no run adds to any more; nothing of them is removed:", style="bold")
    for left in found.left:
        yield Text("")
        yield Text.assemble(f"{left.name} {left.instance_id}".strip(), "  ", (left.policy, "dim"))
        yield field("why", Text(left.reason))
        yield field("points", Text(f"{left.points}, the newest {ago(left.newest_at, now)}, {utc(left.newest_at)}"))
    if found.problems:
        yield Text("")
    for problem in found.problems:
        yield Text.assemble(mark(good=False), " ", problem)


def _headline(found: UnprotectedServers, now: datetime) -> Text:
    looked = (f"  as of {ago(found.looked_at, now)}, {utc(found.looked_at)}", "dim")
    if found.good:
        return Text.assemble((f"All {found.windows_servers} Windows servers are covered.", "bold green"), looked)
    if not found.servers:
        return Text.assemble(("Not everything is known.", "bold red"), looked)
    counted = f"{len(found.servers)} of {found.windows_servers} Windows servers"
    return Text.assemble(("Not protected: ", "bold red"), (counted, "bold"), looked)
