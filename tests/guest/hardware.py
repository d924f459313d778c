"""The disks of the cases' servers, and their CIM instances, which the stand-in for CimCmdlets reads from a file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sandbox.windows.inventory import ISCSI, POOL, SCSI, WINDOWS, Disk, Drive, disks_of, nvme_drives, volume_guid
from tests.guest import shadows

FIXED, CD_ROM = 3, 5
NVME = nvme_drives({"C:": "vol-0aaaaaaaaaaaaaaa0", "D:": "vol-0bbbbbbbbbbbbbbb1"})
CD_DRIVE = Drive("Z:", volume_guid("cd-rom"), None, None, 0, 0, "UDF")


def many(count: int, mount: str) -> list[Drive]:
    """Return `count` drives, all but the first in mount points."""
    paths = ["C:", *(f"C:\\{mount}\\{number:03}\\" for number in range(1, count))]
    return nvme_drives({path: f"vol-0{number:016x}" for number, path in enumerate(paths)})


HARDWARE: dict[str, list[Drive]] = {
    "nvme": NVME,
    "xen": [replace(drive, serial=None, scsi_target=number) for number, drive in enumerate(NVME)],
    "no letter": [
        *NVME,
        Drive("", volume_guid("recovery"), 0, NVME[0].serial, 500 * 2**20, 80 * 2**20),
        Drive("C:\\mount\\data\\", volume_guid("mounted"), 2, "vol0ccccccccccccccc2_00000001."),
    ],
    "raw": [*NVME, Drive("E:", volume_guid("raw"), 2, "vol0ccccccccccccccc2_00000001.", None, None, None)],
    "no disk": [*NVME, Drive("E:", volume_guid("spanned"), None, None, scsi_target=None)],
    "disks of all kinds": [*NVME, Drive("E:", volume_guid("pooled"), 7, "{5f3a}")],
    "64 drives": many(64, "mount"),
    "75 drives with long names": many(75, "Z\u00fcrich" * 30),
}
# The disks of servers where they are not just those of the drives.
DISKS: dict[str, list[Disk]] = {
    "xen": disks_of(HARDWARE["xen"], SCSI),
    "disks of all kinds": [
        *disks_of(NVME),
        Disk(2, "vol0ccccccccccccccc2_00000001.", offline=True),
        Disk(3, "vol0ddddddddddddddd3_00000001.", partitions=0, allocated_bytes=0),
        Disk(7, "{5f3a}", POOL, partitions=2),
        Disk(8, "0F00", ISCSI),
    ],
}


def disks(name: str) -> list[Disk]:
    """Return the disks of the server with the disks of this name."""
    return DISKS.get(name) or disks_of(HARDWARE[name])


def instances(drives: Sequence[Drive], shown: Sequence[Disk]) -> dict[str, list[dict[str, Any]]]:
    """Return the instances of each CIM class, with a CD-ROM and a partition without a volume on every server."""
    system = {"Version": WINDOWS["version"], "Caption": WINDOWS["name"], "ProductType": WINDOWS["productType"]}
    targets = {drive.disk_number: drive.scsi_target for drive in drives}
    return {
        "Win32_OperatingSystem": [system],
        "Win32_Volume": [*(volume(drive) for drive in drives), volume(CD_DRIVE, CD_ROM)],
        "MSFT_Partition": [
            {"DiskNumber": 0, "AccessPaths": None},
            *(
                {"DiskNumber": drive.disk_number, "AccessPaths": [name_of(drive), drive.volume_guid]}
                for drive in drives
                if drive.disk_number is not None
            ),
        ],
        "MSFT_Disk": [disk.listed() for disk in shown],
        "Win32_DiskDrive": [{"Index": disk.number, "SCSITargetId": targets.get(disk.number, 0)} for disk in shown],
    }


def name_of(drive: Drive) -> str:
    """Return the name that Windows gives a volume: its first path, or its GUID path if it has none."""
    return f"{drive.path}\\" if is_letter(drive.path) else drive.path or drive.volume_guid


def is_letter(path: str) -> bool:
    """Return whether a path is a drive letter, not a mount point."""
    return len(path) == len("C:")


def volume(drive: Drive, drive_type: int = FIXED) -> dict[str, Any]:
    """Return a volume as Win32_Volume has it."""
    return {
        "DeviceID": drive.volume_guid,
        "Name": name_of(drive),
        "DriveLetter": drive.path if is_letter(drive.path) else None,
        "DriveType": drive_type,
        "FileSystem": drive.file_system,
        "Capacity": drive.size_bytes,
        "FreeSpace": drive.free_bytes,
    }


def install(home: Path, name: str) -> None:
    """Give a machine the disks of this name."""
    (home / "cim.json").write_text(json.dumps(instances(HARDWARE[name], disks(name))))
    made = shadows.server(volumes(name))
    state = {"issued": 0, "copies": made.shadow_copies, "storage": made.storage, "volumes": made.volumes}
    (home / "vss.json").write_text(json.dumps(state, default=asdict))
    (home / "shadows.json").write_text(json.dumps(shadows.instances(made)))


def volumes(name: str) -> dict[str, str]:
    """Return the GUID paths of the disks of this name, with their drives."""
    return {drive.volume_guid: drive.path for drive in HARDWARE[name]}
