"""DynamoDB's answers for a table that has grown: pages of a megabyte, a hundred items a call; every call is noted."""

import json
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any

from quiesce.aws.items import AT_ONCE, _plain

# Query reads so much, whatever of it is asked for (DynamoDB API reference, Query).
PAGE_BYTES = 1_048_576


class Refused(Exception):
    """The table is asked for something that its tests do not know."""


@dataclass
class GrownTable:
    """A client of DynamoDB over items in memory; one with a record is taken to have ``record_bytes``."""

    record_bytes: int = 20_000
    items: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def put(self, pk: str, sk: str, **attributes: str) -> None:
        """Put an item without a call."""
        values = {name: {"S": value} for name, value in {"pk": pk, "sk": sk, **attributes}.items()}
        self.items.setdefault(pk, {})[sk] = values

    def get_item(self, **given: Any) -> Any:
        pk, sk = given["Key"]["pk"]["S"], given["Key"]["sk"]["S"]
        self.calls.append(f"GetItem {pk}")
        found = self.items.get(pk, {}).get(sk)
        return {"Item": found} if found else {}

    def put_item(self, **given: Any) -> Any:
        item = given["Item"]
        self.calls.append(f"PutItem {item['pk']['S']}")
        self.items.setdefault(item["pk"]["S"], {})[item["sk"]["S"]] = item
        return {}

    def transact_write_items(self, **given: Any) -> Any:
        for [(kind, write)] in (each.items() for each in given["TransactItems"]):
            {"Put": self.put_item, "Update": self.update_item}[kind](**write)
        return {}

    def update_item(self, **given: Any) -> Any:
        raise Refused(f"a change of {given['Key']}")

    def batch_get_item(self, **given: Any) -> Any:
        [(table, asked)] = given["RequestItems"].items()
        keys = [(key["pk"]["S"], key["sk"]["S"]) for key in asked["Keys"]]
        if len(keys) > AT_ONCE:
            raise Refused(f"{len(keys)} keys in one call")
        self.calls.append(f"BatchGetItem {len(keys)}")
        found = [self.items.get(pk, {}).get(sk) for pk, sk in keys]
        wanted = set(asked["ExpressionAttributeNames"].values())
        return {"Responses": {table: [_only(item, wanted) for item in found if item]}, "UnprocessedKeys": {}}

    def get_paginator(self, operation: str) -> "GrownTable":
        if operation != "query":
            raise Refused(operation)
        return self

    def paginate(self, **asked: Any) -> Any:
        values = {name: value["S"] for name, value in asked["ExpressionAttributeValues"].items()}
        partition = self.items.get(values[":pk"], {})
        keys = _within(sorted(partition), asked["KeyConditionExpression"], values.get(":sk", ""))
        keys = keys if asked["ScanIndexForward"] else keys[::-1]
        limits = asked.get("PaginationConfig") or {}
        keys = keys[: limits.get("MaxItems", len(keys))]
        [wanted] = asked["ExpressionAttributeNames"].values()
        size = sum(len(json.dumps(_plain(partition[key]))) for key in keys[:1])
        size = self.record_bytes if keys and "record" in partition[keys[0]] else max(size, 1)
        at_once = min(PAGE_BYTES // size, limits.get("PageSize", len(keys)) or 1)
        for start in range(0, len(keys) or 1, max(at_once, 1)):
            self.calls.append(f"Query {values[':pk']}")
            page = [partition[key] for key in keys[start : start + at_once]]
            yield {"Items": [_only(item, {wanted}) for item in page if wanted in item]}


def _only(item: Any, wanted: set[str]) -> Any:
    return {name: value for name, value in item.items() if name in wanted}


def _within(keys: list[str], condition: str, border: str) -> list[str]:
    match condition.partition(" AND ")[2]:
        case "":
            return keys
        case "begins_with(sk, :sk)":
            return [key for key in keys if key.startswith(border)]
        case "sk <= :sk":
            return keys[: bisect_right(keys, border)]
        case "sk > :sk":
            return keys[bisect_right(keys, border) :]
    raise Refused(condition)
