"""What looks at the posture remember in the table: first sights, what people were told, and the newest look.

``pk`` is ``posture``; ``sk`` is ``first-seen#<policy>#<instance id>``, ``told#<policy>``, ``mail#<name>`` or
``latest``.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from quiesce.aws.items import Items
from quiesce.posture.telling import Told

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PK = "posture"
# Whoever has claimed a mail and not sent it by then never will: a function runs for 15 minutes at most.
SENT_WITHIN = timedelta(minutes=16)


@dataclass(frozen=True)
class Remembered:
    """What people were told, by which write; ``busy`` if another look is telling them something at this moment."""

    told: Told
    version: str = ""
    busy: bool = False


class Watch:
    """The posture's items; ``me`` is the id of this look, the same in all of its repetitions, and times are in UTC."""

    def __init__(self, client: "DynamoDBClient", table: str, me: str) -> None:
        self._items, self._me = Items(client, table), me

    def first_seen(self) -> dict[tuple[str, str], datetime]:
        """Return since when servers are in policies without a good recovery point, by policy and server."""
        found = map(json.loads, self._items.query(PK, "first-seen#", "seen"))
        return {(policy, instance_id): datetime.fromisoformat(at) for policy, instance_id, at in found}

    def see_first(self, those: Iterable[tuple[str, str]], now: datetime) -> None:
        """Remember that servers are in policies without a good recovery point from now on; an earlier sight stays."""
        for policy, instance_id in sorted(those):
            item = {"seen": json.dumps([policy, instance_id, now.isoformat()])}
            self._items.put(PK, f"first-seen#{policy}#{instance_id}", item, "attribute_not_exists(pk)")

    def forget(self, those: Iterable[tuple[str, str]]) -> None:
        """Forget servers that have a good recovery point by now, or are in the policy no more."""
        for policy, instance_id in sorted(those):
            self._items.delete(PK, f"first-seen#{policy}#{instance_id}", "attribute_exists(pk)", {})

    def told_policies(self) -> list[str]:
        """Return the policies of which people were told something that is not over."""
        return list(self._items.query(PK, "told#", "policy"))

    def told(self, policy: str, now: datetime) -> Remembered:
        """Return what people were told of a policy."""
        item = self._items.read(PK, f"told#{policy}")
        if not item:
            return Remembered(Told())
        behind = tuple(filter(None, item["behind"].split(",")))
        fresh = now < datetime.fromisoformat(item["at"]) + SENT_WITHIN
        busy = bool(item["sending"]) and item["version"] != self._me and fresh
        return Remembered(Told(behind, item["sending"]), item["version"], busy)

    def tell(self, policy: str, before: Remembered, told: Told, now: datetime) -> bool:
        """Remember what people are about to be told; False if another look has done so since ``before`` was read.

        A policy may mean 10,000 servers, whose ids are half of what an item has room for.
        """
        item = {"policy": policy, "behind": ",".join(told.behind), "sending": told.sending, "at": now.isoformat()}
        condition, values = "attribute_not_exists(pk) OR version = :mine", {":mine": self._me}
        if before.version:
            condition, values = "version = :before OR version = :mine", {**values, ":before": before.version}
        return self._items.put(PK, f"told#{policy}", {**item, "version": self._me}, condition, values)

    def sent(self, policy: str, *, over: bool) -> None:
        """Remember that people were told; if it is over, there is nothing to remember."""
        key, mine = (PK, f"told#{policy}"), {":mine": self._me}
        if over:
            self._items.delete(*key, "version = :mine", mine)
        else:
            self._items.update(*key, "SET sending = :none", "version = :mine", {**mine, ":none": ""})

    def claim_mail(self, name: str, now: datetime) -> bool:
        """Claim a mail that is sent once, by its name; False if it was sent, or another look is sending it."""
        item = {"by": self._me, "at": now.isoformat(), "until": (now + SENT_WITHIN).isoformat()}
        condition = "attribute_not_exists(pk) OR (attribute_not_exists(sent) AND (#by = :mine OR #until <= :now))"
        return self._items.put(PK, f"mail#{name}", item, condition, {":mine": self._me, ":now": now.isoformat()})

    def mail_sent(self, name: str) -> None:
        """Remember that a mail was sent."""
        self._items.update(PK, f"mail#{name}", "SET sent = :yes", "#by = :mine", {":yes": "yes", ":mine": self._me})

    def keep_latest(self, summary: str, now: datetime) -> bool:
        """Keep the summary of a look; False if a newer look has kept its own."""
        item, values = {"at": now.isoformat(), "summary": summary}, {":at": now.isoformat()}
        return self._items.put(PK, "latest", item, "attribute_not_exists(pk) OR #at <= :at", values)
