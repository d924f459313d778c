"""What may lie on an EBS volume, or on a disk that is none, and what Plan says of it (docs/reference/chapter.md)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from quiesce.backup.drives import remarks
from quiesce.backup.shadow_plan import plan_shadow_copies
from quiesce.guest.answers import Answer
from quiesce.guest.inventory import Inventory, inventory_of
from quiesce.policy.target import TargetSettings
from sandbox.windows.inventory import ISCSI, POOL, SCSI, Disk, Drive, disks_of, inventory, nvme_drives, volume_guid
from tests.support.factories.run import a_plan, an_exclusion, volume_id

Column = Literal["all", "named", "unnamed", "excluded"]
COPIED = "a shadow copy"
SERIAL = f"{volume_id(2).replace('-', '')}_00000001."
C, D = nvme_drives({"C:": volume_id(0), "D:": volume_id(1)})
E = Drive("E:", volume_guid("e"), 2, SERIAL)
Z = Drive("Z:", volume_guid("z"), 5, None)


def _windows(*drives: Drive, disks: Sequence[Disk] | None = None) -> Inventory:
    """Return what a server says that has these drives beside C: and D:, and these disks beside theirs."""
    known = None if disks is None else [*disks_of([C, D]), *disks]
    told = inventory([C, D, *drives], known) | {"programData": "C:\\ProgramData", "shadowStorage": []}
    return inventory_of(Answer(quiesce=1, verb="inventory", run="r", attempt="1", ok=True, inventory=told))


def _on_xen(*more: Drive) -> Inventory:
    """Return what a server on Xen says, where disks have no EBS volume's id, but the targets of their devices."""
    drives = [replace(drive, serial=None, scsi_target=target) for target, drive in enumerate((C, D, E))]
    told = inventory([*drives, *more], disks_of([*drives, *more], SCSI))
    told |= {"programData": "C:\\ProgramData", "shadowStorage": []}
    return inventory_of(Answer(quiesce=1, verb="inventory", run="r", attempt="1", ok=True, inventory=told))


NO_LETTER = replace(E, path="", volume_guid=volume_guid("hidden"))
RECOVERY = Drive("", volume_guid("recovery"), 0, C.serial, size_bytes=500 * 2**20)


class Layout(NamedTuple):
    """What the server says, what ``vss.volumes`` calls the volume, and whether an EBS volume is under it."""

    found: Inventory
    name: str = "E:"
    is_ebs: bool = True


NAMELESS = ""
LAYOUTS: dict[str, Layout] = {
    "NTFS with a letter": Layout(_windows(E)),
    "NTFS in a folder (mount point)": Layout(_windows(replace(E, path="D:\\Logs\\")), "D:\\Logs"),
    "NTFS without letter or folder, nothing beside it": Layout(_windows(NO_LETTER), NAMELESS),
    "a recovery, EFI or System Reserved partition beside C:": Layout(_windows(E, RECOVERY)),
    "ReFS": Layout(_windows(replace(E, file_system="ReFS"))),
    "ReFS without letter or folder": Layout(_windows(replace(NO_LETTER, file_system="ReFS")), NAMELESS),
    "raw: no file system that Windows knows": Layout(_windows(replace(E, file_system=None))),
    "BitLocker, unlocked": Layout(_windows(E)),
    "BitLocker, locked": Layout(_windows(replace(E, file_system=None, size_bytes=None, free_bytes=None))),
    "dynamic disk": Layout(
        _windows(replace(E, disk_number=None, serial=None, scsi_target=None), disks=[Disk(2, SERIAL, partitions=2)])
    ),
    "Storage Spaces": Layout(_windows(replace(E, disk_number=7, serial="{5f3a}"), disks=[Disk(7, "{5f3a}", POOL)])),
    "offline disk": Layout(_windows(disks=[Disk(2, SERIAL, offline=True)]), NAMELESS),
    "partitions of another system": Layout(_windows(disks=[Disk(2, SERIAL, partitions=2)]), NAMELESS),
    "no file system: no partition at all": Layout(
        _windows(disks=[Disk(2, SERIAL, partitions=0, allocated_bytes=0)]), NAMELESS
    ),
    "iSCSI disk": Layout(
        _windows(E, replace(Z, serial="0F00"), disks=[Disk(2, SERIAL), Disk(5, "0F00", ISCSI)]), "Z:", is_ebs=False
    ),
    "instance store, on Nitro": Layout(_windows(E, replace(Z, serial="AWS12345678ABCDEF01")), "Z:", is_ebs=False),
    "instance store, on Xen": Layout(_on_xen(replace(Z, scsi_target=78)), "Z:", is_ebs=False),
}


def has(layout: Layout, column: Column) -> bool:
    """Say whether a policy can say this of a layout."""
    return {"named": layout.name != NAMELESS, "excluded": layout.is_ebs}.get(column, True)


def said(layout: Layout, column: Column) -> str:
    """Return what Plan makes of a layout and says of it.

    Args:
        layout: as Windows shows it.
        column: what the policy says: ``all``, all volumes are in the backup and get shadow copies; ``named`` and
            ``unnamed``, all are in the backup, and ``vss.volumes`` names the one of the layout, or only C: and D:;
            ``excluded``, the policy leaves the EBS volume out of the backup.
    """
    names: dict[Column, Any] = {"named": ["C:", "D:", layout.name], "unnamed": ["C:", "D:"]}
    settings = TargetSettings.model_validate({"vss": {"volumes": names.get(column, "all")}})
    out = [an_exclusion(2)] if column == "excluded" else []
    plan = a_plan(3 - len(out), settings, excluded=out)
    decided = plan_shadow_copies(plan, layout.found)
    words = [f"VSS does nothing: {decided.obstacle}"] if decided.obstacle else []
    if decided.plan and len(decided.plan.volumes) > 2 and layout.is_ebs:
        words.append(COPIED)
    told = "; ".join([*words, *decided.notes, *remarks(plan.volumes, plan.excluded, layout.found)])
    return told.replace(f"xvdc {volume_id(2)}", "xvdc").replace(f"/dev/sda1 {volume_id(0)}", "/dev/sda1")
