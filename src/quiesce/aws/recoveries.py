"""Recoveries in the table: a server's recovery points, the plan that a recovery's id stands for, and its accounts.

``pk`` is ``recovery#<id>``, ``sk`` is ``plan`` or ``account#<execution>``; the recovery points are the runs' records.
"""

from typing import TYPE_CHECKING

from quiesce.aws.items import Items
from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.account import Account
from quiesce.recovery.plan import RecoveryPlan

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from quiesce.recovery.input import RecoveryRequest

ACCOUNT = "account#"


class Recoveries:
    """The recoveries in the stack's table, and the recovery points that they read."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def points(self, instance_id: str) -> list[RecoveryPoint]:
        """Return the recovery points that the ended runs on a server left, in no particular order."""
        records = self._items.query(instance_id, "run#", "record")
        return [RecoveryPoint.model_validate_json(record) for record in records]

    def plan(self, recovery_id: str, request: "RecoveryRequest") -> RecoveryPlan | None:
        """Return the plan that this id stands for already, None if it is new.

        Raises:
            RecoveryRefused: it stands for another input.
        """
        item = self._items.read(_partition(recovery_id), "plan")
        if not item:
            return None
        if item["request"] != _text(request):
            problem = f"'{recovery_id}' is a recovery that was started with another input"
            raise RecoveryRefused("recovery_id", problem, "use that input, or another id")
        kept = RecoveryPlan.model_validate_json(item["plan"])
        return kept.model_copy(update={"on_failure": request.on_failure})

    def keep(self, plan: RecoveryPlan, request: "RecoveryRequest") -> RecoveryPlan:
        """Keep this plan under its id, and return the plan that is kept: another execution may have been faster."""
        item = {"request": _text(request), "plan": plan.model_dump_json()}
        if self._items.put(_partition(plan.recovery_id), "plan", item, "attribute_not_exists(pk)"):
            return plan
        return self.plan(plan.recovery_id, request) or plan

    def kept_plan(self, recovery_id: str) -> RecoveryPlan | None:
        """Return the plan that this id stands for, whatever its input; None if there is none."""
        item = self._items.read(_partition(recovery_id), "plan")
        return RecoveryPlan.model_validate_json(item["plan"]) if item else None

    def accounts(self, recovery_id: str) -> list[Account]:
        """Return how the executions of a recovery ended, in no particular order."""
        accounts = self._items.query(_partition(recovery_id), ACCOUNT, "account")
        return [Account.model_validate_json(account) for account in accounts]

    def keep_account(self, account: Account, execution_name: str) -> None:
        """Keep how one execution of a recovery ended."""
        item = {"account": account.model_dump_json()}
        self._items.put(_partition(account.recovery_id), f"{ACCOUNT}{execution_name}", item)


def _text(request: "RecoveryRequest") -> str:
    """Return the part of an input that can't change under one recovery id; ``mode`` and ``on_failure`` can."""
    return request.model_dump_json(exclude={"recovery_id", "mode", "on_failure"}, exclude_defaults=True)


def _partition(recovery_id: str) -> str:
    return f"recovery#{recovery_id}"
