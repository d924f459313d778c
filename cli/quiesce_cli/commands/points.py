"""``quiesce points``, ``show``, ``explain`` and ``writers``: what runs have left, and why it is not better."""

from typing import Annotated

import typer

from quiesce.aws.pages.records import Unread, list_records, read_records
from quiesce.aws.point_looks import find_snapshots
from quiesce.points.record import Record
from quiesce_cli.answers import explaining
from quiesce_cli.answers.points import shapes, time_of
from quiesce_cli.answers.shapes import Points, Writers
from quiesce_cli.answers.writers import writers_by_server
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws.records import find_record
from quiesce_cli.aws.stack import Stack, client
from quiesce_cli.views import explained as explained_view
from quiesce_cli.views import points as points_view
from quiesce_cli.views import record as record_view
from quiesce_cli.views import writers as writers_view

Server = Annotated[str, typer.Option("--server", help="Only those of this server (i-...).")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=500, help="How many of the newest records to look at.")]
All = Annotated[bool, typer.Option("--all", help="Also runs that left no recovery point.")]
# Nothing is wrong with a run of these.
GOOD = ("Successful", "Skipped")
Run = Annotated[str, typer.Argument(help="The run's id, or its beginning.", metavar="RUN")]


@command(app, "points")
def points(desk: Desk, server: Server = "", limit: Limit = 20, *, all_runs: All = False) -> Answer:
    """List recovery points, and which to recover from."""
    shape = page(desk.stack, server, limit, all_runs=all_runs)
    return Answer(shape, points_view.lines(shape, desk.screen.local), good=not shape.problems)


def page(stack: Stack, server: str, limit: int, *, all_runs: bool) -> Points:
    """Return the newest recovery points, of one server or of all."""
    kept = list_records(stack.bucket, server)
    read = read_records(stack.bucket, kept[:limit])
    # S3 tells when a record was written, to the second; the point in time is in it.
    records = sorted((r for r in read if isinstance(r, Record)), key=time_of, reverse=True)
    shown = [record for record in records if all_runs or record.snapshots]
    snapshot_ids = [snapshot.snapshot_id for record in shown for snapshot in record.snapshots]
    return Points(
        points=shapes(shown, find_snapshots(client("ec2"), snapshot_ids)),
        more=max(0, len(kept) - limit),
        left_out=len(records) - len(shown),
        problems=[f"{stack.bucket.place(r.kept.key)}: {r.why}" for r in read if isinstance(r, Unread)],
    )


@command(app, "show")
def show(desk: Desk, run: Run) -> Answer:
    """Show a run; with --json its whole record."""
    record = find_record(desk.stack.bucket, run)
    return Answer(record, record_view.lines(record, desk.screen.local), good=record.status in GOOD)


@command(app, "explain")
def explain(desk: Desk, run: Run) -> Answer:
    """Say why a run is not better, and what to do."""
    shape = explaining.explain(find_record(desk.stack.bucket, run))
    return Answer(shape, explained_view.lines(shape), good=shape.good)


@command(app, "writers")
def writers(desk: Desk, server: Server = "", limit: Limit = 100) -> Answer:
    """List each server's VSS writers, as of its newest run."""
    bucket = desk.stack.bucket
    kept = list_records(bucket, server)
    read = read_records(bucket, kept[:limit])
    shape = Writers(
        servers=writers_by_server(record for record in read if isinstance(record, Record)),
        more=max(0, len(kept) - limit),
        problems=[f"{bucket.place(each.kept.key)}: {each.why}" for each in read if isinstance(each, Unread)],
    )
    return Answer(shape, writers_view.lines(shape, desk.screen.local), good=not shape.problems)
