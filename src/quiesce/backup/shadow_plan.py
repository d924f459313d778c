"""Which of the server's volumes VSS makes shadow copies of, or why it can't: Plan decides it, before the freeze."""

from collections.abc import Sequence
from dataclasses import dataclass

from quiesce.backup.drives import UNKNOWN, Places, is_asked, is_empty, named, storage_volumes
from quiesce.backup.state import Plan
from quiesce.guest.inventory import Disk, Drive, Inventory
from quiesce.guest.windows_versions import abilities_of
from quiesce.points.parts import Device, Excluded
from quiesce.policy.vss import Vss
from quiesce.vss.plan import ShadowPlan, ShadowVolume
from quiesce.vss.script import FOLDER, MAX_VOLUMES

# Persistent shadow copies exist on NTFS only (VSS documentation, "Shadow Copy Context Configurations").
FILE_SYSTEM = "NTFS"


@dataclass(frozen=True)
class ShadowPlanning:
    """The plan, or why there is none (``obstacle``), and notes for the record.

    ``joining``: ids of the EBS volumes that the policy leaves out, and that hold the storage of shadow copies.
    """

    plan: ShadowPlan | None
    obstacle: str
    notes: tuple[str, ...] = ()
    joining: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scope:
    """Of which EBS volumes shadow copies are wanted, and how: those of a backup, or for the doctor all of a server."""

    volumes: Sequence[Device]
    excluded: Sequence[Excluded]
    vss: Vss | None


def plan_shadow_copies(plan: Plan, inventory: Inventory, known_writers: Sequence[str] = ()) -> ShadowPlanning:
    """Decide which volumes of a backup get a shadow copy."""
    return shadow_copies_of(Scope(plan.volumes, plan.excluded, plan.settings.disk_shadow), inventory, known_writers)


def shadow_copies_of(scope: Scope, inventory: Inventory, known_writers: Sequence[str] = ()) -> ShadowPlanning:
    """Decide which volumes get a shadow copy: those that ``vss.volumes`` names, or all that can have one.

    If it names none, there is none at all if a chosen EBS volume would be without, unless no file system is on it.
    """
    places = Places(scope.volumes, scope.excluded, inventory)
    vss = scope.vss
    names = None if vss is None or vss.volumes == "all" else vss.volumes
    chosen = {volume.volume_id for volume in scope.volumes}
    # Where Windows cannot say where a drive lies, every one lies on a chosen volume if the policy leaves none out.
    chosen |= set() if places.by_any else {UNKNOWN}
    inside = [drive for drive in inventory.drives if places.volume_of(drive) in chosen]
    asked = inside if names is None else [drive for drive in inside if is_asked(drive, names)]
    capable = _capable(asked, places)
    if names is None:
        missed, left_out = _uncopied(scope, inventory, places, inside, capable)
    else:
        missed, left_out = _unasked(names, scope, inventory, places), _left_out(scope, places, inside, capable)
    ambiguous = not places.by_serial and bool(scope.excluded)
    obstacle = _server_obstacle(inventory) or (missed if names else "")
    if obstacle := obstacle or _drive_obstacle(asked, capable, ambiguous=ambiguous) or missed:
        return ShadowPlanning(None, obstacle)
    joining = storage_volumes(capable, inventory, places, scope.excluded)
    held = [drive for drive in inventory.drives if drive in inside or places.volume_of(drive) in joining]
    decided = ShadowPlan(
        volumes=[ShadowVolume(volume_guid=d.volume_guid, path=d.path, volume_id=d.volume_id or "") for d in capable],
        homes=sorted(drive.volume_guid.lower() for drive in held),
        elsewhere={d.volume_guid.lower(): d.path or d.volume_guid for d in inventory.drives if d not in held},
        left_out=[drive.path for drive in held if drive.path and drive not in capable],
        known_writers=list(known_writers),
        excluded_writers=[] if vss is None or vss.exclude_writers == "all" else vss.exclude_writers,
        no_writers=vss is not None and vss.exclude_writers == "all",
        required_writers=vss.require_writers if vss else [],
    )
    note = abilities_of(inventory.windows).note
    notes = [*([f"VSS: {note}"] if note else []), *left_out, *joining.values(), *_storage_notes(decided, inventory)]
    return ShadowPlanning(decided, "", tuple(notes), tuple(joining))


def _capable(inside: list[Drive], places: Places) -> list[Drive]:
    """Return the drives that get a shadow copy.

    One without letter or folder beside another on its EBS volume is a recovery or system partition: it is small, so
    that a shadow copy may find no room, and no application has data there.
    """
    ntfs = [drive for drive in inside if drive.file_system == FILE_SYSTEM]
    disks = {places.disk_of(drive) for drive in ntfs if drive.path}
    return [drive for drive in ntfs if drive.path or places.disk_of(drive) not in disks]


