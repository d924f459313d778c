"""The guest's verb ``inventory`` on a simulated server: its Windows and its drives."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import NAMESPACE_OID, uuid5

from sandbox.windows.host import Json

GIB = 2**30
# guest/quiesce.ps1: an answer is cut at 24,000 characters.
MAX_DRIVES, MAX_DRIVE_CHARACTERS = 60, 18_000
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


def volume_guid(name: str) -> str:
    """Return the GUID path of the volume that has this name in the sandbox."""
    return f"\\\\?\\Volume{{{uuid5(NAMESPACE_OID, name)}}}\\"


def nvme_drives(volumes: Mapping[str, str], size_gib: int = 100) -> list[Drive]:
    """Return the drives of a Nitro server, from its EBS volume ids by drive; one partition on each disk."""
    return [
        Drive(path, volume_guid(volume_id), number, f"{volume_id.replace('-', '')}_00000001.", size_gib * GIB)
        for number, (path, volume_id) in enumerate(volumes.items())
    ]


def inventory(drives: Sequence[Drive], *, with_disks: bool = True) -> dict[str, Json]:
    """Return the guest's inventory of a server."""
    ordered = sorted(drives, key=lambda drive: (not drive.path, drive.path))
    listed: list[Json] = []
    room = MAX_DRIVE_CHARACTERS
    for drive in ordered:
        entry = drive.listed(with_disk=with_disks)
        room -= len(json.dumps(entry, separators=(",", ":")))
        if room >= 0 and len(listed) < MAX_DRIVES:
            listed.append(entry)
    return {
        "windows": WINDOWS,
        "powershell": {"version": "5.1.20348.2700", "languageMode": "FullLanguage"},
        "drives": listed,
        "drivesOmitted": len(ordered) - len(listed),
        "programDataFreeBytes": 30 * GIB,
    }
