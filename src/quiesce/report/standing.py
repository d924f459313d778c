"""How a server stands in a policy, by its newest runs. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from quiesce.points.record import Record

NEVER = "it was never backed up by this policy, as far as its newest runs show"
NOBODY = "and no other node of the cluster is known that this policy has backed up since"


@dataclass(frozen=True)
class Standing:
    """How a server stands in a policy; ``problem`` is what is not good, empty if all is.

    ``since`` is when the first run ended of those in a row that were not Successful; None if all is good or there is no
    run. ``bad`` counts them: those that were skipped only where that is what is not good.
    """

    newest: Record | None
    newest_good: Record | None
    problem: str
    since: datetime | None
    bad: int


def standing(policy: str, records: Sequence[Record], all_records: Sequence[Record] = ()) -> Standing:
    """Return how a server stands in a policy; a passive node of a cluster does so by the cluster's other nodes.

    Args:
        policy: its name.
        records: the server's newest, of all its policies, in any order.
        all_records: those of the policy's other servers, and its own if they are among them, in any order.
    """
    own = sorted((r for r in records if r.policy == policy), key=lambda r: r.started_at, reverse=True)
    newest = own[0] if own else None
    good = next((record for record in own if record.status == "Successful"), None)
    skipped = newest is not None and newest.status == "Skipped"
    bad = [r for r in own if (good is None or r.started_at > good.started_at) and (r.status == "Skipped") == skipped]
    if newest is None:
        return Standing(None, good, NEVER, None, 0)
    if newest.status == "Successful" or (skipped and _is_backed_up_by_another(newest, all_records)):
        return Standing(newest, good, "", None, 0)
    problem = f"{newest.reason}; {NOBODY}" if skipped else newest.reason
    return Standing(newest, good, problem, bad[-1].ended_at, len(bad))


def _is_backed_up_by_another(skipped: Record, records: Sequence[Record]) -> bool:
    """Say whether the newest run of another node of the cluster was not skipped, however that one ended."""
    by_server: dict[str, list[Record]] = {}
    for record in records:
        if record.policy == skipped.policy and record.instance_id != skipped.instance_id:
            by_server.setdefault(record.instance_id, []).append(record)
    return any(
        max(own, key=lambda record: record.started_at).status != "Skipped" and any(map(_shares(skipped), own))
        for own in by_server.values()
    )


def _shares(one: Record) -> Callable[[Record], bool]:
    return lambda other: bool(one.cluster and other.cluster and one.cluster.shares_cluster(other.cluster))
