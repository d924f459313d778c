"""The rule of each policy as retention last saw it in force, with those that it replaced in the last days.

``pk`` is ``keep#<policy>``, ``sk`` is ``rule``.
"""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from quiesce.aws.items import Items
from quiesce.policy.keep import Retention
from quiesce.retention.plan import CHANGE, Former

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Rules:
    """The rules in the stack's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def last(self, policy: str) -> Retention | None:
        """Return the rule that was last in force, None if every recovery point stayed."""
        return _rule(self._read(policy).get("rule", ""))

    def in_force(self, policy: str, rule: Retention | None, now: datetime) -> list[Former]:
        """Keep the rule that a policy has now, and return those that it replaced in the last three days.

        A policy that never had a rule kept everything: its first rule replaces that.
        """
        item = self._read(policy)
        before, text = item.get("rule", ""), rule.model_dump_json() if rule else ""
        formers = [f for f in _formers(item.get("formers", "[]")) if now < f.changed_at + CHANGE]
        if before == text:
            return formers
        formers.append(Former(_rule(before), now))
        kept = json.dumps([[f.rule.model_dump_json() if f.rule else "", f.changed_at.isoformat()] for f in formers])
        condition, values = "attribute_not_exists(pk) OR #rule = :before", {":before": before}
        # Of two executions at once the second one finds what the first one kept, tomorrow at the latest.
        self._items.put(f"keep#{policy}", "rule", {"rule": text, "formers": kept}, condition, values)
        return formers

    def _read(self, policy: str) -> dict[str, str]:
        return self._items.read(f"keep#{policy}", "rule")


def _rule(text: str) -> Retention | None:
    return Retention.model_validate_json(text) if text else None


def _formers(text: str) -> list[Former]:
    return [Former(_rule(rule), datetime.fromisoformat(at)) for rule, at in json.loads(text)]
