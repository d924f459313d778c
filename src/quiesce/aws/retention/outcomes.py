"""How the last retention of each server ended, what one planned, and who is at work on a server.

``pk`` is ``outcomes``, ``given-up`` or ``planned`` with the instance id as ``sk``, or the instance id with ``pruning``.
The next execution writes over them: the table does not grow.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from quiesce.aws.items import Items, Values
from quiesce.errors import PruningBusy
from quiesce.retention.state import Finished, ServerPlan

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Outcomes:
    """The outcomes in the stack's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def take_server(self, instance_id: str, execution: str, now: datetime, until: datetime) -> None:
        """Let no other execution remove recovery points of a server; taking it again is success.

        Raises:
            PruningBusy: another execution has it; not retried.
        """
        condition = "attribute_not_exists(pk) OR execution = :execution OR expires_at <= :now"
        values: Values = {":execution": execution, ":now": now}
        item: Values = {"execution": execution, "expires_at": until}
        if not self._items.put(instance_id, "pruning", item, condition, values):
            holder = self._items.read(instance_id, "pruning").get("execution", "an execution that has just ended")
            raise PruningBusy(f"{holder} is removing recovery points of {instance_id}; the next run looks again")

    def free_server(self, instance_id: str, execution: str) -> None:
        """Let others remove recovery points of a server again."""
        self._items.delete(instance_id, "pruning", "execution = :execution", {":execution": execution})

    def keep(self, finished: Finished) -> None:
        """Keep what became of a server."""
        self._items.put("outcomes", finished.instance_id, {"outcome": finished.model_dump_json()})

    def keep_given_up(self, finished: Finished) -> None:
        """Keep why an execution did not finish a server, beside what it or another one had kept of it."""
        self._items.put("given-up", finished.instance_id, {"outcome": finished.model_dump_json()})

    def keep_planned(self, plan: ServerPlan) -> None:
        """Keep what a dry run planned for a server."""
        self._items.put("planned", plan.instance_id, {"plan": plan.model_dump_json()})

    def all(self) -> list[Finished]:
        """Return how retention last ended of each server, and where it was last given up."""
        texts = [text for pk in ("outcomes", "given-up") for text in self._items.query(pk, "", "outcome")]
        return [Finished.model_validate_json(text) for text in texts]

    def planned(self, execution: str) -> list[ServerPlan]:
        """Return what a dry run planned."""
        found = [ServerPlan.model_validate_json(text) for text in self._items.query("planned", "", "plan")]
        return [plan for plan in found if plan.execution == execution]
