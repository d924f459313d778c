"""On which EBS volumes the server's drives lie, and the record's notes on them."""

import re
from collections import Counter
from collections.abc import Sequence

from quiesce.guest.inventory import Disk, Drive, Inventory
from quiesce.points.parts import Device, Excluded, Volume

# MSFT_Disk.BusType, by number, or by the name that PowerShell's Storage module gives it.
NO_EBS_VOLUME = {9, 15, "iSCSI", "File Backed Virtual"}
STORAGE_POOL = {16, "Spaces", "Storage Spaces"}
# On Xen AWS's and Citrix's drivers give the disk of each device name its SCSI target (EC2's guide, "Map disks to
# volumes on your Windows instance").
DEVICE = re.compile(r"(?:/dev/)?(?:xvd|sd)([a-z])?([a-z])1?")
# Microsoft's reserved partition has 128 MiB at most, and begins at 1 MiB.
RESERVED_BYTES = 130 * 2**20
# Stands for the EBS volume of a drive that may lie on one, while Windows does not show on which.
UNKNOWN = ""


class Places:
    """Which EBS volume of the server each of its drives lies on."""

    def __init__(self, volumes: Sequence[Device], excluded: Sequence[Excluded], inventory: Inventory) -> None:
        devices = {volume.volume_id: volume.device for volume in volumes}
        devices |= {volume.volume_id: volume.device for volume in excluded}
        shown = {drive.volume_id for drive in inventory.drives} | {disk.volume_id for disk in inventory.disks}
        self._known = devices.keys()
        self._all_shown = self._known <= shown
        used = {drive.disk_number for drive in inventory.drives}
        self.bare = [d for d in inventory.disks if d.number not in used and d.bus_type not in NO_EBS_VOLUME]
        """The disks without any drive that may be EBS volumes."""
        self._buses = {disk.number: disk.bus_type for disk in inventory.disks}
        self.by_serial = any(drive.volume_id for drive in inventory.drives)
        """Whether serial numbers identify the EBS volumes: on Nitro."""
        self._by_target = {} if self.by_serial else self._targets(devices, inventory.drives)
        self._used_targets = {drive.scsi_target for drive in inventory.drives if self._bus(drive) not in NO_EBS_VOLUME}
        self.by_any = self.by_serial or bool(self._by_target)
        """Whether serial numbers or SCSI targets identify them."""

    def volume_of(self, drive: Drive) -> str | None:
        """Return the id of the drive's EBS volume, ``UNKNOWN``, or None if the drive lies on none of the server."""
        bus = self._bus(drive)
        if bus in NO_EBS_VOLUME:
            return None
        if bus in STORAGE_POOL:
            return UNKNOWN
        if self.by_serial:
            return self._by_serial(drive, bus)
        if not self._by_target or drive.scsi_target is None:
            return UNKNOWN
        return self._by_target.get(drive.scsi_target)

    def bare_disk(self, volume_id: str) -> Disk | None:
        """Return the disk of an EBS volume without any drive, None if none of those that Windows lists must be it.

        The server reports no SCSI targets of such disks. So on Xen only empty ones count, and only if there are as many
        of them as EBS volumes without a drive.
        """
        if self.by_serial:
            return next((disk for disk in self.bare if disk.volume_id == volume_id), None)
        without = [each for target, each in self._by_target.items() if target not in self._used_targets]
        alike = len(self.bare) == len(without) and all(map(is_empty, self.bare))
        return self.bare[0] if alike and volume_id in without else None

    def disk_of(self, drive: Drive) -> str | int | None:
        """Return what identifies the drive's disk: its EBS volume, else its number; None if neither is known."""
        return self.volume_of(drive) or drive.disk_number

    def disk_words(self, drive: Drive) -> str:
        """Describe a drive's disk by what Windows reports of it."""
        return f"serial {drive.serial}" if self.by_serial else f"SCSI target {drive.scsi_target}"

    def _bus(self, drive: Drive) -> int | str | None:
        return None if drive.disk_number is None else self._buses.get(drive.disk_number)

    def _by_serial(self, drive: Drive, bus: int | str | None) -> str | None:
        if drive.volume_id in self._known:
            return drive.volume_id
        # Where Windows does not report the bus, the disk may be a storage pool's if any EBS volume is hidden.
        is_certain = bus is not None or self._all_shown
        return None if drive.volume_id or (drive.serial and is_certain) else UNKNOWN

    def _targets(self, devices: dict[str, str], drives: Sequence[Drive]) -> dict[int, str]:
        """Return the EBS volume at each SCSI target, ``UNKNOWN`` where two disks share one.

        Return none at all unless one disk has the root's target: otherwise the driver is none of those in EC2's guide.
        """
        disks = {drive.disk_number: drive for drive in drives if self._bus(drive) not in NO_EBS_VOLUME | STORAGE_POOL}
        used = Counter(drive.scsi_target for number, drive in disks.items() if number is not None)
        found = {target_of(device): volume_id for volume_id, device in devices.items()}
        places = {target: UNKNOWN if used[target] > 1 else v for target, v in found.items() if target is not None}
        return places if used[0] == 1 and 0 in places else {}


