"""How a server stands in a policy, as ``quiesce status`` answers. Pure."""

from collections.abc import Sequence

from quiesce.points.record import Record
from quiesce.report import standing as report
from quiesce_cli.answers.points import brief
from quiesce_cli.answers.shapes import ServerStatus


def standing(instance_id: str, policy: str, records: Sequence[Record]) -> ServerStatus:
    """Return how a server stands in a policy.

    Args:
        instance_id: the server.
        policy: its name.
        records: the server's newest, of all its policies, in any order.
    """
    found = report.standing(policy, records)
    return ServerStatus(
        instance_id=instance_id,
        name=next((r.instance_name for r in sorted(records, key=lambda r: r.started_at, reverse=True)), ""),
        policy=policy,
        good=bool(found.newest) and not found.problem,
        newest=brief(found.newest) if found.newest else None,
        newest_good=brief(found.newest_good) if found.newest_good else None,
        problem=found.problem,
    )
