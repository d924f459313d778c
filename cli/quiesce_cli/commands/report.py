"""``quiesce report``: the overview and the pages of its runs, made now, as files to look at, print or send."""

import tempfile
import webbrowser
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from quiesce.aws.pages.page_files import OVERVIEW, PageFiles
from quiesce.pages.found import beside
from quiesce.pages.overview import overview_view
from quiesce.pages.render import overview_html, run_html
from quiesce.pages.run_page import RunFound
from quiesce.policy.zones import zone_of
from quiesce_cli.answers.shapes import Reported
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws.records import find_record
from quiesce_cli.overview import found_now
from quiesce_cli.views import reported as view

Run = Annotated[str, typer.Argument(help="Only this run's page, by its id or its beginning.", metavar="[RUN]")]
Open = Annotated[bool, typer.Option("--open", help="Open it in the browser.")]
Folder = Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Where to write it (default: a new folder).")]
Zone = Annotated[str, typer.Option("--timezone", help="The zone of times beside UTC (default: the stack's).")]
# The newest runs have pages here; each is in the bucket, too.
MOST_PAGES = 500
NOTE = "Made by quiesce report. The pages in the bucket also have the logs of each run."


@command(app, "report")
def report(desk: Desk, run: Run = "", to: Folder = None, timezone: Zone = "", *, opens: Open = False) -> Answer:
    """Make the overview as a page, or a run's page."""
    folder = to or Path(tempfile.mkdtemp(prefix="quiesce-"))
    shape = _run(desk, run, folder, timezone) if run else _overview(desk, folder, timezone)
    # A machine without a screen has no browser: the path is printed in any case.
    opened = opens and webbrowser.open(Path(shape.page).resolve().as_uri())
    shape = shape.model_copy(update={"opened": opened})
    return Answer(shape, view.lines(shape), good=shape.good)


def _run(desk: Desk, run: str, folder: Path, timezone: str) -> Reported:
    bucket = desk.stack.bucket
    record = find_record(bucket, run)
    files = PageFiles(bucket.client, bucket.name).log_files(record)
    html = run_html(RunFound(record, _zone(desk, timezone), desk.clock.now(), files))
    page = _written(folder / f"{record.run_id}.html", html)
    return Reported(good=record.status in ("Successful", "Skipped"), page=page, pages=1, opened=False)


def _overview(desk: Desk, folder: Path, timezone: str) -> Reported:
    found = found_now(desk.stack, desk.clock.now(), _zone(desk, timezone))
    newest = sorted(found.records, key=lambda record: record.ended_at, reverse=True)[:MOST_PAGES]
    shown = {(record.instance_id, record.run_id) for record in newest}
    found = replace(found, link=lambda server, run: beside(server, run) if (server, run) in shown else "")
    for record in newest:
        home = f"../../{OVERVIEW}"
        html = run_html(RunFound(record, found.zone, found.now, home=home))
        _written(folder / "records" / record.instance_id / f"{record.run_id}.html", html)
    page = _written(folder / OVERVIEW, overview_html(found, note=NOTE))
    good = overview_view(found).mark.sign == "good"
    return Reported(good=good, page=page, pages=len(newest) + 1, opened=False)


def _zone(desk: Desk, timezone: str) -> ZoneInfo:
    return zone_of(timezone or desk.stack.timezone)


def _written(path: Path, html: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    return str(path)
