"""``quiesce serve``: the overview in a browser on this machine, made anew at each look."""

import secrets
from typing import Annotated

import typer

from quiesce_cli.answers.shapes import Serving
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.commands.run import start
from quiesce_cli.console.pages import START, Pages, Sources, run_path
from quiesce_cli.console.server import Console
from quiesce_cli.overview import Overview, Remembered
from quiesce_cli.troubles import Usage
from quiesce_cli.views import serving as view

Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Of this machine; a free one is taken if none is named.")
]
AllowStart = Annotated[bool, typer.Option("--allow-start", help="Backups can be started there, too.")]
TOKEN_BYTES = 24


@command(app, "serve")
def serve(desk: Desk, port: Port = 0, *, allow_start: AllowStart = False) -> Answer:
    """Show the overview in a browser on this machine, live."""
    stack = desk.stack
    overview = Overview(
        stack, desk.clock, link=run_path, start=START if allow_start else "", remembered=Remembered(desk.clock)
    )
    sources = Sources(
        overview=overview.html,
        run=lambda instance_id, run_id: overview.run_html(instance_id, run_id, home="../../"),
        policies=overview.policies,
        start=(lambda policy: start(stack, policy, "", desk.clock.now()).name) if allow_start else None,
        token=lambda: secrets.token_urlsafe(TOKEN_BYTES),
    )
    try:
        console = Console(Pages(sources).answer, token=sources.token(), port=port, takes_forms=allow_start)
    except OSError as error:
        raise Usage(f"port {port} can't be used: {error.strerror}", "name another one, or leave --port out") from error
    shape = Serving(stack=stack.name, region=stack.region, url=console.url, starts=allow_start)
    return Answer(shape, view.lines(shape), then=lambda: until_stopped(console))


def until_stopped(console: Console) -> None:
    """Answer until Ctrl-C, which is how it ends."""
    try:
        console.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        console.server_close()