def _uncopied(
    scope: Scope, inventory: Inventory, places: Places, inside: list[Drive], capable: list[Drive]
) -> tuple[str, list[str]]:
    """Return why a chosen EBS volume would be without a shadow copy, and notes on what is left out of the others."""
    if not places.by_any:
        return _too_few_disks(scope, inventory, places, capable), []
    problems, notes = [], []
    for volume in scope.volumes:
        on_it = [drive for drive in inside if places.volume_of(drive) == volume.volume_id]
        rest = ", ".join(named(drive) for drive in on_it if drive not in capable)
        name = f"{volume.device} {volume.volume_id}"
        if rest and any(drive in capable for drive in on_it):
            notes.append(f"no shadow copy of {rest} on {name}: without one it is as after a power failure")
        elif rest:
            problems.append(f"{name} ({rest})")
        elif not on_it and (words := _why_without_volumes(places.bare_disk(volume.volume_id), inventory)):
            problems.append(f"{name} ({words})")
        elif not on_it:
            notes.append(f"no shadow copy of {name}: no file system is on it")
    lost = [drive.path for drive in inventory.drives if drive.path and places.volume_of(drive) == UNKNOWN]
    words = f"; {', '.join(lost)} may be there, on a dynamic disk or in a storage pool" if lost else ""
    return f"no shadow copy can be made of {', '.join(problems)}{words}" if problems else "", notes


def _unasked(names: Sequence[str], scope: Scope, inventory: Inventory, places: Places) -> str:
    """Return why a volume that ``vss.volumes`` names can't get a shadow copy in this backup; empty if all can."""
    out = {volume.volume_id: volume.device for volume in scope.excluded}
    for name in names:
        drive = next((each for each in inventory.drives if is_asked(each, [name])), None)
        if drive is None:
            there = ", ".join(each.path for each in inventory.drives if each.path) or "none with a letter or a folder"
            return f"vss.volumes names {name}, and the server has no such volume (it has {there})"
        volume_id = places.volume_of(drive)
        if volume_id is None:
            return f"vss.volumes names {name}, which is on a disk that is no EBS volume of this server"
        if volume_id == UNKNOWN and places.by_any:
            return f"vss.volumes names {name}, which may be on several EBS volumes: a dynamic disk or a storage pool"
        if volume_id in out:
            words = "which the policy's volumes leave out of the backup"
            return f"vss.volumes names {name}, which is on {out[volume_id]} {volume_id}, {words}"
    return ""


def _left_out(scope: Scope, places: Places, inside: list[Drive], capable: list[Drive]) -> list[str]:
    """Return notes on what is in the backup without a shadow copy, because ``vss.volumes`` names other volumes."""
    words = "vss.volumes does not name it, and it is as after a power failure"
    if not places.by_any:
        return [f"no shadow copy of {named(drive)}: {words}" for drive in inside if drive not in capable]
    notes = []
    for volume in scope.volumes:
        on_it = [drive for drive in inside if places.volume_of(drive) == volume.volume_id]
        name = f"{volume.device} {volume.volume_id}"
        rest = ", ".join(named(drive) for drive in on_it if drive not in capable)
        if rest or not on_it:
            notes.append(f"no shadow copy of {f'{rest} on {name}' if rest else name}: {words}")
    return notes


def _why_without_volumes(disk: Disk | None, inventory: Inventory) -> str:
    """Say why Windows shows no volume on an EBS volume; empty if no file system is there."""
    if disk is None:
        return "Windows shows no disk for it" if inventory.disks else "Windows shows no volume on it"
    if disk.is_offline:
        return "its disk is offline"
    return "" if is_empty(disk) else f"Windows shows no volume on its partitions ({disk.number_of_partitions})"


def _too_few_disks(scope: Scope, inventory: Inventory, places: Places, capable: list[Drive]) -> str:
    """Return the obstacle of a server that cannot say where its drives lie, if they can't lie on all EBS volumes."""
    disks = {drive.disk_number for drive in capable}
    copied = len(capable) if None in disks else len(disks)
    empty = sum(is_empty(disk) for disk in places.bare)
    if copied + empty >= len(scope.volumes):
        return ""
    volumes = f"{len(scope.volumes)} EBS volumes are to be backed up"
    return f"{volumes}, and Windows shows {FILE_SYSTEM} volumes on {copied} disks only"


def _server_obstacle(inventory: Inventory) -> str:
    abilities = abilities_of(inventory.windows)
    if abilities.vss == "no":
        return f"VSS does not work on {inventory.windows.name or 'this Windows'}: {abilities.note}"
    if not FOLDER.fullmatch(inventory.program_data or ""):
        return f"DiskShadow might not read the folder's name: ProgramData is {inventory.program_data!r}"
    return ""


def _drive_obstacle(inside: list[Drive], capable: list[Drive], *, ambiguous: bool) -> str:
    if ambiguous:
        return "the server can't tell which of its drives are on the volumes that the policy leaves out"
    if unable := [drive for drive in inside if drive.path and drive.file_system != FILE_SYSTEM]:
        return f"no shadow copy can be made of {', '.join(map(named, unable))}"
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
