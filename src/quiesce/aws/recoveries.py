"""Recoveries in the table: a server's recovery points, the plan that a recovery's id stands for, and its accounts.

``pk`` is ``recovery#<id>``, ``sk`` is ``plan``, ``looked`` or ``account#<execution>``; the recovery points are
the runs' records, listed by time in ``aws.retention.points``. Under ``pk`` ``recoveries``, by the time of its start, is
how long each state took.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from quiesce.aws.items import Items
from quiesce.aws.retention.points import points_of, sort_key
from quiesce.errors import RecoveryRefused
from quiesce.executions import Execution
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.account import Account
from quiesce.recovery.choice import NAMED_POINTS, Window
from quiesce.recovery.plan import RecoveryPlan
from quiesce.revert.look import Looked

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from quiesce.recovery.input import RecoveryRequest

ACCOUNT = "account#"
# Sort keys begin with digits.
LATEST, MICROSECOND = "~", timedelta(microseconds=1)
OF_ALL, TOOK = "recoveries", "took#"


class Recoveries:
    """The recoveries in the stack's table, and the recovery points that they read."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def all_points(self, instance_id: str) -> Window:
        """Return what all ended runs on a server left, out of their own items, a megabyte with each call."""
        records = self._items.query(instance_id, "run#", "record")
        points = [RecoveryPoint.model_validate_json(record) for record in records]
        return Window(points, goes_on_before=False, goes_on_after=False)

    def around(self, instance_id: str, moment: datetime | None, count: int) -> Window:
        """Return what the ended runs on a server left that are nearest to a time, so many before and so many after it.

        Args:
            instance_id: the server; its list has all of its runs.
            moment: in UTC; None for the latest, of which none is after it.
            count: how many.
        """
        partition = points_of(instance_id)
        border = sort_key(moment + MICROSECOND, "") if moment else LATEST
        older = self._items.nearest(partition, border, "run", count, above=False)
        newer = self._items.nearest(partition, border, "run", count, above=True) if moment else []
        return Window(
            points=self._points(instance_id, [*older, *newer]),
            goes_on_before=len(older) == count,
            goes_on_after=len(newer) == count,
        )

    def named(self, instance_id: str, typed: str) -> list[RecoveryPoint]:
        """Return the recovery point with this id, else some of those whose ids begin like this: one more than is told.

        They are found without the list.
        """
        if exact := self._points(instance_id, [typed]):
            return exact
        records = self._items.query(instance_id, f"run#{typed}", "record", NAMED_POINTS + 1)
        return [RecoveryPoint.model_validate_json(record) for record in records]

    def _points(self, instance_id: str, run_ids: Iterable[str]) -> list[RecoveryPoint]:
        found = self._items.read_many([(instance_id, f"run#{run_id}") for run_id in run_ids], "record")
        return [RecoveryPoint.model_validate_json(item["record"]) for item in found.values() if "record" in item]

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
        kept = self._with_looked(RecoveryPlan.model_validate_json(item["plan"]))
        build = kept.build and kept.build.model_copy(update={"on_failure": request.on_failure})
        return kept.model_copy(update={"on_failure": request.on_failure, "build": build})

    def keep(self, plan: RecoveryPlan, request: "RecoveryRequest") -> RecoveryPlan:
        """Keep this plan under its id, and return the plan that is kept: another execution may have been faster."""
        item = {"request": _text(request), "plan": plan.model_dump_json()}
        if self._items.put(_partition(plan.recovery_id), "plan", item, "attribute_not_exists(pk)"):
            return plan
        return self.plan(plan.recovery_id, request) or plan

    def keep_looked(self, plan: RecoveryPlan) -> RecoveryPlan:
        """Keep what can be built, beside the plan, and return the plan with what is kept: the first that was told."""
        if plan.looked is not None:
            item = {"looked": plan.looked.model_dump_json()}
            self._items.put(_partition(plan.recovery_id), "looked", item, "attribute_not_exists(pk)")
        return self._with_looked(plan)

    def _with_looked(self, plan: RecoveryPlan) -> RecoveryPlan:
        item = self._items.read(_partition(plan.recovery_id), "looked") if plan.build else {}
        return plan.model_copy(update={"looked": Looked.model_validate_json(item["looked"])}) if item else plan

    def kept_plan(self, recovery_id: str) -> RecoveryPlan | None:
        """Return the plan that this id stands for, whatever its input; None if there is none."""
        item = self._items.read(_partition(recovery_id), "plan")
        return self._with_looked(RecoveryPlan.model_validate_json(item["plan"])) if item else None

    def accounts(self, recovery_id: str) -> list[Account]:
        """Return how the executions of a recovery ended, in no particular order."""
        accounts = self._items.query(_partition(recovery_id), ACCOUNT, "account")
        return [Account.model_validate_json(account) for account in accounts]

    def keep_account(self, account: Account, execution_name: str) -> None:
        """Keep how one execution of a recovery ended."""
        item = {"account": account.model_dump_json()}
        self._items.put(_partition(account.recovery_id), f"{ACCOUNT}{execution_name}", item)

    def durations(self, latest: int) -> list[dict[str, float]]:
        """Return how many seconds each state took in the latest recoveries of the stack."""
        return [json.loads(took) for took in self._items.query(OF_ALL, TOOK, "took", latest)]

    def keep_durations(self, execution: Execution, took: Mapping[str, float]) -> None:
        """Keep how many seconds each state of an execution took; a repeated call writes the same item."""
        self._items.put(
            OF_ALL, f"{TOOK}{execution.started_at.isoformat()}#{execution.name}", {"took": json.dumps(took)}
        )


def _text(request: "RecoveryRequest") -> str:
    """Return the part of an input that can't change under one recovery id: what is made, of what."""
    return request.model_dump_json(
        exclude={"recovery_id", "mode", "on_failure", "beside_the_old_one", "started_by"}, exclude_defaults=True
    )


def _partition(recovery_id: str) -> str:
    return f"recovery#{recovery_id}"
