"""What the runs' own items say of their recovery points' move into the archive.

A move is begun by a write that fails where a recovery has the point, and is over, for whoever asks, by ``going_until``:
a recovery that takes the point in between waits until then, and for what has begun.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from quiesce.aws.items import Items, Values
from quiesce.points.listed import ListedPoint
from quiesce.points.record import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Archiving(NamedTuple):
    """Whether a recovery point's move was ever begun, and until when it may yet be asked for; None if nobody does."""

    has_begun: bool
    going_until: datetime | None


class Archivings:
    """These attributes of the runs' items in the stack's table; the caller passes all times, in UTC."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def begin(self, point: ListedPoint, now: datetime, until: datetime) -> bool:
        """Say that a recovery point's move is being asked for until a time; False if it is leased, or is being removed.

        A repeated call is success.
        """
        condition = (
            "attribute_exists(#record) AND attribute_not_exists(removing_at) AND #status = :status"
            " AND (attribute_not_exists(leased_until) OR leased_until <= :time)"
        )
        change = "SET archiving_at = if_not_exists(archiving_at, :now), archive_going_until = :until"
        values: Values = {":now": now.isoformat(), ":time": now, ":until": until, ":status": point.status}
        return self._items.update(point.instance_id, f"run#{point.run_id}", change, condition, values)

    def end(self, point: ListedPoint) -> None:
        """Say that all of its moves have been asked for."""
        key = point.instance_id, f"run#{point.run_id}"
        self._items.update(*key, "REMOVE archive_going_until", "attribute_exists(#record)", {})

    def archived(self, point: ListedPoint, at: datetime) -> Record | None:
        """Return a run's record with the time since when the archive has its snapshots, None if it can't be read."""
        text = self._items.read(point.instance_id, f"run#{point.run_id}", "record").get("record", "")
        try:
            return Record.model_validate_json(text).model_copy(update={"archived_at": at})
        except ValidationError:
            return None

    def keep_archived(self, point: ListedPoint, record: Record | None, at: datetime) -> None:
        """Keep since when the archive has all of its snapshots, with the changed record."""
        change, values = "SET archived_at = :at", {":at": at.isoformat()}
        if record is not None:
            change, values = f"{change}, #record = :record", {**values, ":record": record.model_dump_json()}
        self._items.update(point.instance_id, f"run#{point.run_id}", change, "attribute_exists(#record)", values)

    def keep_weighed(self, point: ListedPoint, now: datetime) -> None:
        """Keep when the archive was found to cost more."""
        key, values = (point.instance_id, f"run#{point.run_id}"), {":now": now.isoformat()}
        self._items.update(*key, "SET archive_weighed_at = :now", "attribute_exists(#record)", values)

    def of_point(self, instance_id: str, run_id: str) -> Archiving:
        """Return whether a recovery point's move was begun."""
        item = self._items.read(instance_id, f"run#{run_id}", "archiving_at", "archive_going_until")
        until = item.get("archive_going_until")
        return Archiving("archiving_at" in item, datetime.fromtimestamp(int(until), UTC) if until else None)
