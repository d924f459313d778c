"""What crosses the boundary between the states of the backup machine: the state document grows by one key a step."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from quiesce.guest.answers import Session
from quiesce.points.evidence import Verified
from quiesce.policy.policy import TargetSettings

# Errors of Freeze after which the server was certainly not asked.
NOTHING_ASKED = frozenset({"LeaseLost"})


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


class ShadowVolume(Crossing):
    """A volume of Windows of which a shadow copy is made; ``volume_id`` is the EBS volume, empty if nobody can tell."""

    volume_guid: str
    path: str
    volume_id: str


class ShadowPlan(Crossing):
    """What VSS is asked for: shadow copies of these volumes, whose storage may lie on those of ``homes``.

    ``homes`` are all volumes (GUID paths, in lower case) that lie on an EBS volume of the recovery point, ``elsewhere``
    the others with their paths. Writers are told by their ids, in lower case.
    """

    volumes: list[ShadowVolume]
    homes: list[str]
    elsewhere: dict[str, str] = {}
    excluded_writers: list[str] = []
    required_writers: list[str] = []


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
    shadow: ShadowPlan | None = None
    no_shadow: str = ""
    notes: list[str]
    planned_at: datetime
    calls: dict[str, int]


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
    archived: bool = False


class ShadowCopy(Crossing):
    """A shadow copy inside the recovery point, with what a recovery needs to find it.

    ``storage_guid`` is the volume on which its storage lies, empty if the server did not say.
    """

    shadow_id: str
    volume_guid: str
    path: str
    volume_id: str
    storage_guid: str


class ShadowOutcome(Crossing):
    """What became of an attempt's shadow copies: ``good`` only if nothing speaks against them.

    ``wait_s`` is after how long VSS says that another attempt is worth it, None if it is not.
    """

    good: bool
    kind: str
    reason: str
    hresults: list[str] = []
    wait_s: int | None = None
    set_id: str = ""
    copies: list[ShadowCopy] = []
    writers: list[str] = []
    notes: list[str] = []


class FailedAttempt(Crossing):
    """An attempt that was given up for another one, and why."""

    attempt: int
    reason: str
    ended_at: datetime


class Freeze(Crossing):
    """What the session of one attempt said when the application was frozen, or that had failed.

    ``go_on`` says whether snapshots are taken, ``retry`` whether another attempt is made after ``wait_s`` seconds,
    ``retry_refused`` whether one is made if EC2 refuses the snapshots, ``known_at`` when this was known in AWS.
    """

    attempt: int
    session: Session
    shadow: ShadowOutcome | None
    known_at: datetime
    go_on: bool
    retry: bool
    retry_refused: bool
    crash_allowed: bool
    wait_s: int
    reason: str
    earlier: list[FailedAttempt]
    calls: dict[str, int]


class Retrying(Crossing):
    """The attempt that was given up for another one, kept when its thaw begins."""

    attempt: int


class Thaw(Crossing):
    """What the session said after the after script; no session where nothing was frozen."""

    session: Session | None
    calls: dict[str, int]


class Complete(Crossing):
    """What the session said at its end, and the overall success that it was told.

    ``ending`` is what DiskShadow's log says of the writers: only ``completed`` means that they know of the backup.
    """

    session: Session | None
    succeeded: bool
    ending: str = ""
    calls: dict[str, int]


class ImageKept(Crossing):
    """What MakeImage found or made: the server's initial AMI, empty if there is none or EC2 does not list it yet."""

    image_id: str
    notes: list[str]
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
    verify: Verified | None = None
    complete: Complete | None = None
    make_image: ImageKept | None = None
    retrying: Retrying | None = None
    swept_attempt: int | None = None
    failure: Failure | None = None
    freeze_failure: Failure | None = None
    snapshot_refused: Failure | None = None
    thaw_failure: Failure | None = None
    retry_failure: Failure | None = None
    verify_failure: Failure | None = None
    complete_failure: Failure | None = None
    make_image_failure: Failure | None = None

    @property
    def attempt(self) -> int:
        """The attempt that was begun last, so far as it was asked of the server at all."""
        if self.swept_attempt is not None:
            return self.swept_attempt
        if self.freeze is None:
            return 1
        asked = self.freeze_failure is not None and self.freeze_failure.Error not in NOTHING_ASKED
        return self.freeze.attempt + asked

    @property
    def given_up(self) -> bool:
        """Whether the last attempt was thawed to make room for another one."""
        return self.retrying is not None and self.retrying.attempt == self.attempt

    @property
    def session(self) -> Session | None:
        """The latest that the server said of the last attempt's session, None if it said nothing."""
        told = [part.session for part in (self.complete, self.thaw, self.freeze) if part]
        return next((session for session in told if session and session.attempt == self.attempt), None)

    @property
    def shadow(self) -> ShadowOutcome | None:
        """What became of the last attempt's shadow copies, as Freeze knew it."""
        return self.freeze.shadow if self.freeze and self.freeze.attempt == self.attempt else None

    @property
    def snapshot_failure(self) -> Failure | None:
        """Why there are no snapshots, as far as a state's error says it."""
        return self.failure or (self.snapshot_refused if self.snapshot is None else None)

    def steps(self) -> list[Plan | Freeze | SnapshotSet | Thaw | Awaited | Verified | Complete | ImageKept]:
        """Return what each step left, in the order of the flow."""
        asked = (self.plan, self.freeze, self.snapshot, self.thaw, self.await_snapshots, self.verify, self.complete)
        return [part for part in (*asked, self.make_image) if part]

    def needed_plan(self) -> Plan:
        """Return the plan; a state that comes after Plan has one."""
        if self.plan is None:
            raise ValueError("the state document has no plan: start the backup machine, not a state of it")
        return self.plan
