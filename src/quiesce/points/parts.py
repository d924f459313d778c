"""The parts of a recovery point: volumes, snapshots, shadow copies, and their consistency."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self

from quiesce.executions import Crossing
from quiesce.guest.sessions import ShadowStorage


class Device(Crossing):
    """An EBS volume and the device name at which the server has it."""

    volume_id: str
    device: str


class Volume(Device):
    """An EBS volume of the server, with what a recovery needs to make it again; ``drives`` if Windows named them."""

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
    """The server without its volumes: what a recovery needs to launch another like it.

    What an older record does not have is empty: it is then not known, and a recovery lists it as the person's task.
    ``usage_operation`` and ``product_codes`` are its licence, ``private_ip`` and ``public_ip`` its addresses at the
    time, ``interfaces`` the ids of its further network interfaces.
    """

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
    usage_operation: str = ""
    product_codes: list[str] = []
    private_ip: str = ""
    public_ip: str = ""
    tags: dict[str, str] = {}
    metadata_options: dict[str, str | int] = {}
    tenancy: str = ""
    host_id: str = ""
    placement_group: str = ""
    cpu_options: dict[str, int] = {}
    interfaces: list[str] = []


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
    """One EBS snapshot; times in UTC. ``vanished`` is quiesce's own state: EC2 no longer knows the snapshot.

    ``app_consistent``: AWS's document for VSS has tagged it as consistent.
    """

    snapshot_id: str
    volume_id: str
    size_gib: int
    state: Literal["pending", "completed", "error", "recoverable", "recovering", "vanished"]
    state_message: str = ""
    progress: str = ""
    started_at: datetime
    completed_at: datetime | None = None
    archived: bool = False
    app_consistent: bool = False


class ShadowCopy(Crossing):
    """A shadow copy inside the recovery point, with what a recovery needs to find it.

    ``storage_guid`` is the volume that holds its storage, empty if the server did not report it.
    """

    shadow_id: str
    volume_guid: str
    path: str
    volume_id: str
    storage_guid: str


class ListedWriter(Crossing):
    """A writer as Windows lists it after ``create``.

    ``state`` is VSS's word for it, such as ``STABLE``; ``error`` is empty if it reports none. ``part``: took part with
    all of its components (``whole``), with ``some``, with ``none``, or was ``excluded`` by the policy.
    """

    name: str
    writer_id: str
    state: str
    error: str = ""
    part: Literal["whole", "some", "none", "excluded"]


class ShadowOutcome(Crossing):
    """What became of an attempt's shadow copies: ``good`` only if nothing speaks against them.

    ``wait_s`` is how long to wait before another attempt, by VSS's errors, None if waiting does not help.
    ``gone_writers`` took part in the policy's last good run on this server and not in this one; ``listed`` are all that
    Windows has.
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
    listed: list[ListedWriter] = []
    notes: list[str] = []

    def stored(self, places: Sequence[ShadowStorage]) -> Self:
        """Return the outcome with where each copy keeps its blocks, as Windows says; unchanged if it says nothing."""
        homes = {place.volume_guid.lower(): place.storage_guid.lower() for place in places}
        copies = [copy.model_copy(update={"storage_guid": homes.get(copy.volume_guid, "")}) for copy in self.copies]
        return self.model_copy(update={"copies": copies}) if places else self


class FailedAttempt(Crossing):
    """An attempt that the run gave up for another one, and why."""

    attempt: int
    reason: str
    ended_at: datetime
