"""The morning look: is everything good, what is not, since when, what to do."""

from collections.abc import Iterator
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from quiesce_cli.answers.shapes import ServerStatus, Status
from quiesce_cli.views.words import Local, ago, coloured, field, here, indented, mark, utc


def lines(status: Status, local: Local) -> Iterator[RenderableType]:
    """Show a stack's status."""
    yield _headline(status)
    for server in status.servers:
        yield Text("")
        yield from _server(server, status.checked_at, local)
    if status.alarms:
        yield Text("")
    for alarm in status.alarms:
        yield Text.assemble(mark(good=False), " alarm ", (alarm.name, "bold"), f" since {utc(alarm.since)}")
        yield indented(Text(alarm.about))
    if status.problems:
        yield Text("")
    for problem in status.problems:
        yield Text.assemble(mark(good=False), " ", problem)
    if status.running:
        yield Text("")
    for run in status.running:
        yield Text.assemble("… ", f"a {run.kind} runs since {utc(run.started_at)}: quiesce follow {run.name}")


def _headline(status: Status) -> Text:
    where = (f"  {status.stack} in {status.region}", "dim")
    if not status.servers and status.good:
        return Text.assemble(("No policy names a server yet.", "bold"), " Begin with: quiesce policy put FILE", where)
    servers = {server.instance_id for server in status.servers}
    bad = len({server.instance_id for server in status.servers if not server.good})
    if status.good:
        return Text.assemble(("Everything is good.", "bold green"), where)
    parts = [f"{bad} of {len(servers)} server{'s' * (len(servers) != 1)}"] if bad else []
    parts += [f"{len(status.alarms)} alarm{'s' * (len(status.alarms) > 1)}"] if status.alarms else []
    parts += ["what can't be read"] if status.problems else []
    return Text.assemble(("Not everything is good: ", "bold red"), (", ".join(parts), "bold"), where)


def _server(server: ServerStatus, now: datetime, local: Local) -> Iterator[RenderableType]:
    name = f"{server.name} {server.instance_id}".strip()
    yield Text.assemble(mark(good=server.good), " ", (name, "bold"), "  ", (server.policy, "dim"))
    if server.problem:
        yield field("problem", Text(server.problem))
    if server.newest and not server.good:
        run = server.newest
        yield field("newest", Text.assemble(coloured(run.status), f", {ago(run.at, now)}, {utc(run.at)}"))
        if server.since and server.since.date() != run.at.date():
            yield field("not good", Text(f"since {utc(server.since)}, {ago(server.since, now)}"))
        if server.do:
            yield field("do", Text(server.do))
        yield field("look", Text(f"quiesce explain {run.run_id}"))
    elif not server.good:
        yield field("do", Text(f"quiesce run {server.policy} {server.instance_id}"))
    good = server.newest_good
    if good is None:
        yield field("last good", Text("none among the newest runs" if server.newest else "never", style="yellow"))
        return
    at = f"{ago(good.at, now)}, {utc(good.at)} ({here(good.at, local)}), "
    yield field("last good", Text.assemble(at, coloured(good.consistency)))
