"""How a server stands in a policy, as ``quiesce status`` answers. Pure."""

from collections.abc import Sequence

from quiesce.points.record import Record
from quiesce.report import standing as report
from quiesce.report.explaining import causes_of
from quiesce_cli.answers.points import brief
from quiesce_cli.answers.shapes import ServerStatus


def standing(
    instance_id: str, policy: str, records: Sequence[Record], name: str = "", all_records: Sequence[Record] = ()
) -> ServerStatus:
    """Return how a server stands in a policy.

    Args:
        instance_id: the server.
        policy: its name.
        records: the server's newest, of all its policies, in any order.
        name: as EC2 has it now; without one, that of the newest run is taken.
        all_records: the newest of the policy's other servers, too: a passive node of a cluster stands by them.
    """
    found = report.standing(policy, records, all_records)
    newest = max(records, key=lambda record: record.started_at, default=None)
    causes = causes_of(found.newest) if found.newest and found.problem else []
    return ServerStatus(
        instance_id=instance_id,
        name=name or (newest.instance_name if newest else ""),
        policy=policy,
        good=bool(found.newest) and not found.problem,
        newest=brief(found.newest) if found.newest else None,
        newest_good=brief(found.newest_good) if found.newest_good else None,
        problem=found.problem,
        since=found.since if found.problem else None,
        do=causes[0].do if causes else "",
    )
