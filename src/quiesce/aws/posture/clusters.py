"""What servers last said of their clusters, in the table: the alarm of a policy counts a cluster, not its nodes.

``pk`` is ``clusters``, ``sk`` is ``<policy>#<instance id>``.
"""

from typing import TYPE_CHECKING

from pydantic import ValidationError

from quiesce.aws.items import Items, Values, Write
from quiesce.points.record import Record
from quiesce.posture.cluster import NodeSeen

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PK = "clusters"


class Clusters:
    """The clusters' nodes in the stack's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def keep(self, record: Record) -> None:
        """Keep what a run's server said of its cluster, if it knew; what a later run heard stays."""
        if found := _item(record):
            self._items.put(*found)

    @staticmethod
    def writes(record: Record) -> list[Write]:
        """Return the same as a write beside others, which are not made if a later run has been heard."""
        found = _item(record)
        return [Write.put(*found)] if found else []

    def nodes(self) -> dict[tuple[str, str], NodeSeen]:
        """Return all of them, by policy and server; what can't be read is left out, and covers no other node."""
        found = [seen for text in self._items.query(PK, "", "node") if (seen := _read(text))]
        return {(seen.policy, seen.instance_id): seen for seen in found}


def _item(record: Record) -> tuple[str, str, Values, str, Values] | None:
    if record.cluster is None or not record.cluster.cluster:
        return None
    seen = NodeSeen(policy=record.policy, instance_id=record.instance_id, node=record.cluster, at=record.started_at)
    at = record.started_at.isoformat()
    item: Values = {"at": at, "node": seen.model_dump_json()}
    return PK, f"{record.policy}#{record.instance_id}", item, "attribute_not_exists(pk) OR #at <= :at", {":at": at}


def _read(text: str) -> NodeSeen | None:
    try:
        return NodeSeen.model_validate_json(text)
    except ValidationError:
        return None
