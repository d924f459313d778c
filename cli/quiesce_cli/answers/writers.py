"""The writers of each server, as its newest run that asked VSS has them in its record. Pure."""

from collections.abc import Iterable

from quiesce.points.record import Record
from quiesce_cli.answers.shapes import ServerWriters, WriterShape


def writers_by_server(records: Iterable[Record]) -> list[ServerWriters]:
    """Return each server's writers, of the newest of these records that lists any, the newest server first."""
    found: dict[str, ServerWriters] = {}
    for record in sorted(records, key=lambda record: record.ended_at, reverse=True):
        if record.instance_id not in found and record.shadow and record.shadow.listed:
            found[record.instance_id] = ServerWriters(
                instance_id=record.instance_id,
                name=record.instance_name,
                run_id=record.run_id,
                at=record.ended_at,
                writers=[WriterShape(**each.model_dump()) for each in record.shadow.listed],
            )
    return list(found.values())
