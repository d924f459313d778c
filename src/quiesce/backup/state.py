"""The state document of the backup machine: each function adds one key, and each error that is caught one."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from quiesce.errors import LeaseLost
from quiesce.executions import Crossing, Execution, Failure
from quiesce.guest.cluster_node import ClusterNode
from quiesce.guest.sessions import Session, with_listing
from quiesce.points.parts import Consistency, Excluded, FailedAttempt, ShadowOutcome, Snapshot, Source, Volume
from quiesce.policy.target import TargetSettings
from quiesce.revert.built import Reverted
from quiesce.revert.request import VerifiedRun
from quiesce.vss.plan import ShadowPlan

# Errors of Freeze that it raises only before it asks the server.
NOTHING_ASKED = frozenset({LeaseLost.__name__})


class Plan(Crossing):
    """What Plan decided: everything that later states need to know of policy and server.

    ``documents`` has of each SSM document, by name, the version that the run sends; none if it asks no server.
    ``cluster`` is the server's node of one, if the policy asks; ``skipped`` is why it is passive: then Report is next.
    ``nonce`` is stage's: the server asks for it to take the backup for good. No log, record or mail has it.
    """

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
    cluster: ClusterNode | None = None
    skipped: str = ""
    documents: dict[str, str] = {}
    shadow: ShadowPlan | None = None
    no_shadow: str = ""
    nonce: str = Field("", repr=False)
    overdue: list[str] = []
    notes: list[str]
    planned_at: datetime
    calls: dict[str, int]

    @property
    def by_aws(self) -> bool:
        """Whether AWS's document makes the snapshots."""
        return self.freezes and self.settings.aws_vss is not None and not self.no_shadow


class Freeze(Crossing):
    """The session of one attempt, once the application is frozen or the freeze has failed, and what follows from it.

    ``session`` is None without an answer, which came at ``known_at``. ``go_on``: snapshots are taken, by AWS's document
    if ``by_aws``. ``retry``: another attempt follows after ``wait_s`` seconds; ``retry_refused``: if EC2 refuses them.
    """

    attempt: int
    session: Session | None
    shadow: ShadowOutcome | None
    known_at: datetime
    go_on: bool
    retry: bool
    retry_refused: bool
    crash_allowed: bool
    by_aws: bool = False
    wait_s: int
    reason: str
    earlier: list[FailedAttempt]
    calls: dict[str, int]


class Retrying(Crossing):
    """The attempt that the machine gives up for another one; set before its thaw."""

    attempt: int


class Thaw(Crossing):
    """The session after the after script, None where nothing was frozen; ``listing``: see ``without_listing``."""

    session: Session | None
    listing: str = ""
    calls: dict[str, int]


class Complete(Crossing):
    """The session at its end, and the overall success that Complete passed to the server.

    ``ending`` is what DiskShadow's log says of the writers: only ``completed`` means that VSS told them of the backup.
    ``listing`` is empty if it is that of ``Thaw``.
    """

    session: Session | None
    listing: str = ""
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


class ByAws(Crossing):
    """What came of AWS's document by ``ended_at``; ``fall_back``: nothing, and the policy allows plain snapshots."""

    command_id: str
    succeeded: bool
    reason: str
    snapshots: list[Snapshot]
    fall_back: bool
    ended_at: datetime
    calls: dict[str, int]


class Awaited(Crossing):
    """What AwaitSnapshots knows so far: it looks again in ``wait_s`` seconds, and renewed the lease to ``held_until``.

    ``others``: AWS's document's second set. ``late``: Report or sweep looked last. ``expected_s``: by the last run.
    """

    done: bool
    wait_s: int
    snapshots: list[Snapshot]
    adopted: bool
    looking_since: datetime
    lease_held: bool
    held_until: datetime | None = None
    expected_s: int | None = None
    timed_out: bool = False
    others: list[str] = []
    late: bool = False
    rounds: int
    calls: dict[str, int]


Leaving = Plan | Freeze | ByAws | SnapshotSet | Thaw | Awaited | VerifiedRun | Complete | ImageKept
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
    snapshot_by_aws: ByAws | None = None
    snapshot: SnapshotSet | None = None
    thaw: Thaw | None = None
    await_snapshots: Awaited | None = None
    verify: VerifiedRun | None = None
    revert: Reverted | None = None
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
    revert_failure: Failure | None = None
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
        later = [(part.session, part.listing) for part in (self.complete, self.thaw) if part]
        told = [*later, (self.freeze and self.freeze.session, "")]
        own = [(session, listing) for session, listing in told if session and session.attempt == self.attempt]
        return with_listing(own[0][0], next((listing for _, listing in own if listing), "")) if own else None

    @property
    def shadow(self) -> ShadowOutcome | None:
        """What Freeze judged the last attempt's shadow copies to be; with their storage after Thaw."""
        outcome = self.freeze.shadow if self.freeze and self.freeze.attempt == self.attempt else None
        told = self.session and self.session.shadow and self.session.shadow.storage
        return outcome and outcome.stored(told or [])

    @property
    def snapshot_failure(self) -> Failure | None:
        """The error that explains why there are no snapshots, if a state raised one."""
        return self.failure or (self.snapshot_refused if self.snapshot is None else None)

    def steps(self) -> list[Leaving]:
        """Return what each state left, in the order of the flow."""
        before = (self.plan, self.freeze, self.snapshot_by_aws, self.snapshot, self.thaw, self.await_snapshots)
        return [part for part in (*before, self.verify, self.complete, self.make_image) if part]

    def needed_plan(self) -> Plan:
        """Return the plan; a state that comes after Plan has one."""
        if self.plan is None:
            raise ValueError("the state document has no plan: start the backup machine, not a state of it")
        return self.plan
