"""The guest's verb ``inventory`` on a simulated server: its Windows and its drives."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

from sandbox.windows.host import Json

GIB = 2**30
# MSFT_Disk.BusType (learn.microsoft.com).
SCSI, ISCSI, VIRTUAL_FILE, POOL, NVME = 1, 9, 15, 16, 17
WINDOWS = {
    "version": "10.0.20348",
    "name": "Microsoft Windows Server 2022 Datacenter",
    "installation": "Server",
    "productType": 3,
}


@dataclass(frozen=True)
class Drive:
    """One volume as Windows lists it, None for what Windows does not know; a volume without a path has ``path`` ""."""

    path: str
    volume_guid: str
    disk_number: int | None
    serial: str | None
    size_bytes: int | None = 100 * GIB
    free_bytes: int | None = 60 * GIB
    file_system: str | None = "NTFS"
    scsi_target: int | None = 0

    def listed(self, *, with_disk: bool) -> dict[str, Json]:
        """Return the guest's entry for it; without its disk where Windows has no storage API."""
        return {
            "path": self.path,
            "volumeGuid": self.volume_guid,
            "fileSystem": self.file_system,
            "sizeBytes": self.size_bytes,
            "freeBytes": self.free_bytes,
            "diskNumber": self.disk_number if with_disk else None,
            "serial": self.serial if with_disk else None,
            "scsiTarget": self.scsi_target if with_disk else None,
        }


@dataclass(frozen=True)
class Disk:
    """One disk as Windows lists it; Windows does not list the disks of a storage pool."""

    number: int
    serial: str | None
    bus_type: int | None = NVME
    offline: bool = False
    partitions: int = 1
    allocated_bytes: int = 100 * GIB

    def listed(self) -> dict[str, Json]:
        """Return what the guest says of it, in Windows' own words (MSFT_Disk)."""
        return {
            "Number": self.number,
            "SerialNumber": self.serial,
            "BusType": self.bus_type,
            "IsOffline": self.offline,
            "NumberOfPartitions": self.partitions,
            "AllocatedSize": self.allocated_bytes,
        }


def volume_guid(name: str) -> str:
    """Return the GUID path of the volume that has this name in the sandbox."""
    return f"\\\\?\\Volume{{{uuid5(NAMESPACE_OID, name)}}}\\"


def nvme_drives(volumes: Mapping[str, str], size_gib: int = 100) -> list[Drive]:
    """Return the drives of a Nitro server, from its EBS volume ids by drive; one partition on each disk."""
    return [
        Drive(path, volume_guid(volume_id), number, f"{volume_id.replace('-', '')}_00000001.", size_gib * GIB)
        for number, (path, volume_id) in enumerate(volumes.items())
    ]


def disks_of(drives: Sequence[Drive], bus_type: int = NVME) -> list[Disk]:
    """Return the disks that these drives lie on, in the order of their drives."""
    on = [drive for drive in drives if drive.disk_number is not None]
    counts = Counter(drive.disk_number for drive in on)
    serials = {drive.disk_number: drive.serial for drive in on}
    return [Disk(number, serial, bus_type, partitions=counts[number]) for number, serial in serials.items()]


def inventory(
    drives: Sequence[Drive], disks: Sequence[Disk] | None = None, *, with_disks: bool = True
) -> dict[str, Json]:
    """Return the guest's inventory of a server; its disks are those of the drives if none are given."""
    ordered = sorted(drives, key=lambda drive: (not drive.path, drive.path))
    shown = disks_of(drives) if disks is None else disks
    return {
        "windows": WINDOWS,
        "powershell": {"version": "5.1.20348.2700", "languageMode": "FullLanguage"},
        "drives": [drive.listed(with_disk=with_disks) for drive in ordered],
        "disks": [disk.listed() for disk in shown] if with_disks else [],
        "programDataFreeBytes": 30 * GIB,
    }
