"""The table: who holds a server (the lease), which runs there were, and how a policy's last run on a server ended.

One item collection a server: ``pk`` is the instance id, ``sk`` is ``lease``, ``run#<run id>`` or ``last#<policy>``.
Every write is conditioned so that the same writer may repeat it and another one can't.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.backup.run import RunIdentity
from quiesce.errors import LeaseLost, OutcomeUnknown, RunAlreadyStarted, ServerBusy

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from quiesce.backup.recording import Record

# How long a run holds its server without word: the longest steps with their retries (a test adds them up).
LEASE_S = 1200
# The same once the application is asked: thawing and completing have the longest retries.
ASKING_LEASE_S = 8100

Item = dict[str, Any]


class Table:
    """The stack's table; all times are passed in, in UTC."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self._client, self._name = client, name

    def claim_run(self, run: RunIdentity, execution: str, now: datetime) -> None:
        """Write that this execution is the run; the same execution may do so again, until the run has ended.

        Raises:
            RunAlreadyStarted: another execution is this run, or it has ended; the message names execution and status.
        """
        item = {
            "execution": _s(execution),
            "policy": _s(run.policy),
            "started_at": _s(now.isoformat()),
            "status": _s("Running"),
        }
        condition = "attribute_not_exists(pk) OR (execution = :execution AND #status = :running)"
        names, values = {"#status": "status"}, {":execution": _s(execution), ":running": _s("Running")}
        if self._put(run.instance_id, f"run#{run.run_id}", item, condition, values, names):
            return
        raise RunAlreadyStarted(_first(run, self.run(run)))

    def run(self, run: RunIdentity) -> dict[str, str]:
        """Return what is written of a run, empty if nothing is."""
        return self._get(run.instance_id, f"run#{run.run_id}")

    def end_run(self, run: RunIdentity, record: "Record") -> bool:
        """Write a run's status and its whole record, once; False if this execution's run has a record already.

        Raises:
            RunAlreadyStarted: the run is another execution's, whose record stays as it is.
        """
        item = {
            "execution": _s(record.execution),
            "policy": _s(run.policy),
            "status": _s(record.status),
            "started_at": _s(record.started_at.isoformat()),
            "ended_at": _s(record.ended_at.isoformat()),
            "record": _s(record.model_dump_json()),
        }
        condition = "attribute_not_exists(pk) OR (execution = :execution AND attribute_not_exists(#record))"
        values, names = {":execution": _s(record.execution)}, {"#record": "record"}
        if self._put(run.instance_id, f"run#{run.run_id}", item, condition, values, names):
            return True
        first = self.run(run)
        if first.get("execution") != record.execution:
            raise RunAlreadyStarted(_first(run, first))
        return first["record"] == record.model_dump_json()

    def keep_last_status(self, run: RunIdentity, status: str) -> None:
        """Keep how the policy's last run on this server ended, for the next one's notice."""
        self._put(run.instance_id, f"last#{run.policy}", {"status": _s(status), "run_id": _s(run.run_id)}, None, {})

    def ended_record(self, run: RunIdentity, execution: str) -> str | None:
        """Return the record, as JSON, if this execution has already ended this run.

        Raises:
            RunAlreadyStarted: the run is another execution's.
        """
        first = self.run(run)
        if first and first["execution"] != execution:
            raise RunAlreadyStarted(_first(run, first))
        return first.get("record")

    def take_lease(self, run: RunIdentity, execution: str, now: datetime, until: datetime) -> None:
        """Take the server for a run; taking it again is success, and an expired lease is free.

        Raises:
            ServerBusy: another run holds it; retried by the state machine, for a bounded time.
        """
        item = {"run_id": _s(run.run_id), "execution": _s(execution), "expires_at": _n(until)}
        condition = "attribute_not_exists(pk) OR run_id = :run OR expires_at <= :now"
        if self._put(run.instance_id, "lease", item, condition, {":run": _s(run.run_id), ":now": _n(now)}):
            return
        holder = self._get(run.instance_id, "lease")
        raise ServerBusy(
            f"{run.instance_id} is being backed up by run {holder.get('run_id', 'of an unknown id')} "
            f"({holder.get('execution', 'an execution that has just ended')}); wait for it or stop it, then start again"
        )

    def keep_plan(self, run: RunIdentity, execution: str, plan: str) -> None:
        """Keep the plan with the run, for sweep, which sees no state document.

        Raises:
            RunAlreadyStarted: the run has ended meanwhile: its execution was stopped, and swept. The server is free.
        """
        condition = "execution = :execution AND #status = :running"
        names = {"#plan": "plan", "#status": "status"}
        update = {"UpdateExpression": "SET #plan = :plan", "ConditionExpression": condition}
        values = {":plan": _s(plan), ":execution": _s(execution), ":running": _s("Running")}
        if not self._update(run.instance_id, f"run#{run.run_id}", update | {"ExpressionAttributeNames": names}, values):
            # Expired is free: Plan needs no right to delete.
            self.renew_lease(run, datetime.fromtimestamp(0, UTC))
            raise RunAlreadyStarted(_first(run, self.run(run)))

    def begin_attempt(self, run: RunIdentity, attempt: str, now: datetime, until: datetime) -> None:
        """Write that the server is about to be asked to freeze, so that sweep knows that it must be thawed.

        Raises:
            LeaseLost: the run does not hold the server any more, or sweep ends it; nothing was asked of it.
        """
        mark = {"UpdateExpression": "SET attempt = :attempt", "ConditionExpression": "attribute_exists(pk)"}
        self._update(run.instance_id, f"run#{run.run_id}", mark, {":attempt": _s(attempt)})
        hold = {
            "UpdateExpression": "SET expires_at = :until",
            "ConditionExpression": "run_id = :run AND expires_at > :now AND attribute_not_exists(swept)",
        }
        values = {":run": _s(run.run_id), ":now": _n(now), ":until": _n(until)}
        if not self._update(run.instance_id, "lease", hold, values):
            raise LeaseLost(f"run {run.run_id} no longer holds {run.instance_id}; its moment has gone, start a new run")

    def renew_lease(self, run: RunIdentity, until: datetime) -> bool:
        """Hold the server longer; False if the run no longer holds it."""
        update = {"UpdateExpression": "SET expires_at = :until", "ConditionExpression": "run_id = :run"}
        return self._update(run.instance_id, "lease", update, {":run": _s(run.run_id), ":until": _n(until)})

    def release_lease(self, run: RunIdentity) -> None:
        """Free the server if this run holds it; otherwise nothing happens."""
        try:
            with repeatable("dynamodb:DeleteItem"):
                self._client.delete_item(
                    TableName=self._name,
                    Key=_key(run.instance_id, "lease"),
                    ConditionExpression="run_id = :run",
                    ExpressionAttributeValues={":run": _s(run.run_id)},
                )
        except ClientError as error:
            if code_of(error) != "ConditionalCheckFailedException":
                raise

    def mark_snapshot(self, run: RunIdentity, token: str, now: datetime) -> None:
        """Write on the lease that CreateSnapshots is about to be sent: once a run, and only while it holds the server.

        Args:
            run: whose lease it must be.
            token: of this one call of the function, so that a repeated write is told from a second function.
            now: an expired lease is refused.

        Raises:
            LeaseLost: the run does not hold the server; not retried.
            OutcomeUnknown: an earlier call of Snapshot got this far; AwaitSnapshots looks for what it left.
        """
        update = {
            "UpdateExpression": "SET snapshot_token = :token",
            "ConditionExpression": "run_id = :run AND expires_at > :now AND attribute_not_exists(swept)"
            " AND (attribute_not_exists(snapshot_token) OR snapshot_token = :token)",
        }
        values = {":run": _s(run.run_id), ":now": _n(now), ":token": _s(token)}
        if self._update(run.instance_id, "lease", update, values):
            return
        lease = self._get(run.instance_id, "lease")
        if lease.get("run_id") == run.run_id and "snapshot_token" in lease:
            raise OutcomeUnknown("an earlier try of Snapshot has sent CreateSnapshots and did not say how it ended")
        raise LeaseLost(f"run {run.run_id} no longer holds {run.instance_id}; its moment has gone, start a new run")

    def unmark_snapshot(self, run: RunIdentity, token: str) -> None:
        """Take the mark back after EC2 said for certain that nothing was created, so that a retry may send again."""
        update = {
            "UpdateExpression": "REMOVE snapshot_token",
            "ConditionExpression": "run_id = :run AND snapshot_token = :token",
        }
        self._update(run.instance_id, "lease", update, {":run": _s(run.run_id), ":token": _s(token)})

    def bar(self, run: RunIdentity) -> None:
        """Forbid this run to freeze or to create snapshots from now on; whoever was faster has left its mark.

        A function outlives its execution, and one that is still starting must not act behind sweep's back.
        """
        update = {"UpdateExpression": "SET swept = :run", "ConditionExpression": "run_id = :run"}
        self._update(run.instance_id, "lease", update, {":run": _s(run.run_id)})

    def has_sent_snapshot(self, run: RunIdentity) -> bool:
        """Say whether the run holds the server and has marked that CreateSnapshots is about to be sent."""
        lease = self._get(run.instance_id, "lease")
        return lease.get("run_id") == run.run_id and "snapshot_token" in lease

    def last_status(self, run: RunIdentity) -> str | None:
        """Return how the policy's last run on this server ended, None before the first."""
        return self._get(run.instance_id, f"last#{run.policy}").get("status")

    def _put(
        self, pk: str, sk: str, item: Item, condition: str | None, values: Item, names: dict[str, str] | None = None
    ) -> bool:
        extra: Item = {"ConditionExpression": condition, "ExpressionAttributeValues": values} if condition else {}
        if names:
            extra["ExpressionAttributeNames"] = names
        try:
            with repeatable("dynamodb:PutItem"):
                self._client.put_item(TableName=self._name, Item={**_key(pk, sk), **item}, **extra)
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _update(self, pk: str, sk: str, update: Item, values: Item) -> bool:
        try:
            with repeatable("dynamodb:UpdateItem"):
                self._client.update_item(
                    TableName=self._name, Key=_key(pk, sk), ExpressionAttributeValues=values, **update
                )
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _get(self, pk: str, sk: str) -> dict[str, str]:
        with repeatable("dynamodb:GetItem"):
            answer = self._client.get_item(TableName=self._name, Key=_key(pk, sk), ConsistentRead=True)
        return {name: str(next(iter(value.values()))) for name, value in answer.get("Item", {}).items()}


def _first(run: RunIdentity, first: dict[str, str]) -> str:
    return (
        f"run {run.run_id} was started before, by {first.get('execution', 'an unknown execution')}, and is "
        f"{first.get('status', 'unknown')}; nothing was changed. To back up again, start an execution under a new name."
    )


def _s(value: str) -> Item:
    return {"S": value}


def _n(moment: datetime) -> Item:
    return {"N": str(int(moment.timestamp()))}


def _key(pk: str, sk: str) -> Item:
    return {"pk": _s(pk), "sk": _s(sk)}
