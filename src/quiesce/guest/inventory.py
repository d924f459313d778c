"""What the server is made of, by its own account: its Windows, and which drives lie on which EBS volumes."""

import re
from collections.abc import Sequence

from pydantic import ValidationError

from quiesce.backup.state import Excluded, Volume
from quiesce.errors import AnswerUnreadable, GuestRefused
from quiesce.guest.answers import Answer, GuestModel, ShadowStorage

# On Nitro a disk's serial number is the volume's id, without its dash (EC2's guide on NVMe disks of Windows).
SERIAL = re.compile(r"vol-?([0-9a-f]{8}(?:[0-9a-f]{9})?)(?:_.*)?")
# Less, and the scripts' output or a shadow copy may not fit.
LOW_BYTES = 512 * 1024 * 1024


class Windows(GuestModel):
    """The server's Windows; None for what it could not tell."""

    version: str | None
    name: str | None
    installation: str | None
    product_type: int | None


class PowerShell(GuestModel):
    """The PowerShell in which the server's part of quiesce runs."""

    version: str
    language_mode: str


class Drive(GuestModel):
    """A volume of Windows: ``path`` is its letter or folder, empty if it has none; None for what it could not tell."""

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
        """The EBS volume, where the disk says it: on Nitro, not on Xen."""
        found = SERIAL.fullmatch((self.serial or "").strip())
        return f"vol-{found[1]}" if found else None


class Inventory(GuestModel):
    """All of it; ``drives_omitted`` counts drives that did not fit into the answer."""

    windows: Windows
    powershell: PowerShell
    drives: list[Drive]
    drives_omitted: int
    program_data: str | None
    program_data_free_bytes: int | None
    shadow_storage: list[ShadowStorage] | None


def inventory_of(answer: Answer) -> Inventory:
    """Return the inventory of a good answer.

    Raises:
        GuestRefused: the server said no; the message has its words.
        AnswerUnreadable: a good answer without an inventory, or with one that the guest does not write.
    """
    if not answer.ok:
        raise GuestRefused(answer.error)
    try:
        return Inventory.model_validate(answer.inventory)
    except ValidationError as error:
        raise AnswerUnreadable(f"the server's inventory is not what quiesce.ps1 writes: {error}") from error


def with_drives(volumes: Sequence[Volume], inventory: Inventory) -> list[Volume]:
    """Return the volumes with the drives that lie on each."""
    paths: dict[str | None, list[str]] = {}
    for drive in inventory.drives:
        paths.setdefault(drive.volume_id, []).append(drive.path or drive.volume_guid)
    return [volume.model_copy(update={"drives": sorted(paths.get(volume.volume_id, []))}) for volume in volumes]


def remarks(volumes: Sequence[Volume], excluded: Sequence[Excluded], inventory: Inventory) -> list[str]:
    """Return what a person should know of the server's drives."""
    known = {v.volume_id for v in volumes} | {e.volume_id for e in excluded}
    # On Xen no disk says which volume it is, and none can be called foreign.
    tells = any(drive.volume_id in known for drive in inventory.drives)
    elsewhere = [
        f"{drive.path or drive.volume_guid} lies on a disk that is no EBS volume of this server "
        f"(serial {drive.serial}): it is in no backup"
        for drive in inventory.drives
        if tells and drive.serial is not None and drive.volume_id not in known
    ]
    omitted = [f"{inventory.drives_omitted} drives did not fit into the server's answer"]
    free = inventory.program_data_free_bytes
    low = [f"the server has only {(free or 0) // 2**20} MiB free where quiesce keeps its sessions' files"]
    return [
        *elsewhere,
        *(omitted if inventory.drives_omitted else []),
        *(low if free is not None and free < LOW_BYTES else []),
    ]
