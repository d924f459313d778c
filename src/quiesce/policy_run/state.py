"""What crosses the policy machine's states, and what its table and bucket keep."""

from datetime import datetime
from typing import Any, Literal

from quiesce.executions import Crossing, Execution, Failure

Status = Literal["Successful", "PartiallySuccessful", "Failed", "Skipped"]
# What became of one server: its run's own status, or why there is none.
Outcome = Literal["Successful", "PartiallySuccessful", "Failed", "Skipped", "Unreported", "NotStarted"]


class OfPolicyRun(Crossing):
    """How a server's run knows its policy run: its id, which of the policy's ``targets`` it is, and who started it."""

    id: str
    target: int
    started_by: str | None = None


class Item(Crossing):
    """One server for the Distributed Map: its run's name, the seconds that it waits first, and its run's input."""

    name: str
    wait_s: int
    policy: str
    instance_id: str
    policy_run: OfPolicyRun


class Resolve(Crossing):
    """How many servers are backed up, how many at the same time, and where the list of them lies in the bucket.

    ``policy`` and ``policy_run`` name both for the retention machine, ``has_rule`` says whether it may have work.
    ``skipped``: why this policy run backs up nothing, by its schedule's rules; empty if it does.
    """

    servers: int
    max_concurrency: int
    items: str
    policy: str
    policy_run: str
    has_rule: bool
    skipped: str = ""


class Found(Crossing):
    """What Resolve keeps for the summary."""

    servers: int
    notes: list[str]
    warnings: list[str]
    skipped: str = ""


class Ended(Crossing):
    """What a server's run left of itself for its policy run; ``remark`` is what a person must hear in any case."""

    instance_id: str
    instance_name: str = ""
    run_id: str
    status: Outcome
    reason: str
    consistency: str = "none"
    remark: str = ""
    record: str = ""


class Summary(Crossing):
    """What a policy run came to; ``worst`` has at most 20 servers, ``all`` is the place of the list of all of them."""

    policy: str
    run_id: str
    status: Status
    reason: str
    servers: int
    by_status: dict[str, int]
    by_consistency: dict[str, int]
    worst: list[Ended]
    remarks: dict[str, int]
    notes: list[str]
    warnings: list[str]
    scheduled_time: str | None
    schedule: str | None
    started_by: str = ""
    started_at: datetime
    ended_at: datetime
    failure: str
    all: str
    execution: str

    @property
    def attention(self) -> str:
        """The headline of its mail; ``Successful`` if it needs none by itself."""
        if self.status in ("Failed", "PartiallySuccessful"):
            return self.status
        remark = next(iter(self.remarks), "")
        return remark or (f"{self.status}, with a warning" if self.warnings else "Successful")


class Summarize(Crossing):
    """Whether the policy run is summarized; if not, after how many seconds to look again, and how often that was."""

    done: bool
    wait_s: int = 0
    looks: int = 0
    status: str = ""
    reason: str = ""
    summary: Summary | None = None


class PolicyRunState(Crossing):
    """The policy machine's state document."""

    execution: Execution
    input: Any
    resolve: Resolve | None = None
    failure: Failure | None = None
    retention_failure: Failure | None = None
    summarize: Summarize | None = None
