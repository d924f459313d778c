"""Runs in the table: which run holds a server (the lease), and which runs there were.

One item collection per server: ``pk`` is the instance id, ``sk`` is ``lease``, ``run#<run id>``, ``last#<policy>`` or
``writers#<policy>``. The conditions of writes let the same writer repeat one, and stop another writer.
How runs end is in ``aws.backup.endings``.
"""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from quiesce.aws.items import Items, Values, Write
from quiesce.errors import LeaseLost, OutcomeUnknown, RunAlreadyStarted, ServerBusy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from quiesce.backup.run import RunIdentity

# How long a run holds its server without renewal: the longest steps with their retries (a test adds them up).
LEASE_S = 1200
# The same from Freeze on: Thaw and Complete have the longest retries.
ASKING_LEASE_S = 11760
# What a call writes on the lease before it sends what must not be sent twice: CreateSnapshots, and AWS's document.
SNAPSHOT, DOCUMENT = "snapshot_token", "document_token"
# How the id begins under which the doctor holds a server while it changes something there.
DOCTORS = "fix-"


class Runs:
    """The runs in the stack's table; the caller passes all times, in UTC."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def claim(self, run: "RunIdentity", execution: str, plan: str, now: datetime, until: datetime) -> None:
        """Claim a run's id for an execution, keep its plan for Sweep, and take the server: all at once, or nothing.

        Doing it again is success until the run has ended, and an expired lease is free.

        Raises:
            RunAlreadyStarted: another execution holds the id, or the run has ended; it names execution and status.
            ServerBusy: another run holds the server; retried by the state machine, for a bounded time.
        """
        item = {"execution": execution, "policy": run.policy, "started_at": now.isoformat(), "status": "Running"}
        condition = "attribute_not_exists(pk) OR (execution = :execution AND #status = :running)"
        values = {":execution": execution, ":running": "Running"}
        claimed = Write.put(run.instance_id, f"run#{run.run_id}", {**item, "plan": plan}, condition, values)
        if self._items.write_together(claimed, Write.put(*_lease(run, execution, now, until))):
            return
        first = self.run(run)
        if first and (first.get("execution") != execution or first.get("status") != "Running"):
            raise RunAlreadyStarted(started_before(run, first))
        raise self._busy(run)

    def take_lease(self, run: "RunIdentity", execution: str, now: datetime, until: datetime) -> None:
        """Take the server for a run; taking it again is success, and an expired lease is free.

        Raises:
            ServerBusy: another run holds it; retried by the state machine, for a bounded time.
        """
        if not self._items.put(*_lease(run, execution, now, until)):
            raise self._busy(run)

    def _busy(self, run: "RunIdentity") -> ServerBusy:
        holder = self._items.read(run.instance_id, "lease")
        name = holder.get("run_id", "of an unknown id")
        doing = "changed by the doctor's" if name.startswith(DOCTORS) else "backed up by run"
        return ServerBusy(
            f"{run.instance_id} is being {doing} {name} "
            f"({holder.get('execution', 'an execution that has just ended')}); wait for it or stop it, then start again"
        )

    def begin_attempt(self, run: "RunIdentity", attempt: int, plan: str, now: datetime, until: datetime) -> None:
        """Mark that Freeze is about to ask the server, so that Sweep knows that it must thaw it, by which plan.

        Raises:
            LeaseLost: the run no longer holds the server, or Sweep is ending the run; the server was not asked.
        """
        noted: Values = {":attempt": str(attempt), ":plan": plan}
        mark = "SET attempt = :attempt, #plan = :plan"
        hold = "run_id = :run AND expires_at > :now AND attribute_not_exists(swept)"
        values: Values = {":run": run.run_id, ":now": now, ":until": until}
        marked = Write.update(run.instance_id, f"run#{run.run_id}", mark, "attribute_exists(pk)", noted)
        held = Write.update(run.instance_id, "lease", "SET expires_at = :until", hold, values)
        if not self._items.write_together(marked, held):
            raise LeaseLost(_lost(run))

    def run(self, run: "RunIdentity") -> dict[str, str]:
        """Return the item of a run, empty if there is none."""
        return self._items.read(run.instance_id, f"run#{run.run_id}")

    def renew_lease(self, run: "RunIdentity", until: datetime) -> bool:
        """Hold the server longer; False if the run no longer holds it."""
        values: Values = {":run": run.run_id, ":until": until}
        return self._items.update(run.instance_id, "lease", "SET expires_at = :until", "run_id = :run", values)

    def release_lease(self, run: "RunIdentity") -> None:
        """Free the server if this run holds it; otherwise nothing happens."""
        self._items.delete(run.instance_id, "lease", "run_id = :run", {":run": run.run_id})

    def mark_snapshot(self, run: "RunIdentity", token: str, now: datetime) -> None:
        """Mark on the lease that Snapshot is about to send CreateSnapshots: once per run, while it holds the server.

        Args:
            run: whose lease it must be.
            token: of this call of the function, which distinguishes a repeated write from a second call.
            now: a lease that has expired by now does not count.

        Raises:
            LeaseLost: the run does not hold the server; not retried.
            OutcomeUnknown: an earlier call of Snapshot got this far; AwaitSnapshots looks for what it left.
        """
        if not self._mark(run, SNAPSHOT, token, now):
            raise OutcomeUnknown("an earlier try of Snapshot has sent CreateSnapshots and recorded no outcome")

    def unmark_snapshot(self, run: "RunIdentity", token: str) -> None:
        """Remove the mark once EC2's answer shows that it created nothing, so that a retry may send again."""
        self._unmark(run, SNAPSHOT, token)

    def mark_document(self, run: "RunIdentity", token: str, now: datetime) -> bool:
        """Mark on the lease that SnapshotByAws is about to send AWS's document, as ``mark_snapshot`` does.

        Returns:
            False if an earlier call got this far: it may have sent the document, and this one sends nothing.

        Raises:
            LeaseLost: the run does not hold the server; not retried.
        """
        return self._mark(run, DOCUMENT, token, now)

    def unmark_document(self, run: "RunIdentity", token: str) -> None:
        """Remove the mark once the answer shows that SSM took no command, so that a retry may send again."""
        self._unmark(run, DOCUMENT, token)

    def _mark(self, run: "RunIdentity", name: str, token: str, now: datetime) -> bool:
        """Write a call's token on the lease; False if it has the token of another call."""
        condition = (
            "run_id = :run AND expires_at > :now AND attribute_not_exists(swept)"
            f" AND (attribute_not_exists({name}) OR {name} = :token)"
        )
        values: Values = {":run": run.run_id, ":now": now, ":token": token}
        if self._items.update(run.instance_id, "lease", f"SET {name} = :token", condition, values):
            return True
        if self._has_mark(run, name):
            return False
        raise LeaseLost(_lost(run))

    def _unmark(self, run: "RunIdentity", name: str, token: str) -> None:
        condition, values = f"run_id = :run AND {name} = :token", {":run": run.run_id, ":token": token}
        self._items.update(run.instance_id, "lease", f"REMOVE {name}", condition, values)

    def _has_mark(self, run: "RunIdentity", *names: str) -> bool:
        lease = self._items.read(run.instance_id, "lease")
        return lease.get("run_id") == run.run_id and any(name in lease for name in names)

    def bar(self, run: "RunIdentity") -> None:
        """Forbid this run to freeze or to create snapshots from now on; a step that was faster has left its mark.

        A function outlives its execution, and one that is still starting must not act while Sweep ends the run.
        """
        self._items.update(run.instance_id, "lease", "SET swept = :run", "run_id = :run", {":run": run.run_id})

    def has_sent_snapshot(self, run: "RunIdentity") -> bool:
        """Return whether the run holds the server and has marked that it is about to have snapshots made."""
        return self._has_mark(run, SNAPSHOT, DOCUMENT)

    def last_snapshots_took_s(self, run: "RunIdentity") -> int | None:
        """Return how long the snapshots of the policy's last run on this server took; None unless all completed."""
        took = self._items.read(run.instance_id, f"last#{run.policy}").get("snapshots_took_s")
        return int(took) if took and took.isdecimal() else None

    def last_writers(self, run: "RunIdentity") -> list[str]:
        """Return the writers that took part in the policy's last good run on this server, empty before the first."""
        writers: list[str] = json.loads(self._items.read(run.instance_id, f"writers#{run.policy}").get("writers", "[]"))
        return writers


def _lease(run: "RunIdentity", execution: str, now: datetime, until: datetime) -> tuple[str, str, Values, str, Values]:
    item: Values = {"run_id": run.run_id, "execution": execution, "expires_at": until}
    condition = "attribute_not_exists(pk) OR run_id = :run OR expires_at <= :now"
    return run.instance_id, "lease", item, condition, {":run": run.run_id, ":now": now}


def started_before(run: "RunIdentity", first: "Mapping[str, str]") -> str:
    """Return which execution has a run's id, and how it stands with it."""
    return (
        f"run {run.run_id} was started before, by {first.get('execution', 'an unknown execution')}, and is "
        f"{first.get('status', 'unknown')}; nothing was changed. To back up again, start an execution under a new name."
    )


def _lost(run: "RunIdentity") -> str:
    return f"run {run.run_id} no longer holds {run.instance_id}; it is too late to go on, start a new run"
