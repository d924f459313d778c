"""Which of the server's volumes VSS makes shadow copies of, or why it can't: Plan decides it, before the freeze."""

from collections.abc import Sequence
from dataclasses import dataclass

from quiesce.backup.state import Plan, ShadowPlan, ShadowVolume
from quiesce.guest.inventory import Drive, Inventory
from quiesce.guest.windows_versions import abilities_of
from quiesce.vss.script import FOLDER, MAX_VOLUMES

# Persistent shadow copies exist on NTFS only (VSS documentation, "Shadow Copy Context Configurations").
FILE_SYSTEM = "NTFS"


@dataclass(frozen=True)
class ShadowPlanning:
    """The plan, or why there is none (``obstacle``), and notes for the record."""

    plan: ShadowPlan | None
    obstacle: str
    notes: tuple[str, ...] = ()


def plan_shadow_copies(plan: Plan, inventory: Inventory, known_writers: Sequence[str] = ()) -> ShadowPlanning:
    """Decide which volumes get a shadow copy: all that can have one and lie on a chosen EBS volume."""
    # On Xen no disk reports its volume; if the policy leaves no volume out, every drive lies on a chosen one.
    disks_report_volumes = any(drive.volume_id for drive in inventory.drives)
    chosen = {volume.volume_id for volume in plan.volumes}
    inside = [drive for drive in inventory.drives if not disks_report_volumes or drive.volume_id in chosen]
    capable = [drive for drive in inside if drive.file_system == FILE_SYSTEM]
    ambiguous = not disks_report_volumes and bool(plan.excluded)
    if obstacle := _server_obstacle(inventory) or _drive_obstacle(inside, capable, ambiguous=ambiguous):
        return ShadowPlanning(None, obstacle)
    volumes = [ShadowVolume(volume_guid=d.volume_guid, path=d.path, volume_id=d.volume_id or "") for d in capable]
    homes = sorted(drive.volume_guid.lower() for drive in inside)
    note = abilities_of(inventory.windows).note
    elsewhere = {d.volume_guid.lower(): d.path or d.volume_guid for d in inventory.drives if d not in inside}
    vss = plan.settings.vss
    writers = {} if vss == "off" else {"excluded_writers": vss.exclude_writers, "required_writers": vss.require_writers}
    decided = ShadowPlan(
        volumes=volumes, homes=homes, elsewhere=elsewhere, known_writers=list(known_writers), **writers
    )
    return ShadowPlanning(decided, "", (*([f"VSS: {note}"] if note else []), *_storage_notes(decided, inventory)))


def _server_obstacle(inventory: Inventory) -> str:
    abilities = abilities_of(inventory.windows)
    if abilities.vss == "no":
        return f"VSS does not work on {inventory.windows.name or 'this Windows'}: {abilities.note}"
    if not FOLDER.fullmatch(inventory.program_data or ""):
        return f"DiskShadow might not read the folder's name: ProgramData is {inventory.program_data!r}"
    if inventory.drives_omitted:
        return f"{inventory.drives_omitted} volumes did not fit into the server's answer"
    return ""


def _drive_obstacle(inside: list[Drive], capable: list[Drive], *, ambiguous: bool) -> str:
    if ambiguous:
        return "the server can't tell which of its drives are on the volumes that the policy leaves out"
    if unable := [drive for drive in inside if drive.path and drive not in capable]:
        return f"no shadow copy can be made of {', '.join(map(_named, unable))}"
    if not 1 <= len(capable) <= MAX_VOLUMES:
        return f"{len(capable)} {FILE_SYSTEM} volumes are to be backed up; a shadow set has 1 to {MAX_VOLUMES}"
    return ""


def _storage_notes(decided: ShadowPlan, inventory: Inventory) -> list[str]:
    """Return notes on shadow storage outside the recovery point: shadow copies there would be lost."""
    names = {volume.volume_guid.lower(): volume.path or volume.volume_guid for volume in decided.volumes}
    return [
        f"the shadow storage of {names[guid]} is on {decided.elsewhere.get(home, home)}, which is not in the backup"
        for guid, home in ((s.volume_guid.lower(), s.storage_guid.lower()) for s in inventory.shadow_storage or [])
        if guid in names and home not in decided.homes
    ]


def _named(drive: Drive) -> str:
    return f"{drive.path} ({drive.file_system or 'no file system known'})"
