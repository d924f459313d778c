"""What recovery points and runs cost, by what records count and by public prices. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from quiesce.points.record import Record, SnapshotRecord
from quiesce.prices import ARCHIVED_GIB_DOLLARS, PRICES_OF, STORED_GIB_DOLLARS
from quiesce.recovery.flaws import FoundSnapshot
from quiesce_cli.answers.prices import CALLS, FREE, NOT_COUNTED
from quiesce_cli.answers.shapes import Cost, Costs

GIB = 2**30


def costs(records: Sequence[Record], found: Mapping[str, FoundSnapshot]) -> Costs:
    """Return what these runs left in store for a month, and what their calls cost.

    Args:
        records: of the newest runs.
        found: the snapshots that EC2 still has of them, by id.
    """
    stored = _stored(records, found)
    calls = _calls(records)
    return Costs(
        prices_of=PRICES_OF,
        stored=stored,
        runs=calls,
        runs_counted=len(records),
        stored_dollars=round(sum(cost.dollars for cost in stored), 2),
        runs_dollars=round(sum(cost.dollars for cost in calls), 6),
        not_counted=list(NOT_COUNTED),
    )


def _stored(records: Sequence[Record], found: Mapping[str, FoundSnapshot]) -> list[Cost]:
    """Count each volume once, in full: what later snapshots store beside that, only the bill says.

    The archive has each snapshot in full.
    """
    sizes: dict[str, dict[str, int]] = {}
    for record in records:
        for snapshot in record.snapshots:
            if snapshot.snapshot_id in found and not found[snapshot.snapshot_id].was_archived:
                name = f"{record.instance_name} {record.instance_id}".strip()
                sizes.setdefault(name, {}).setdefault(snapshot.volume_id, snapshot.size_gib)
    whole = {name: sum(volumes.values()) for name, volumes in sizes.items()}
    costs = [
        Cost(what=name, count=gib, unit="GiB", dollars=round(gib * STORED_GIB_DOLLARS, 2))
        for name, gib in sorted(whole.items())
    ]
    gib = sum(_archived_gib(snapshot, found) for record in records for snapshot in record.snapshots)
    dollars = round(gib * ARCHIVED_GIB_DOLLARS, 2)
    return [*costs, *([Cost(what="in the archive", count=round(gib, 1), unit="GiB", dollars=dollars)] if gib else [])]


def _archived_gib(snapshot: SnapshotRecord, found: Mapping[str, FoundSnapshot]) -> float:
    one = found.get(snapshot.snapshot_id)
    if one is None or not one.was_archived:
        return 0.0
    return one.full_bytes / GIB or snapshot.size_gib


def _calls(records: Sequence[Record]) -> list[Cost]:
    counts: Counter[str] = Counter()
    for record in records:
        counts.update(record.calls)
    priced = {call: count for call, count in counts.items() if call in CALLS}
    free = sum(count for call, count in counts.items() if call.startswith(FREE))
    costs = [
        Cost(what=call, count=count, unit="calls", dollars=round(count * CALLS[call], 6))
        for call, count in sorted(priced.items())
    ]
    return [*costs, *([Cost(what="calls of EC2 and SSM", count=free, unit="calls", dollars=0.0)] if free else [])]
