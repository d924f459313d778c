"""The policies in force in the table: the last good text of each file, what was told of a bad one, and first starts.

``pk`` is ``policies``, ``sk`` ``in-force#<name>``, ``refused#<name>`` or ``start#<name>#<key of the schedule>``.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from quiesce.aws.items import Items
from quiesce.policy.policy import Policy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

POLICIES = "policies"


class InForce(NamedTuple):
    """The text that is in force, empty if there is none, and since when, in UTC; None if that is not known."""

    text: str
    since: datetime | None


class PoliciesInForce:
    """The policies in force; the caller passes all times, in UTC."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def text(self, name: str) -> str:
        """Return the text that is in force, empty if there is none."""
        return self._items.read(POLICIES, f"in-force#{name}").get("text", "")

    def version(self, name: str) -> str:
        """Return the version of the file that is in force, empty if there is none."""
        return self._items.read(POLICIES, f"in-force#{name}").get("version", "")

    def in_force(self, name: str) -> InForce:
        """Return what is in force."""
        item = self._items.read(POLICIES, f"in-force#{name}")
        since = item.get("since")
        return InForce(item.get("text", ""), datetime.fromisoformat(since) if since else None)

    def kept_starts(self, policy: Policy) -> dict[str, datetime]:
        """Return when each interval of a policy's schedules first ran, by its key; not of a new one."""
        keys = [each.key(policy.zone_name(each)) for each in policy.schedules if each.every]
        items = {key: self._items.read(POLICIES, f"start#{policy.name}#{key}") for key in keys}
        return {key: datetime.fromisoformat(item["start"]) for key, item in items.items() if item}

    def names(self) -> list[str]:
        """Return the names of all policies in force."""
        return list(self._items.query(POLICIES, "in-force#", "policy"))

    def keep(self, name: str, text: str, version: str, now: datetime) -> None:
        """Put a good text in force; the one before it is gone."""
        item = {"policy": name, "text": text, "version": version, "since": now.isoformat()}
        self._items.put(POLICIES, f"in-force#{name}", item)

    def forget(self, name: str) -> None:
        """Take a policy out of force, and what was told of its file."""
        for kind in ("in-force", "refused"):
            self._items.delete(POLICIES, f"{kind}#{name}", "attribute_exists(pk)", {})

    def refused_version(self, name: str) -> str:
        """Return of which version of a file people were told that it is bad, empty if of none."""
        return self._items.read(POLICIES, f"refused#{name}").get("version", "")

    def mark_refused(self, name: str, version: str, now: datetime) -> None:
        """Mark that people were told of a bad file."""
        self._items.put(POLICIES, f"refused#{name}", {"version": version, "since": now.isoformat()})

    def mark_good(self, name: str) -> None:
        """Mark that a policy's file is good again."""
        self._items.delete(POLICIES, f"refused#{name}", "attribute_exists(pk)", {})

    def starts(self, name: str, first: Mapping[str, datetime]) -> dict[str, datetime]:
        """Return when each interval first ran or runs, and keep it for those that are new.

        Args:
            name: the policy.
            first: when each interval of its schedules first runs if it is new, by the key of the schedule.
        """
        found = {}
        for key, start in first.items():
            sort_key = f"start#{name}#{key}"
            self._items.put(POLICIES, sort_key, {"start": start.isoformat()}, "attribute_not_exists(pk)")
            found[key] = datetime.fromisoformat(self._items.read(POLICIES, sort_key)["start"])
        return found
