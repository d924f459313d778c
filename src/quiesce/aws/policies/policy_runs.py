"""Policy runs in the table: which there were, what their servers' runs left, and how a policy's last one ended.

``pk`` is ``policy-run#<id>`` with ``sk`` ``run`` or ``target#<instance id>``, or ``policy#<name>`` with ``last-run``.
"""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from quiesce.aws.items import Items, Values, Write
from quiesce.errors import RunAlreadyStarted
from quiesce.policy_run.state import Ended, Found, Summary

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from quiesce.policy_run.input import PolicyRunIdentity


class PolicyRuns:
    """The policy runs in the stack's table; the caller passes all times, in UTC."""

    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._items = Items(client, table)

    def claim(self, run: "PolicyRunIdentity", now: datetime) -> None:
        """Claim a policy run's id for an execution, which may repeat this until it is summarized.

        Raises:
            RunAlreadyStarted: another execution holds the id; nothing was changed.
        """
        item = {"execution": run.execution, "policy": run.policy, "started_at": now.isoformat()}
        condition = "attribute_not_exists(pk) OR (execution = :execution AND attribute_not_exists(#summary))"
        if self._items.put(_partition(run.run_id), "run", item, condition, {":execution": run.execution}):
            return
        first = self.item(run).get("execution", "an unknown execution")
        words = "nothing was changed. To back up again, start an execution under a new name."
        raise RunAlreadyStarted(f"policy run {run.run_id} was started before, by {first}; {words}")

    def keep_found(self, run: "PolicyRunIdentity", found: Found) -> None:
        """Keep what Resolve found, for the summary."""
        values = {":found": found.model_dump_json(), ":execution": run.execution}
        self._items.update(_partition(run.run_id), "run", "SET #found = :found", "execution = :execution", values)

    def item(self, run: "PolicyRunIdentity") -> dict[str, str]:
        """Return the item of a policy run, empty if there is none."""
        return self._items.read(_partition(run.run_id), "run")

    def begin_target(self, policy_run: str, instance_id: str, execution: str) -> None:
        """Note that a server's run has begun, unless it has ended; the first execution that begins it counts."""
        begun = json.dumps({"instance_id": instance_id, "execution": execution})
        key = _partition(policy_run), f"target#{instance_id}"
        condition = "attribute_not_exists(#ended) AND (attribute_not_exists(#begun) OR #begun = :begun)"
        self._items.update(*key, "SET #begun = :begun", condition, {":begun": begun})

    def end_target(self, policy_run: str, ended: Ended) -> None:
        """Keep how a server's run ended; the first end counts, as does the first record."""
        self._items.update(*_target_end(policy_run, ended))

    @staticmethod
    def target_end(policy_run: str, ended: Ended) -> Write:
        """Return what keeps how a server's run ended, for a write that has more to do; it fails after the first end."""
        return Write.update(*_target_end(policy_run, ended))

    def ends(self, run: "PolicyRunIdentity") -> dict[str, Ended]:
        """Return what the servers' ended runs left, by instance id."""
        found = map(Ended.model_validate_json, self._items.query(_partition(run.run_id), "target#", "ended"))
        return {ended.instance_id: ended for ended in found}

    def begun(self, run: "PolicyRunIdentity") -> dict[str, str]:
        """Return the executions of the servers' runs that have begun, ended or not, by instance id."""
        found = map(json.loads, self._items.query(_partition(run.run_id), "target#", "begun"))
        return {begun["instance_id"]: begun["execution"] for begun in found}

    def end(self, run: "PolicyRunIdentity", summary: Summary) -> bool:
        """Keep a policy run's summary, once; False if it has one, or another execution holds its id."""
        values = {":summary": summary.model_dump_json(), ":execution": run.execution}
        condition = "attribute_not_exists(pk) OR (execution = :execution AND attribute_not_exists(#summary))"
        change = "SET #summary = :summary, execution = :execution"
        return self._items.update(_partition(run.run_id), "run", change, condition, values)

    def last_status(self, policy: str) -> str | None:
        """Return how a policy's last policy run ended, None before the first."""
        return self._items.read(f"policy#{policy}", "last-run").get("status")

    def keep_last_status(self, run: "PolicyRunIdentity", status: str) -> None:
        """Keep how a policy's last policy run ended, for the next one's mail."""
        self._items.put(f"policy#{run.policy}", "last-run", {"status": status, "run_id": run.run_id})


def _target_end(policy_run: str, ended: Ended) -> tuple[str, str, str, str, Values]:
    key, values = (_partition(policy_run), f"target#{ended.instance_id}"), {":ended": ended.model_dump_json()}
    return *key, "SET #ended = :ended", "attribute_not_exists(#ended)", values


def _partition(policy_run: str) -> str:
    return f"policy-run#{policy_run}"
