"""How a server stands in a policy, by its newest runs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from quiesce.points.record import Record

NEVER = "it was never backed up by this policy, as far as its newest runs show"


@dataclass(frozen=True)
class Standing:
    """How a server stands in a policy; ``problem`` is what is not good, empty if all is.

    ``since`` is when the first run ended of those in a row that were not Successful; None if all is good or there is no
    run. ``bad`` counts them.
    """

    newest: Record | None
    newest_good: Record | None
    problem: str
    since: datetime | None
    bad: int


def standing(policy: str, records: Sequence[Record]) -> Standing:
    """Return how a server stands in a policy.

    Args:
        policy: its name.
        records: the server's newest, of all its policies, in any order.
    """
    own = sorted((r for r in records if r.policy == policy), key=lambda r: r.started_at, reverse=True)
    newest = own[0] if own else None
    good = next((record for record in own if record.status == "Successful"), None)
    bad = [record for record in own if good is None or record.started_at > good.started_at]
    problem = NEVER
    if newest:
        problem = "" if newest.status == "Successful" else newest.reason
    return Standing(newest, good, problem, bad[-1].ended_at if bad else None, len(bad))
