"""Recovery points in the table: listed by server and time, leased by who reads them, marked before they are removed.

A list has ``pk`` ``points#<instance id>`` and ``sk`` ``<time>#<run id>``; ``servers`` names all servers that have one.
It has all runs that ended, whatever they left, and for those that left a recovery point that is still there what
retention needs of it.
What counts is the run's own item (``aws.runs``): its record, its lease and its mark. ``removed#<instance id>`` counts
removals by the day.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pydantic import ValidationError

from quiesce.aws.items import Items, Values, Write
from quiesce.points.listed import ListedPoint, listed
from quiesce.points.record import Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The list is made anew from the runs' own items after so long: a run may have ended before it was listed.
RELISTED = timedelta(days=7)
# What ``archivings`` writes into a run's item.
OF_ARCHIVE = ("archiving_at", "archived_at", "archive_weighed_at")


@dataclass(frozen=True)
class Truth:
    """What a run's own item says of its recovery point; ``status`` is empty if there is no such item."""

    status: str
    leased_until: datetime | None
    leased_by: str
    removing: bool
    removed: bool
    locked: bool
    archiving: bool
    archived_at: datetime | None
    weighed_at: datetime | None


class Points:
    """The recovery points in the stack's table; the caller passes all times, in UTC."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def put(self, record: Record) -> None:
        """List a run that has ended, and its recovery point if it left one; a repeated call changes nothing."""
        self._items.write_together(*self.writes(record))

    @staticmethod
    def writes(record: Record) -> list[Write]:
        """Return what lists a run that has ended, for a write that has more to do."""
        point = None if record.removed_at else listed(record)
        item = {"run": record.run_id} | ({"point": point.model_dump_json()} if point else {})
        at = record.snapshots_at or record.started_at
        listing = Write.put(points_of(record.instance_id), sort_key(at, record.run_id), item)
        if not point:
            return [listing]
        # Not put: the item also says when the list was made anew.
        name = {":name": record.instance_name}
        return [listing, Write.update("servers", point.instance_id, "SET #name = :name", "", name)]

    def servers(self) -> list[str]:
        """Return all servers that have a list."""
        return list(self._items.query("servers", "", "sk"))

    def of_server(self, instance_id: str, now: datetime) -> list[ListedPoint]:
        """Return the recovery points of a server, oldest first, page by page.

        What can't be read is left out: retention touches nothing that it does not know.
        """
        at = self._listed_at(instance_id)
        if not at or datetime.fromisoformat(at) + RELISTED <= now:
            self._relist(instance_id, now)
        return list(self.listed(instance_id))

    def listed(self, instance_id: str) -> Iterator[ListedPoint]:
        """Yield the recovery points of a server as the list has them, oldest first; what can't be read is left out."""
        for text in self._items.query(points_of(instance_id), "", "point"):
            if point := _read(text):
                yield point

    def knows(self, instance_id: str, run_id: str) -> bool:
        """Say whether the table has the run of a recovery point, listed or not."""
        return bool(self._items.read(instance_id, f"run#{run_id}", "status"))

    def is_removed(self, instance_id: str, run_id: str) -> bool:
        """Say whether the removal of a recovery point has begun or ended."""
        return bool(self._items.read(instance_id, f"run#{run_id}", "removing_at", "removed_at"))

    def name(self, instance_id: str) -> str:
        """Return the name that a server had at its last run that left snapshots, empty if none is known."""
        return self._items.read("servers", instance_id).get("name", "")

    def has_all_runs(self, instance_id: str) -> bool:
        """Say whether a server's list has all of its runs: once retention has looked after it for the first time."""
        return bool(self._listed_at(instance_id))

    def _listed_at(self, instance_id: str) -> str:
        return self._items.read("servers", instance_id).get("runs_listed_at", "")

    def _relist(self, instance_id: str, now: datetime) -> None:
        for text in self._items.query(instance_id, "run#", "record"):
            if record := _record(text):
                self.put(record)
        change, values = "SET runs_listed_at = :now", {":now": now.isoformat()}
        self._items.update("servers", instance_id, change, "", values)

    def truths(self, points: Sequence[ListedPoint]) -> dict[str, Truth]:
        """Return what the runs' own items say now, by run id."""
        names = ("status", "leased_until", "leased_by", "removing_at", "removed_at", "locked_until", *OF_ARCHIVE)
        keys = {point.run_id: (point.instance_id, f"run#{point.run_id}") for point in points}
        items = self._items.read_many(list(keys.values()), *names)
        return {run_id: _truth(items.get(key, {})) for run_id, key in keys.items()}

    def lease(self, instance_id: str, run_id: str, holder: str, now: datetime, until: datetime) -> bool:
        """Keep a recovery point from being removed until a time; False if its removal has begun, or it has no record.

        Several may hold it at once: the latest time counts, and nobody ends another's.
        """
        change = "SET leased_until = :until, leased_by = :holder"
        free = "attribute_exists(#record) AND attribute_not_exists(removing_at)"
        later = f"{free} AND (attribute_not_exists(leased_until) OR leased_until <= :until)"
        values: Values = {":until": until, ":holder": holder}
        if self._items.update(instance_id, f"run#{run_id}", change, later, values):
            return True
        item = self._items.read(instance_id, f"run#{run_id}", "status", "leased_until", "removing_at")
        return "removing_at" not in item and int(item.get("leased_until", 0)) > now.timestamp()

    def keep_locked(self, point: ListedPoint, until: datetime) -> None:
        """Keep that a recovery point was locked, so that no execution does it again."""
        key, values = (point.instance_id, f"run#{point.run_id}"), {":until": until.isoformat()}
        self._items.update(*key, "SET locked_until = :until", "attribute_exists(#record)", values)

    def begin_removal(self, point: ListedPoint, because: str, now: datetime) -> bool:
        """Mark a recovery point before its first deletion; False if it is leased, or its removal has begun."""
        # Counted first: one that is counted and not removed costs a day, one that is not counted a recovery point.
        day = f"{now:%Y-%m-%d}#{point.policy}#{point.run_id}"
        self._items.put(f"removed#{point.instance_id}", day, {"at": now.isoformat()})
        condition = (
            "attribute_exists(#record) AND attribute_not_exists(removing_at) AND #status = :status"
            " AND (attribute_not_exists(leased_until) OR leased_until <= :time)"
        )
        change = "SET removing_at = :now, removing_because = :because"
        values: Values = {":now": now.isoformat(), ":because": because, ":time": now, ":status": point.status}
        return self._items.update(point.instance_id, f"run#{point.run_id}", change, condition, values)

    def without_snapshots(self, point: ListedPoint, now: datetime) -> Record | None:
        """Return a run's record with the removal of its recovery point, None if it can't be read."""
        item = self._items.read(point.instance_id, f"run#{point.run_id}", "record", "removing_because")
        record = _record(item.get("record", ""))
        removal = {"removed_at": now, "removed_because": item.get("removing_because", "")}
        return record.model_copy(update=removal) if record else None

    def end_removal(self, point: ListedPoint, record: Record | None, now: datetime) -> None:
        """Keep that a recovery point is gone, with its changed record, and take it off the list."""
        change, values = "SET removed_at = :now", {":now": now.isoformat()}
        if record is not None:
            change, values = f"{change}, #record = :record", {**values, ":record": record.model_dump_json()}
        self._items.update(point.instance_id, f"run#{point.run_id}", change, "attribute_exists(removing_at)", values)
        self.forget(point)

    def forget(self, point: ListedPoint) -> None:
        """Take a recovery point that was removed off the list; its run stays there."""
        key = points_of(point.instance_id), sort_key(point.at, point.run_id)
        self._items.update(*key, "REMOVE point", "attribute_exists(pk)", {})

    def removals(self, instance_id: str, policy: str, now: datetime) -> list[datetime]:
        """Return when recovery points of a server and policy began to be removed, today and yesterday."""
        days = (f"{now - timedelta(days=1):%Y-%m-%d}", f"{now:%Y-%m-%d}")
        return [datetime.fromisoformat(at) for day in days for at in self._began(instance_id, f"{day}#{policy}#")]

    def _began(self, instance_id: str, prefix: str) -> Iterator[str]:
        return self._items.query(f"removed#{instance_id}", prefix, "at")


def points_of(instance_id: str) -> str:
    """Return the partition key of a server's list."""
    return f"points#{instance_id}"


def sort_key(at: datetime, run_id: str) -> str:
    """Return under which sort key a server's lists have a run: they are in the order of time."""
    return f"{at.astimezone(UTC):%Y%m%dT%H%M%S.%f}#{run_id}"


def _truth(item: Mapping[str, str]) -> Truth:
    until = item.get("leased_until")
    return Truth(
        status=item.get("status", ""),
        leased_until=datetime.fromtimestamp(int(until), UTC) if until else None,
        leased_by=item.get("leased_by", ""),
        removing="removing_at" in item,
        removed="removed_at" in item,
        locked="locked_until" in item,
        archiving="archiving_at" in item,
        archived_at=_at(item.get("archived_at", "")),
        weighed_at=_at(item.get("archive_weighed_at", "")),
    )


def _at(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _read(text: str) -> ListedPoint | None:
    try:
        return ListedPoint.model_validate_json(text)
    except ValidationError:
        return None


def _record(text: str) -> Record | None:
    try:
        return Record.model_validate_json(text)
    except ValidationError:
        return None
