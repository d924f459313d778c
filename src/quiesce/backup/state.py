"""The state document of the backup machine: each function adds one key, and each error that is caught one."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from quiesce.errors import LeaseLost
from quiesce.executions import Crossing, Execution, Failure
from quiesce.guest.answers import Session
from quiesce.points.evidence import Verified
from quiesce.points.parts import Consistency, Excluded, FailedAttempt, ShadowOutcome, Snapshot, Source, Volume
from quiesce.policy.target import TargetSettings

# Errors of Freeze that it raises only before it asks the server.
NOTHING_ASKED = frozenset({LeaseLost.__name__})


class ShadowVolume(Crossing):
    """A Windows volume to make a shadow copy of; ``volume_id`` is its EBS volume, empty if the disk reports none."""

    volume_guid: str
    path: str
    volume_id: str


class ShadowPlan(Crossing):
    """The shadow copies that VSS is asked for: of ``volumes``, with their storage on those of ``homes``.

    ``homes`` are all volumes (GUID paths, in lower case) that lie on an EBS volume of the recovery point, ``elsewhere``
    the others with their paths. Writers are given by id, in lower case, but ``known_writers``: the names of those that
    took part in the policy's last good run on this server.
    """

    volumes: list[ShadowVolume]
    homes: list[str]
    elsewhere: dict[str, str] = {}
    excluded_writers: list[str] = []
    required_writers: list[str] = []
    known_writers: list[str] = []


class Plan(Crossing):
    """What Plan decided: everything that later states need to know of policy and server."""

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
    overdue: list[str] = []
    notes: list[str]
    planned_at: datetime
    calls: dict[str, int]


class Freeze(Crossing):
    """The session of one attempt, once the application is frozen or the freeze has failed, and what follows from it.

    ``session`` is None if the server did not answer.

    ``go_on`` says whether snapshots are taken, ``retry`` whether another attempt is made after ``wait_s`` seconds,
    ``retry_refused`` whether one is made if EC2 refuses the snapshots; ``known_at`` is when Freeze had the answer.
    """

    attempt: int
    session: Session | None
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
    """The attempt that the machine gives up for another one; set before its thaw."""

    attempt: int


class Thaw(Crossing):
    """The session after the after script; None where nothing was frozen."""

    session: Session | None
    calls: dict[str, int]


class Complete(Crossing):
    """The session at its end, and the overall success that Complete passed to the server.

    ``ending`` is what DiskShadow's log says of the writers: only ``completed`` means that VSS told them of the backup.
    """

    session: Session | None
    succeeded: bool
    ending: str = ""
    calls: dict[str, int]


class ImageKept(Crossing):
    """The server's initial AMI that MakeImage found or created; empty if there is none or EC2 does not list it yet."""

    image_id: str
    notes: list[str]
    calls: dict[str, int]


class SnapshotSet(Crossing):
    """What Snapshot created: the answer of the one CreateSnapshots."""

    snapshots: list[Snapshot]
    returned_at: datetime
    calls: dict[str, int]


class Awaited(Crossing):
    """What AwaitSnapshots knows so far; ``wait_s`` is the seconds until the next look.

    ``late`` says that the last look was Report's or sweep's, after AwaitSnapshots had failed or was not reached.
    """

    done: bool
    wait_s: int
    snapshots: list[Snapshot]
    adopted: bool
    looking_since: datetime
    lease_held: bool
    timed_out: bool = False
    late: bool = False
    rounds: int
    calls: dict[str, int]


Leaving = Plan | Freeze | SnapshotSet | Thaw | Awaited | Verified | Complete | ImageKept
"""What a state adds to the state document, with the AWS calls that it made."""


class RunState(BaseModel):
    """The state document of the backup machine, as any step sees it.

    Only Report and sweep set these: ``swept``, why the execution ended without a record; ``unread``, why sweep could
    not read its history; ``look_failure``, why Report could not look at the snapshots.
    """

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
    swept: Failure | None = None
    unread: Failure | None = None
    look_failure: Failure | None = None
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
        """The number of the last attempt that Freeze may have asked the server for."""
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
    def is_retrying(self) -> bool:
        """Whether the machine is between two attempts: it has given up the last one, and no state has failed since."""
        return self.given_up and self.retry_failure is None and self.freeze_failure is None

    @property
    def session(self) -> Session | None:
        """The last attempt's session as the server last reported it, None if it reported none."""
        reported = [part.session for part in (self.complete, self.thaw, self.freeze) if part]
        return next((session for session in reported if session and session.attempt == self.attempt), None)

    @property
    def shadow(self) -> ShadowOutcome | None:
        """The outcome of the last attempt's shadow copies, as Freeze judged it."""
        return self.freeze.shadow if self.freeze and self.freeze.attempt == self.attempt else None

    @property
    def snapshot_failure(self) -> Failure | None:
        """The error that explains why there are no snapshots, if a state raised one."""
        return self.failure or (self.snapshot_refused if self.snapshot is None else None)

    def steps(self) -> list[Leaving]:
        """Return what each state left, in the order of the flow."""
        parts = (self.plan, self.freeze, self.snapshot, self.thaw, self.await_snapshots, self.verify, self.complete)
        return [part for part in (*parts, self.make_image) if part]

    def needed_plan(self) -> Plan:
        """Return the plan; a state that comes after Plan has one."""
        if self.plan is None:
            raise ValueError("the state document has no plan: start the backup machine, not a state of it")
        return self.plan
