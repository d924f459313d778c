"""Which of the server's volumes VSS makes shadow copies of, or why it can't: decided before anything is frozen."""

from dataclasses import dataclass

from quiesce.backup.state import Plan, ShadowPlan, ShadowVolume
from quiesce.guest.inventory import Drive, Inventory
from quiesce.guest.windows_versions import abilities_of
from quiesce.vss.script import FOLDER, MAX_VOLUMES

# Persistent shadow copies exist on NTFS only (VSS documentation, "Shadow Copy Context Configurations").
FILE_SYSTEM = "NTFS"


@dataclass(frozen=True)
class ShadowPlanning:
    """The plan, or why there is none (``obstacle``), and what a person should know of either."""

    plan: ShadowPlan | None
    obstacle: str
    notes: tuple[str, ...] = ()


def plan_shadow_copies(plan: Plan, inventory: Inventory) -> ShadowPlanning:
    """Decide of which volumes shadow copies are made: each that can have one, and lies on a chosen EBS volume."""
    # On Xen no disk says which volume it is; where the policy leaves none out, all of them count.
    tells = any(drive.volume_id for drive in inventory.drives)
    chosen = {volume.volume_id for volume in plan.volumes}
    inside = [drive for drive in inventory.drives if not tells or drive.volume_id in chosen]
    able = [drive for drive in inside if drive.file_system == FILE_SYSTEM]
    untold = not tells and bool(plan.excluded)
    if obstacle := _server_obstacle(inventory) or _drive_obstacle(inside, able, untold=untold):
        return ShadowPlanning(None, obstacle)
    volumes = [ShadowVolume(volume_guid=d.volume_guid, path=d.path, volume_id=d.volume_id or "") for d in able]
    homes = sorted(drive.volume_guid.lower() for drive in inside)
    note = abilities_of(inventory.windows).note
    elsewhere = {d.volume_guid.lower(): d.path or d.volume_guid for d in inventory.drives if d not in inside}
    vss = plan.settings.vss
    writers = {} if vss == "off" else {"excluded_writers": vss.exclude_writers, "required_writers": vss.require_writers}
    decided = ShadowPlan(volumes=volumes, homes=homes, elsewhere=elsewhere, **writers)
    return ShadowPlanning(decided, "", (*([f"VSS: {note}"] if note else []), *_lost_storage(decided, inventory)))


def _server_obstacle(inventory: Inventory) -> str:
    abilities = abilities_of(inventory.windows)
    if abilities.vss == "no":
        return f"VSS does not work on {inventory.windows.name or 'this Windows'}: {abilities.note}"
    if not FOLDER.fullmatch(inventory.program_data or ""):
        return f"DiskShadow may not read the folder's name: ProgramData is {inventory.program_data!r}"
    if inventory.drives_omitted:
        return f"{inventory.drives_omitted} volumes did not fit into the server's answer"
    return ""


def _drive_obstacle(inside: list[Drive], able: list[Drive], *, untold: bool) -> str:
    if untold:
        return "the server can't tell which of its drives are on the volumes that the policy leaves out"
    if unable := [drive for drive in inside if drive.path and drive not in able]:
        return f"no shadow copy can be made of {', '.join(map(_named, unable))}"
    if not 1 <= len(able) <= MAX_VOLUMES:
        return f"{len(able)} volumes of {FILE_SYSTEM} are to be backed up; a shadow set has 1 to {MAX_VOLUMES}"
    return ""


def _lost_storage(decided: ShadowPlan, inventory: Inventory) -> list[str]:
    """Name the storage that lies on no volume of the recovery point: shadow copies there would be lost."""
    names = {volume.volume_guid.lower(): volume.path or volume.volume_guid for volume in decided.volumes}
    return [
        f"the shadow storage of {names[guid]} is on {decided.elsewhere.get(home, home)}, which is not in the backup"
        for guid, home in ((s.volume_guid.lower(), s.storage_guid.lower()) for s in inventory.shadow_storage or [])
        if guid in names and home not in decided.homes
    ]


def _named(drive: Drive) -> str:
    return f"{drive.path} ({drive.file_system or 'no file system known'})"
