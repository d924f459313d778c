"""Items of the stack's table: put, update, delete, read and query; a write may have a condition, and company."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.errors import AwsThrottled

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Values = Mapping[str, str | datetime]
"""Attributes by name: text, or a time, which DynamoDB keeps as whole seconds since 1970."""

# So many items one call reads at most (DynamoDB API reference, BatchGetItem).
AT_ONCE = 100
# Why DynamoDB cancels a transaction that may succeed later (DynamoDB API reference, TransactWriteItems).
PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


@dataclass(frozen=True)
class Write:
    """One change of one item, alone or together with others; a condition is on the item that exists.

    In expressions, names of attributes that DynamoDB reserves are written ``#name``; ``values`` are what its ``:name``
    stand for; an empty condition is none.
    """

    operation: Literal["Put", "Update", "Delete"]
    arguments: Mapping[str, Any]

    @staticmethod
    def put(pk: str, sk: str, item: Values, condition: str = "", values: Values | None = None) -> "Write":
        """Return what writes an item."""
        extra = _expressions({"ConditionExpression": condition}, values or {}) if condition else {}
        return Write("Put", {"Item": {**_key(pk, sk), **_typed(item)}, **extra})

    @staticmethod
    def update(pk: str, sk: str, change: str, condition: str, values: Values) -> "Write":
        """Return what changes an item, by ``SET`` or ``REMOVE``."""
        expressions = {"UpdateExpression": change} | ({"ConditionExpression": condition} if condition else {})
        return Write("Update", {"Key": _key(pk, sk), **_expressions(expressions, values)})

    @staticmethod
    def delete(pk: str, sk: str, condition: str, values: Values) -> "Write":
        """Return what deletes an item."""
        return Write("Delete", {"Key": _key(pk, sk), **_expressions({"ConditionExpression": condition}, values)})


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
        """Write an item; False if the condition does not hold."""
        return self._write("PutItem", self.client.put_item, Write.put(pk, sk, item, condition, values))

    def update(self, pk: str, sk: str, change: str, condition: str, values: Values) -> bool:
        """Change an item, ``SET`` or ``REMOVE``; False if the condition, empty for none, does not hold."""
        return self._write("UpdateItem", self.client.update_item, Write.update(pk, sk, change, condition, values))

    def update_or_read(self, pk: str, sk: str, change: str, condition: str, values: Values) -> dict[str, str]:
        """Change an item and return nothing, or, if the condition does not hold, return what stands there instead."""
        write = Write.update(pk, sk, change, condition, values)
        try:
            with repeatable("dynamodb:UpdateItem"):
                self.client.update_item(
                    TableName=self.table, ReturnValuesOnConditionCheckFailure="ALL_OLD", **write.arguments
                )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise
            with repeatable("dynamodb:UpdateItem"):
                return _plain(error.response["Item"])  # type: ignore[typeddict-item]  # of this error alone
        return {}

    def delete(self, pk: str, sk: str, condition: str, values: Values) -> bool:
        """Delete an item; False if the condition does not hold."""
        return self._write("DeleteItem", self.client.delete_item, Write.delete(pk, sk, condition, values))

    def write_together(self, *writes: Write) -> bool:
        """Write several items, all or none; False if a condition does not hold.

        boto3 repeats it with the token of its first try, by which DynamoDB knows it for ten minutes.
        """
        items: Any = [{each.operation: {"TableName": self.table, **each.arguments}} for each in writes]
        try:
            with repeatable("dynamodb:TransactWriteItems"):
                self.client.transact_write_items(TransactItems=items)
        except ClientError as error:
            if code_of(error) != "TransactionCanceledException":
                raise
            reasons = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", [])}
            if "ConditionalCheckFailed" in reasons:
                return False
            if reasons & PASSING:
                raise AwsThrottled(f"dynamodb:TransactWriteItems: {error}") from error
            raise
        return True

    def read(self, pk: str, sk: str, *attributes: str) -> dict[str, str]:
        """Return an item's attributes, or those named, as text, as last written; empty if there is none."""
        names = {f"#{name}": name for name in attributes}
        only = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names} if names else {}
        with repeatable("dynamodb:GetItem"):
            key = _key(pk, sk)
            answer = self.client.get_item(TableName=self.table, Key=key, ConsistentRead=True, **only)  # type: ignore[arg-type]
            return _plain(answer.get("Item", {}))

    def read_many(self, keys: Sequence[tuple[str, str]], *attributes: str) -> dict[tuple[str, str], dict[str, str]]:
        """Return those of many items that are there, by their keys, with the attributes named, as last written."""
        names = {f"#{name}": name for name in ("pk", "sk", *attributes)}
        shape = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names, "ConsistentRead": True}
        found: dict[tuple[str, str], dict[str, str]] = {}
        for start in range(0, len(keys), AT_ONCE):
            wanted: Any = {self.table: {"Keys": [_key(*key) for key in keys[start : start + AT_ONCE]], **shape}}
            while wanted:
                with repeatable("dynamodb:BatchGetItem"):
                    answer = self.client.batch_get_item(RequestItems=wanted)
                    some = [_plain(item) for item in answer["Responses"].get(self.table, [])]
                    found |= {(item.pop("pk"), item.pop("sk")): item for item in some}
                    wanted = answer["UnprocessedKeys"]
                    if wanted and not some:
                        raise AwsThrottled("dynamodb:BatchGetItem: DynamoDB read none of the items that were asked for")
        return found

    def nearest(self, pk: str, sk: str, attribute: str, count: int, *, above: bool) -> list[str]:
        """Return one attribute, as last written, of the items that are nearest to a sort key, the nearest first.

        Args:
            pk: partition key.
            sk: any text; an item with this very sort key counts as below.
            attribute: which one.
            count: how many items to look at.
            above: whether those with greater sort keys are meant, else those below.
        """
        with repeatable("dynamodb:Query"):
            pages = self.client.get_paginator("query").paginate(
                ScanIndexForward=above,
                PaginationConfig={"MaxItems": count, "PageSize": count},
                TableName=self.table,
                KeyConditionExpression=f"pk = :pk AND sk {'>' if above else '<='} :sk",
                ExpressionAttributeValues=_typed({":pk": pk, ":sk": sk}),
                ProjectionExpression="#attribute",
                ExpressionAttributeNames={"#attribute": attribute},
                ConsistentRead=True,
            )
            return [_plain(item)[attribute] for page in pages for item in page["Items"]]

    def query(self, pk: str, sk_prefix: str, attribute: str, latest: int | None = None) -> Iterator[str]:
        """Yield one attribute, as last written, of a partition's items that have it and a sort key of this prefix.

        Args:
            pk: partition key.
            sk_prefix: what the sort keys begin with; empty for all.
            attribute: which one.
            latest: how many items to look at, the greatest sort key first; None for all, the smallest first.
        """
        within = {":pk": pk, ":sk": sk_prefix} if sk_prefix else {":pk": pk}
        with repeatable("dynamodb:Query"):
            pages = self.client.get_paginator("query").paginate(
                ScanIndexForward=latest is None,
                PaginationConfig={"MaxItems": latest} if latest else {},
                TableName=self.table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)" if sk_prefix else "pk = :pk",
                ExpressionAttributeValues=_typed(within),
                ProjectionExpression="#attribute",
                ExpressionAttributeNames={"#attribute": attribute},
                ConsistentRead=True,
            )
            for page in pages:
                yield from (plain[attribute] for item in page["Items"] if (plain := _plain(item)))

    def _write(self, operation: str, send: Callable[..., Any], write: Write) -> bool:
        try:
            with repeatable(f"dynamodb:{operation}"):
                send(TableName=self.table, **write.arguments)
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
