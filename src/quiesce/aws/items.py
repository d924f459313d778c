"""Items of the stack's table: put, update, delete, read and query; a write may have a condition."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Values = Mapping[str, str | datetime]
"""Attributes by name: text, or a time, which DynamoDB keeps as whole seconds since 1970."""


@dataclass(frozen=True)
class Items:
    """The stack's table, by partition key ``pk`` and sort key ``sk``; every call is safe to repeat.

    Raises, in all of its calls:
        AwsThrottled, AwsUnavailable: retried by the state machine.
        AccessDenied: not retried.
    """

    client: "DynamoDBClient"
    table: str

    def put(self, pk: str, sk: str, item: Values, condition: str = "", values: Values | None = None) -> bool:
        """Write an item; False if the condition does not hold.

        Args:
            pk: partition key.
            sk: sort key.
            item: its attributes.
            condition: on the item that exists; names of attributes that DynamoDB reserves are written ``#name``.
            values: what the condition's ``:name`` stand for.
        """
        extra = _expressions({"ConditionExpression": condition}, values or {}) if condition else {}
        return self._write("PutItem", self.client.put_item, Item={**_key(pk, sk), **_typed(item)}, **extra)

    def update(self, pk: str, sk: str, change: str, condition: str, values: Values) -> bool:
        """Change an item, ``SET`` or ``REMOVE``; False if the condition does not hold."""
        expressions = {"UpdateExpression": change, "ConditionExpression": condition}
        return self._write("UpdateItem", self.client.update_item, Key=_key(pk, sk), **_expressions(expressions, values))

    def delete(self, pk: str, sk: str, condition: str, values: Values) -> bool:
        """Delete an item; False if the condition does not hold."""
        expressions = _expressions({"ConditionExpression": condition}, values)
        return self._write("DeleteItem", self.client.delete_item, Key=_key(pk, sk), **expressions)

    def read(self, pk: str, sk: str) -> dict[str, str]:
        """Return an item's attributes as text, as last written; empty if there is none."""
        with repeatable("dynamodb:GetItem"):
            answer = self.client.get_item(TableName=self.table, Key=_key(pk, sk), ConsistentRead=True)
            return _plain(answer.get("Item", {}))

    def query(self, pk: str, sk_prefix: str, attribute: str) -> Iterator[str]:
        """Yield one attribute, as last written, of a partition's items that have it and a sort key of this prefix."""
        with repeatable("dynamodb:Query"):
            pages = self.client.get_paginator("query").paginate(
                TableName=self.table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
                ExpressionAttributeValues=_typed({":pk": pk, ":sk": sk_prefix}),
                ProjectionExpression="#attribute",
                ExpressionAttributeNames={"#attribute": attribute},
                ConsistentRead=True,
            )
            for page in pages:
                yield from (plain[attribute] for item in page["Items"] if (plain := _plain(item)))

    def _write(self, operation: str, send: Callable[..., Any], **arguments: Any) -> bool:
        try:
            with repeatable(f"dynamodb:{operation}"):
                send(TableName=self.table, **arguments)
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True


def _expressions(expressions: Mapping[str, str], values: Values) -> dict[str, Any]:
    """Return the arguments for expressions; ``#name`` stands for the attribute ``name``."""
    words = " ".join(expressions.values()).replace("(", " ").replace(")", " ").replace(",", " ").split()
    names = {word: word[1:] for word in words if word.startswith("#")}
    arguments: dict[str, Any] = dict(expressions)
    arguments |= {"ExpressionAttributeValues": _typed(values)} if values else {}
    return arguments | ({"ExpressionAttributeNames": names} if names else {})


def _typed(values: Values) -> dict[str, Any]:
    return {
        name: {"N": str(int(value.timestamp()))} if isinstance(value, datetime) else {"S": value}
        for name, value in values.items()
    }


def _plain(item: Mapping[str, Any]) -> dict[str, str]:
    # Of each attribute DynamoDB has one value, by its type.
    return {name: str(text) for name, value in item.items() for (text,) in [value.values()]}


def _key(pk: str, sk: str) -> dict[str, Any]:
    return _typed({"pk": pk, "sk": sk})
