"""What recovery points and runs cost, by what records count and by public prices. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence

from quiesce.points.record import Record
from quiesce.prices import PRICES_OF, STORED_GIB_DOLLARS
from quiesce.recovery.flaws import FoundSnapshot
from quiesce_cli.answers.prices import CALLS, FREE, NOT_COUNTED
from quiesce_cli.answers.shapes import Cost, Costs


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
    """Count each volume once, in full: what later snapshots store beside that, only the bill says."""
    sizes: dict[str, dict[str, int]] = {}
    for record in records:
        for snapshot in record.snapshots:
            if snapshot.snapshot_id in found:
                name = f"{record.instance_name} {record.instance_id}".strip()
                sizes.setdefault(name, {}).setdefault(snapshot.volume_id, snapshot.size_gib)
    whole = {name: sum(volumes.values()) for name, volumes in sizes.items()}
    return [
        Cost(what=name, count=gib, unit="GiB", dollars=round(gib * STORED_GIB_DOLLARS, 2))
        for name, gib in sorted(whole.items())
    ]


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
