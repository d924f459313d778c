"""What crosses the boundary between the states of the backup machine: the state document grows by one key a step."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from quiesce.policy import Scripts, TargetSettings
from quiesce.session import Session


class Crossing(BaseModel):
    """What all parts share: frozen, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Execution(Crossing):
    """The Step Functions execution, as its context object names it."""

    id: str
    name: str
    started_at: datetime


class Volume(Crossing):
    """An EBS volume of the server, with what a recovery needs to make it again; ``drives`` only if Windows told."""

    volume_id: str
    device: str
    root: bool
    size_gib: int
    volume_type: str
    iops: int | None = None
    throughput_mibps: int | None = None
    encrypted: bool
    kms_key_id: str | None = None
    delete_on_termination: bool
    drives: list[str] = []


class Source(Crossing):
    """What the server is besides its volumes: what a recovery needs to launch another like it."""

    instance_type: str
    architecture: str
    boot_mode: str = ""
    image_id: str
    root_device: str
    vpc_id: str
    subnet_id: str
    availability_zone: str
    security_group_ids: list[str]
    key_name: str | None = None
    instance_profile_arn: str | None = None


class Excluded(Crossing):
    """A volume that the policy leaves out, and why."""

    volume_id: str
    device: str
    root: bool
    reason: str


class Consistency(Crossing):
    """How good a recovery point is, with the reason in words."""

    level: Literal["application", "crash", "none"]
    reason: str


class Plan(Crossing):
    """What Plan decided: everything later states need, so that nobody looks twice."""

    run_id: str
    policy: str
    owner: str
    instance_id: str
    instance_name: str
    instance_state: Literal["running", "stopped"]
    platform: str
    windows: str = ""
    settings: TargetSettings
    tags: dict[str, str]
    source: Source | None = None
    volumes: list[Volume]
    excluded: list[Excluded]
    consistency: Consistency
    freezes: bool
    notes: list[str]
    planned_at: datetime
    calls: dict[str, int]

    def needed_scripts(self) -> Scripts:
        """Return the scripts' settings; a plan that freezes has them."""
        if self.settings.scripts == "off":
            raise ValueError("the plan has no scripts: there is nothing to freeze")
        return self.settings.scripts


class Snapshot(Crossing):
    """One EBS snapshot; times in UTC. ``vanished`` is ours: EC2 no longer knows it."""

    snapshot_id: str
    volume_id: str
    size_gib: int
    state: Literal["pending", "completed", "error", "recoverable", "recovering", "vanished"]
    state_message: str = ""
    progress: str = ""
    started_at: datetime
    completed_at: datetime | None = None


class Freeze(Crossing):
    """What the session said when the application was frozen, or the before script had failed.

    ``go_on`` says whether snapshots are taken, ``known_at`` when this was known in AWS.
    """

    session: Session
    known_at: datetime
    go_on: bool
    reason: str
    calls: dict[str, int]


class Thaw(Crossing):
    """What the session said after the after script; no session where nothing was frozen."""

    session: Session | None
    calls: dict[str, int]


class Complete(Crossing):
    """What the session said at its end, and the overall success that it was told."""

    session: Session | None
    succeeded: bool
    calls: dict[str, int]


class SnapshotSet(Crossing):
    """What Snapshot created: the answer of the one CreateSnapshots."""

    snapshots: list[Snapshot]
    requested_at: datetime
    returned_at: datetime
    calls: dict[str, int]


class Awaited(Crossing):
    """What AwaitSnapshots knows so far; ``wait_s`` is when to look again, in seconds."""

    done: bool
    wait_s: int
    snapshots: list[Snapshot]
    adopted: bool
    looking_since: datetime
    lease_held: bool
    timed_out: bool = False
    rounds: int
    calls: dict[str, int]


class Failure(Crossing):
    """What a Catch kept: the error's name, and Lambda's answer as text."""

    Error: str
    Cause: str = ""


class RunState(BaseModel):
    """The state document of the backup machine, as any step sees it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    execution: Execution
    input: Any
    plan: Plan | None = None
    freeze: Freeze | None = None
    snapshot: SnapshotSet | None = None
    thaw: Thaw | None = None
    await_snapshots: Awaited | None = None
    complete: Complete | None = None
    failure: Failure | None = None
    freeze_failure: Failure | None = None
    thaw_failure: Failure | None = None
    complete_failure: Failure | None = None

    @property
    def session(self) -> Session | None:
        """The latest that the server said of its session, None if it said nothing."""
        told = (part.session for part in (self.complete, self.thaw, self.freeze) if part)
        return next((session for session in told if session), None)

    def steps(self) -> list[Plan | Freeze | SnapshotSet | Thaw | Awaited | Complete]:
        """Return what each step left, in the order of the flow."""
        left = (self.plan, self.freeze, self.snapshot, self.thaw, self.await_snapshots, self.complete)
        return [part for part in left if part]

    def needed_plan(self) -> Plan:
        """Return the plan; a state that comes after Plan has one."""
        if self.plan is None:
            raise ValueError("the state document has no plan: start the backup machine, not a state of it")
        return self.plan