def is_empty(disk: Disk) -> bool:
    """Say whether no file system can be on a disk: it has no partition, or the reserved one of every GPT disk alone."""
    reserved_only = disk.number_of_partitions == 1 and (disk.allocated_size or RESERVED_BYTES + 1) <= RESERVED_BYTES
    return not disk.is_offline and (disk.number_of_partitions == 0 or reserved_only)


def target_of(device: str) -> int | None:
    """Return the SCSI target of a device name on Xen: 0 for the root, 1 for xvdb, 52 for xvdba, 78 for xvdca."""
    found = DEVICE.fullmatch(device)
    if found is None:
        return None
    first, last = found.groups()
    return (ord(first) - ord("a") + 1 if first else 0) * 26 + ord(last) - ord("a")


def named(drive: Drive) -> str:
    """Return what a person calls a drive, with its file system; with its size if it has neither letter nor folder."""
    size = "" if drive.path or drive.size_bytes is None else f", {drive.size_bytes // 2**20} MiB"
    name = drive.path or "a volume without letter or folder"
    return f"{name} ({drive.file_system or 'no file system known'}{size})"


def is_asked(drive: Drive, names: Sequence[str]) -> bool:
    """Say whether a policy's list of volumes names a drive, by its letter or the folder in which it is mounted."""
    path = drive.path.rstrip("\\").casefold()
    return bool(path) and path in {name.casefold() for name in names}


def storage_volumes(
    copied: Sequence[Drive], inventory: Inventory, places: Places, excluded: Sequence[Excluded]
) -> dict[str, str]:
    """Return the EBS volumes outside of the backup that hold the storage of shadow copies, each with a note on it.

    Args:
        copied: the drives that get a shadow copy.
        inventory: of the server.
        places: of its drives.
        excluded: the EBS volumes that the policy leaves out.
    """
    names = {drive.volume_guid.lower(): drive.path or drive.volume_guid for drive in copied}
    drives = {drive.volume_guid.lower(): drive for drive in inventory.drives}
    out = {volume.volume_id: volume.device for volume in excluded}
    found: dict[str, list[str]] = {}
    for storage in inventory.shadow_storage or []:
        guid, home = storage.volume_guid.lower(), drives.get(storage.storage_guid.lower())
        volume_id = places.volume_of(home) if home else None
        if guid in names and volume_id in out and home:
            found.setdefault(volume_id, []).append(f"{names[guid]} (on {home.path or home.volume_guid})")
    why = "a shadow copy without its storage is lost. What else is on it is as after a power failure"
    return {
        volume_id: f"{out[volume_id]} {volume_id} is in the backup, though the policy leaves it out: it has the shadow "
        f"storage of {', '.join(sorted(of))}, and {why}"
        for volume_id, of in found.items()
    }


def with_drives(volumes: Sequence[Volume], inventory: Inventory) -> list[Volume]:
    """Return the volumes, each with the drives that lie on it."""
    paths: dict[str | None, list[str]] = {}
    for drive in inventory.drives:
        paths.setdefault(drive.volume_id, []).append(drive.path or drive.volume_guid)
    return [volume.model_copy(update={"drives": sorted(paths.get(volume.volume_id, []))}) for volume in volumes]


def remarks(volumes: Sequence[Volume], excluded: Sequence[Excluded], inventory: Inventory) -> list[str]:
    """Return the record's notes on the server's drives."""
    places = Places(volumes, excluded, inventory)
    return [
        f"{drive.path or drive.volume_guid} lies on a disk that is no EBS volume of this server "
        f"({places.disk_words(drive)}): it is in no backup"
        for drive in inventory.drives
        if places.volume_of(drive) is None
    ]
