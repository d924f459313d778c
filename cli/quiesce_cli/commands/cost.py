"""``quiesce cost``: what is stored, and what the newest runs cost."""

from typing import Annotated

import typer

from quiesce.aws.pages.records import list_records, read_records
from quiesce.aws.point_looks import find_snapshots
from quiesce.points.record import Record
from quiesce_cli.answers.costs import costs
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws.stack import client
from quiesce_cli.views import costs as view

Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many of the newest runs to look at.")]


@command(app, "cost")
def cost(desk: Desk, limit: Limit = 100) -> Answer:
    """Say what runs and stored recovery points cost."""
    bucket = desk.stack.bucket
    records = [r for r in read_records(bucket, list_records(bucket)[:limit]) if isinstance(r, Record)]
    snapshot_ids = [snapshot.snapshot_id for record in records for snapshot in record.snapshots]
    shape = costs(records, find_snapshots(client("ec2"), snapshot_ids))
    return Answer(shape, view.lines(shape))
