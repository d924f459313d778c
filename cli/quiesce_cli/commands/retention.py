"""``quiesce prune``, ``hold`` and ``release``: which recovery points go, and which must not."""

import re
from typing import Annotated

import typer

from quiesce.points.record import Record
from quiesce_cli.answers.naming import name_of_start
from quiesce_cli.answers.shapes import Held, Pruned
from quiesce_cli.app import Answer, Desk, app, command
from quiesce_cli.aws import executions, holds
from quiesce_cli.aws.records import find_record
from quiesce_cli.troubles import NotGood, Usage
from quiesce_cli.views import retention as view

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would go; nothing is removed.")]
Server = Annotated[str, typer.Option("--server", help="Only of this server (i-...), with each point's reason.")]
Run = Annotated[str, typer.Argument(help="The run's id, or its beginning.", metavar="RUN")]
Why = Annotated[str, typer.Option("--why", help="For whom or what, in a few words.")]
# EC2 User Guide, tag restrictions.
MAX_VALUE, VALUE = 256, re.compile(r"[\w\s+\-=._:/@]*")


@command(app, "prune")
def prune(desk: Desk, server: Server = "", *, dry_run: DryRun = False) -> Answer:
    """Show which recovery points would go, and why."""
    if not dry_run:
        raise Usage("recovery points are removed by the stack, once a day", "add --dry-run to see which would go")
    name = name_of_start("prune", desk.clock.now())
    request = {"mode": "dry-run"} | ({"instance_id": server} if server else {})
    arn = executions.start(desk.stack.output("RetentionMachineArn"), request, name)
    list(executions.follow(arn, desk.clock.sleep))
    end = executions.ended(arn)
    if end.status != "SUCCEEDED":
        problem, _, remedy = f"{end.cause or end.status}".partition(" Remedy: ")
        raise NotGood(f"there is no plan: {problem.rstrip('.')}", remedy.rstrip(".") or f"look at the execution {arn}")
    told = {name: end.output[name] for name in ("servers", "would_go", "plans", "problems")}
    shape = Pruned(**told, execution=arn)
    return Answer(shape, view.pruned(shape), good=not shape.problems)


@command(app, "hold")
def hold(desk: Desk, run: Run, why: Why = "") -> Answer:
    """Keep a recovery point until it is released."""
    if not VALUE.fullmatch(why) or len(why) > MAX_VALUE:
        raise Usage(
            "--why has characters that EC2's tags do not take", "write letters, digits, blanks and + - = . _ : / @"
        )
    record = find_record(desk.stack.bucket, run)
    return _held(record, holds.hold(_snapshots(record), why), why, held=True)


@command(app, "release")
def release(desk: Desk, run: Run) -> Answer:
    """Take the hold off a recovery point."""
    record = find_record(desk.stack.bucket, run)
    return _held(record, holds.release(_snapshots(record)), "", held=False)


def _snapshots(record: Record) -> list[str]:
    return [*(each.snapshot_id for each in record.snapshots), *(each.snapshot_id for each in record.built)]


def _held(record: Record, snapshots: list[str], why: str, *, held: bool) -> Answer:
    if not snapshots:
        raise NotGood(f"{record.run_id} has no snapshot any more", "quiesce points shows what there is")
    shape = Held(run_id=record.run_id, instance_id=record.instance_id, held=held, why=why, snapshots=snapshots)
    return Answer(shape, view.held(shape))
