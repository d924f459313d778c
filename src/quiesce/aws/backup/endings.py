"""How runs end in the table: the verdict before anything tells of it, then record, last status, writers and lease.

The items are those of ``aws.runs``.
"""

import json
from typing import TYPE_CHECKING

from quiesce.aws.items import Items, Values, Write
from quiesce.aws.runs import started_before
from quiesce.errors import RunAlreadyStarted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from quiesce.backup.run import RunIdentity
    from quiesce.points.record import Record

# Of a run whose last one ended like this nobody is told that it is good again.
GOOD = "Successful"
# Of a passive node nothing is to be told, and the first good run after a bad one still is: its last status stays.
SKIPPED = "Skipped"


class Endings:
    """The ends of runs in the stack's table."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def known(self, run: "RunIdentity", execution: str) -> "Mapping[str, str]":
        """Return the item of a run, empty if there is none.

        Raises:
            RunAlreadyStarted: another execution holds the run's id.
        """
        return _own(run, self._items.read(run.instance_id, f"run#{run.run_id}"), execution)

    def keep_judged(self, run: "RunIdentity", record: "Record") -> "Mapping[str, str]":
        """Keep what Report judged before it writes anything else: if Report fails then, sweep goes on from it.

        The plan makes room for it: an item of DynamoDB has at most 400 KB, and nothing reads the plan any more.

        Returns:
            The run's item if it has a verdict or a record already, which counts then; else nothing.

        Raises:
            RunAlreadyStarted: another execution holds the run's id; nothing was changed.
        """
        change = "SET judged = :judged, execution = :execution REMOVE #plan"
        without = "attribute_not_exists(judged) AND attribute_not_exists(#record)"
        condition = f"attribute_not_exists(pk) OR (execution = :execution AND {without})"
        values: Values = {":judged": record.model_dump_json(), ":execution": record.execution}
        first = self._items.update_or_read(run.instance_id, f"run#{run.run_id}", change, condition, values)
        return _own(run, first, record.execution)

    def end_at_once(self, run: "RunIdentity", record: "Record", beside: "Iterable[Write]") -> bool:
        """End a run that nobody has to be told of, with all that belongs to its end, in one write.

        Args:
            run: whose lease is released.
            record: the whole one.
            beside: what else is written.

        Returns:
            False if nothing was written: the last run did not end well, so that people have to hear of this one; or the
            run has a record, or no longer holds the server. Each part then has to be written by itself.
        """
        condition = "attribute_not_exists(pk) OR #status = :good"
        last = Write.put(*_last(run, record), condition, {":good": GOOD})
        lasting = [last] if record.status != SKIPPED else []
        freed = Write.delete(run.instance_id, "lease", "run_id = :run", {":run": run.run_id})
        writers = [Write.put(*_writers(run, record))] if _has_writers(record) else []
        return self._items.write_together(Write.put(*_end(run, record)), freed, *lasting, *writers, *beside)

    def end_run(self, run: "RunIdentity", record: "Record") -> bool:
        """Write a run's status and its whole record, once; False if this execution's run already has another record.

        Raises:
            RunAlreadyStarted: another execution holds the run's id; its record stays as it is.
        """
        if self._items.put(*_end(run, record)):
            return True
        return self.known(run, record.execution)["record"] == record.model_dump_json()

    def keep_last(self, run: "RunIdentity", record: "Record") -> None:
        """Keep of a run what the policy's next one on this server needs.

        How it ended is for the next one's mail, how long its snapshots took for the next one's wait. The writers that
        took part, if its shadow copies were good, are for the next one to compare.
        """
        if record.status != SKIPPED:
            self._items.put(*_last(run, record))
        if _has_writers(record):
            self._items.put(*_writers(run, record))

    def last_status(self, run: "RunIdentity") -> str | None:
        """Return how the policy's last run on this server ended, None before the first."""
        return self._items.read(run.instance_id, f"last#{run.policy}").get("status")


def _own(run: "RunIdentity", item: "Mapping[str, str]", execution: str) -> "Mapping[str, str]":
    if item and item.get("execution") != execution:
        raise RunAlreadyStarted(started_before(run, item))
    return item


def _end(run: "RunIdentity", record: "Record") -> tuple[str, str, Values, str, Values]:
    item = {
        "execution": record.execution,
        "policy": run.policy,
        "status": record.status,
        "started_at": record.started_at.isoformat(),
        "ended_at": record.ended_at.isoformat(),
        "record": record.model_dump_json(),
    }
    condition = "attribute_not_exists(pk) OR (execution = :execution AND attribute_not_exists(#record))"
    return run.instance_id, f"run#{run.run_id}", item, condition, {":execution": record.execution}


def _last(run: "RunIdentity", record: "Record") -> tuple[str, str, Values]:
    took_s = record.snapshots_took_s
    took = {} if took_s is None else {"snapshots_took_s": str(took_s)}
    return run.instance_id, f"last#{run.policy}", {"status": record.status, "run_id": run.run_id, **took}


def _has_writers(record: "Record") -> bool:
    return bool(record.shadow and record.shadow.good)


def _writers(run: "RunIdentity", record: "Record") -> tuple[str, str, Values]:
    names = record.shadow.writers if record.shadow else []
    return run.instance_id, f"writers#{run.policy}", {"writers": json.dumps(list(names)), "run_id": run.run_id}
