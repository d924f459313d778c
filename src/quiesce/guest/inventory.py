"""The server's inventory, as the server reports it: its Windows, and which drives lie on which EBS volumes."""

import re

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_pascal

from quiesce.errors import AnswerUnreadable, GuestRefused
from quiesce.guest.answers import Answer
from quiesce.guest.examination import ClusterFacts, Told
from quiesce.guest.manifest import OverdueSession, StrangeSessions
from quiesce.guest.sessions import GuestModel, ShadowStorage

# The first with which AWS's own policy for servers works, AWSEC2VssSnapshotPolicy (EC2's User Guide).
OLDEST_AWS = (2, 3, 1)
AWS_VERSION = re.compile(r"(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:\.\d{1,6})?")

# On Nitro a disk's serial number is the volume's id, without its dash (EC2's guide on NVMe disks of Windows).
SERIAL = re.compile(r"vol-?([0-9a-f]{8}(?:[0-9a-f]{9})?)(?:_.*)?")


def volume_of(serial: str | None) -> str | None:
    """Return the EBS volume's id, if a disk's serial number has it: on Nitro, not on Xen."""
    found = SERIAL.fullmatch((serial or "").strip())
    return f"vol-{found[1]}" if found else None


class Windows(GuestModel):
    """The server's Windows; None for what Windows does not report."""

    version: str | None
    name: str | None
    installation: str | None
    product_type: int | None


class PowerShell(GuestModel):
    """The PowerShell in which the server's part of quiesce runs."""

    version: str
    language_mode: str


class Drive(GuestModel):
    """A volume of Windows: ``path`` is its letter or folder, empty if it has none; None for what is not reported."""

    path: str
    volume_guid: str
    file_system: str | None
    size_bytes: int | None
    free_bytes: int | None
    disk_number: int | None
    serial: str | None
    scsi_target: int | None

    @property
    def volume_id(self) -> str | None:
        """The EBS volume's id, if the disk's serial number has it."""
        return volume_of(self.serial)


class Disk(BaseModel):
    """A disk as Windows lists it, with or without volumes; it does not list the disks that a storage pool is made of.

    The fields are MSFT_Disk's own; None for what Windows does not report.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_pascal, populate_by_name=True)

    number: int
    serial_number: str | None
    bus_type: int | str | None
    is_offline: bool | None
    number_of_partitions: int | None
    allocated_size: int | None

    @property
    def volume_id(self) -> str | None:
        """The EBS volume's id, if the serial number has it."""
        return volume_of(self.serial_number)


class AwsComponents(GuestModel):
    """The program of AWS's own VSS components; None where it has no version."""

    file_version: str | None

    @property
    def version(self) -> tuple[int, ...] | None:
        """Its version, None if it has none that can be compared."""
        found = AWS_VERSION.fullmatch(self.file_version or "")
        return tuple(map(int, found.groups())) if found else None

    @property
    def too_old(self) -> str:
        """That its version is too old, empty if that is not known."""
        version = self.version or OLDEST_AWS
        words = f"version {self.file_version} is older than {'.'.join(map(str, OLDEST_AWS))}"
        return words if version < OLDEST_AWS else ""


class ServersFile(GuestModel):
    """A file beside the server's own scripts: its name there, its content in base64, or why it was not read."""

    file: str
    content: str
    problem: str


class Inventory(GuestModel):
    """The whole inventory: no ``disks`` where Windows tells nothing of them; ``overdue`` are quiesce's own sessions.

    ``writers_files`` are a policy's, ``writers`` is what ``vssadmin list writers`` prints, and ``cluster`` is the
    server's, if they were asked for; ``aws_components`` is None from an older document.
    """

    windows: Windows
    powershell: PowerShell
    drives: list[Drive]
    disks: list[Disk] = []
    program_data: str | None
    program_data_free_bytes: int | None
    shadow_storage: list[ShadowStorage] | None
    overdue: list[OverdueSession] = []
    strange: StrangeSessions | None = None
    aws_components: Told[AwsComponents] | None = None
    writers_files: list[ServersFile] = []
    writers: Told[str] | None = None
    cluster: Told[ClusterFacts] | None = None


def inventory_of(answer: Answer) -> Inventory:
    """Return the inventory of a successful answer.

    Raises:
        GuestRefused: the server refused the verb; the message is the server's.
        AnswerUnreadable: a successful answer without an inventory, or with one that the guest does not write.
    """
    if not answer.ok:
        raise GuestRefused(answer.error)
    try:
        return Inventory.model_validate(answer.inventory)
    except ValidationError as error:
        raise AnswerUnreadable(f"the server's inventory is not what the guest writes: {error}") from error
