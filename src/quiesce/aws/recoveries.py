"""The table for recoveries: what past runs left of a server, the plan that a recovery's id stands for, and its ends."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.errors import RecoveryRefused
from quiesce.points.point import RecoveryPoint
from quiesce.recovery.account import Account
from quiesce.recovery.input import RecoveryRequest
from quiesce.recovery.plan import RecoveryPlan

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

ACCOUNT = "account#"


class Recoveries:
    """The stack's table for recoveries: ``pk`` is ``recovery#<id>``, ``sk`` is ``plan`` or ``account#<execution>``."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client, self._name = client, name

    def points(self, instance_id: str) -> list[RecoveryPoint]:
        """Return what the ended runs on a server left, in no order."""
        with repeatable("dynamodb:Query"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._name,
                KeyConditionExpression="pk = :instance AND begins_with(sk, :run)",
                ExpressionAttributeValues={":instance": {"S": instance_id}, ":run": {"S": "run#"}},
                ProjectionExpression="#record",
                ExpressionAttributeNames={"#record": "record"},
            )
            records = [item["record"]["S"] for page in pages for item in page["Items"] if "record" in item]
        return [RecoveryPoint.model_validate_json(record) for record in records]

    def plan(self, recovery_id: str, request: RecoveryRequest) -> RecoveryPlan | None:
        """Return the plan that this id stands for already, None if it is new.

        Raises:
            RecoveryRefused: it stands for another input.
        """
        item = self._plan_item(recovery_id)
        if item is None:
            return None
        if item["request"]["S"] != _text(request):
            problem = f"'{recovery_id}' is a recovery that was started with another input"
            raise RecoveryRefused("recovery_id", problem, "use that input, or another id")
        kept = RecoveryPlan.model_validate_json(item["plan"]["S"])
        return kept.model_copy(update={"on_failure": request.on_failure})

    def keep(self, plan: RecoveryPlan, request: RecoveryRequest) -> RecoveryPlan:
        """Let the id stand for this plan, and return the one that it stands for: somebody may have been faster."""
        item = {"request": {"S": _text(request)}, "plan": {"S": plan.model_dump_json()}}
        try:
            with repeatable("dynamodb:PutItem"):
                self._client.put_item(
                    TableName=self._name,
                    Item={**_key(plan.recovery_id), **item},
                    ConditionExpression="attribute_not_exists(pk)",
                )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            return self.plan(plan.recovery_id, request) or plan
        return plan

    def kept_plan(self, recovery_id: str) -> RecoveryPlan | None:
        """Return the plan that this id stands for, whoever asks; None if it came to none."""
        item = self._plan_item(recovery_id)
        return RecoveryPlan.model_validate_json(item["plan"]["S"]) if item else None

    def accounts(self, recovery_id: str) -> list[Account]:
        """Return how the executions of a recovery ended, in no order."""
        with repeatable("dynamodb:Query"):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._name,
                KeyConditionExpression="pk = :recovery AND begins_with(sk, :account)",
                ExpressionAttributeValues={
                    ":recovery": _key(recovery_id)["pk"],
                    ":account": {"S": ACCOUNT},
                },
                ConsistentRead=True,
            )
            items = [item for page in pages for item in page["Items"]]
        return [Account.model_validate_json(item["account"]["S"]) for item in items]

    def keep_account(self, account: Account, execution_name: str) -> None:
        """Keep how one execution of a recovery ended."""
        item = {**_key(account.recovery_id, f"{ACCOUNT}{execution_name}"), "account": {"S": account.model_dump_json()}}
        with repeatable("dynamodb:PutItem"):
            self._client.put_item(TableName=self._name, Item=item)

    def _plan_item(self, recovery_id: str) -> "Mapping[str, AttributeValueTypeDef] | None":
        with repeatable("dynamodb:GetItem"):
            answer = self._client.get_item(TableName=self._name, Key=_key(recovery_id), ConsistentRead=True)
        return answer.get("Item")


def _text(request: RecoveryRequest) -> str:
    """Return what makes two inputs the same recovery: what happens when it fails may be decided anew."""
    return request.model_dump_json(exclude={"recovery_id", "mode", "on_failure"}, exclude_defaults=True)


def _key(recovery_id: str, part: str = "plan") -> dict[str, "AttributeValueTypeDef"]:
    return {"pk": {"S": f"recovery#{recovery_id}"}, "sk": {"S": part}}
