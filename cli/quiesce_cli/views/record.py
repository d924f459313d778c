"""One run: its verdict, what was frozen and how long, and what it left."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from quiesce.points.record import Record
from quiesce_cli.views.words import Fitting, Local, coloured, field, here, indented, seconds, utc


def lines(record: Record, local: Local) -> Iterator[RenderableType]:
    """Show a run's record."""
    server = f"{record.instance_name} {record.instance_id}".strip()
    yield Text.assemble(("Run ", "bold"), (record.run_id, "bold"))
    yield field("server", Text(server))
    yield field("policy", Text(record.policy))
    yield field("status", Text.assemble(coloured(record.status), f": {record.reason}"))
    yield field("consistency", Text.assemble(coloured(record.consistency.level), f": {record.consistency.reason}"))
    took = seconds((record.ended_at - record.started_at).total_seconds())
    yield field("started", Text(f"{utc(record.started_at)} ({here(record.started_at, local)}), took {took}"))
    if record.started_by:
        yield field("by", Text(record.started_by))
    yield from _freeze(record)
    if record.evidence and record.evidence.verdict:
        yield field("evidence", Text(f"{record.evidence.verdict}: {record.evidence.reason}"))
    for attempt in record.attempts:
        yield field(f"attempt {attempt.attempt}", Text(attempt.reason))
    for note in record.notes:
        yield field("note", Text(note))
    if record.logs:
        yield field("files", Text(record.logs.problem or record.logs.place))
    yield field("record", Text(record.record))
    if record.snapshots:
        yield Text("")
        yield _snapshots(record)
    if record.status != "Successful":
        yield Text("")
        yield Text(f"Why, and what to do: quiesce explain {record.run_id}")


def _freeze(record: Record) -> Iterator[RenderableType]:
    window = record.freeze_window
    if window is None or window.total_ms is None:
        return
    yield field("frozen", Text(f"{window.total_ms / 1000:.1f} s, by the server's clock"))


def _snapshots(record: Record) -> RenderableType:
    headings = ("volume", "device", "drives", "GiB>", "snapshot", "state")
    rows, blocks = [], []
    for snapshot in record.snapshots:
        drives = ", ".join(snapshot.volume.drives) if snapshot.volume else ""
        cells = [
            snapshot.volume_id,
            snapshot.device,
            drives,
            str(snapshot.size_gib),
            snapshot.snapshot_id,
            snapshot.state,
        ]
        rows.append([Text(cell) for cell in cells])
        about = f"{f'{snapshot.device} {drives}'.rstrip()}, {snapshot.size_gib} GiB, {snapshot.state}"
        blocks.append(Group(Text(snapshot.snapshot_id, style="bold"), indented(Text(about)), indented(Text(cells[0]))))
    return Fitting(headings, rows, blocks)
