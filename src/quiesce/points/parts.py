"""The parts of a recovery point: volumes, snapshots, shadow copies, and their consistency."""

from datetime import datetime
from typing import Literal

from quiesce.executions import Crossing


class Volume(Crossing):
    """An EBS volume of the server, with what a recovery needs to make it again; ``drives`` if Windows named them."""

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
    """The server without its volumes: what a recovery needs to launch another like it."""

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
    """The consistency of a recovery point, with the reason in words."""

    level: Literal["application", "crash", "none"]
    reason: str


class Snapshot(Crossing):
    """One EBS snapshot; times in UTC. ``vanished`` is quiesce's own state: EC2 no longer knows the snapshot."""

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

    ``storage_guid`` is the volume that holds its storage, empty if the server did not report it.
    """

    shadow_id: str
    volume_guid: str
    path: str
    volume_id: str
    storage_guid: str


class ShadowOutcome(Crossing):
    """What became of an attempt's shadow copies: ``good`` only if nothing speaks against them.

    ``wait_s`` is how long to wait before another attempt, by VSS's errors, None if waiting does not help.
    ``gone_writers`` took part in the policy's last good run on this server and not in this one.
    """

    good: bool
    kind: str
    reason: str
    hresults: list[str] = []
    wait_s: int | None = None
    set_id: str = ""
    copies: list[ShadowCopy] = []
    writers: list[str] = []
    gone_writers: list[str] = []
    notes: list[str] = []


class FailedAttempt(Crossing):
    """An attempt that the run gave up for another one, and why."""

    attempt: int
    reason: str
    ended_at: datetime
