"""What a server says of VSS: DiskShadow, services, writers, providers, and its volumes."""

from collections.abc import Callable, Iterator, Sequence

from quiesce.backup.drives import STORAGE_POOL
from quiesce.backup.shadow_plan import Scope, shadow_copies_of
from quiesce.doctor.findings import VSS_UP, Finding, Level, bad, good, note, unknown
from quiesce.doctor.inside import Asked
from quiesce.doctor.inventoried import VSS_ONLY, of_components, of_room, of_storage
from quiesce.guest.examination import FAILED_FROM, Examination, Service, writers_in
from quiesce.guest.inventory import Drive, Inventory
from quiesce.points.parts import Device
from quiesce.policy.vss import Vss
from quiesce.vss.script import SYSTEM_PROVIDER

# VSS_WRITER_STATE: stable, and waiting for the end of a backup; those in between last seconds.
WELL = frozenset({1, 5})
# The System Writer's id: a server whose VSS works has it.
SYSTEM_WRITER = "{e8132975-6f93-4464-a53e-1050253ae220}"
ANCHOR = "vss"


def found_of_vss(asked: Asked, devices: Sequence[Device]) -> list[Finding]:
    """Return the lines of what only VSS needs; none of a server that has not answered, which is a line of its own.

    ``devices`` are the server's EBS volumes.
    """
    findings = [finding for row in ROWS for finding in row(asked.examined)] if asked.examined else []
    if inventory := asked.inventory:
        findings += [*of_components(inventory), *of_room(_named(inventory))]
        findings += [_volumes(inventory, devices), _disks(inventory), _storage(inventory, asked.examined)]
    return findings


def _diskshadow(examined: Examination) -> Iterator[Finding]:
    told = examined.disk_shadow
    if not told.known or not told.values:
        yield unknown("DiskShadow", told.why or "no answer", "look for diskshadow.exe", ANCHOR, VSS_ONLY)
    elif told.values[0]:
        yield good("DiskShadow", "it is there", VSS_ONLY)
    else:
        remedy = "only Windows Server has it; use a policy with vss: off"
        yield bad("DiskShadow", "diskshadow.exe is not there", remedy, ANCHOR, VSS_ONLY)


def _services(examined: Examination) -> Iterator[Finding]:
    told = examined.services
    needs: tuple[tuple[str, tuple[Level, ...]], ...] = (("VSS", VSS_UP), ("swprv", VSS_ONLY), ("EventSystem", VSS_UP))
    for name, levels in needs:
        check = f"service {name}"
        if not told.known:
            yield unknown(check, told.why, f"sc.exe query {name}", ANCHOR, levels)
            continue
        service = next((each for each in told.values if each.name.lower() == name.lower()), None)
        yield _service(check, name, service, levels)


def _service(check: str, name: str, service: Service | None, levels: tuple[Level, ...]) -> Finding:
    if service is None:
        return bad(check, "Windows does not list it", "repair Windows: sfc /scannow", ANCHOR, levels)
    words = f"{service.state}, start type {service.start_mode}"
    if service.start_mode is None or service.state is None:
        return unknown(check, words, f"sc.exe qc {name}", ANCHOR, levels)
    if service.start_mode == "Disabled":
        start = "auto" if name == "EventSystem" else "demand"
        return bad(check, words, f"sc.exe config {name} start= {start}", ANCHOR, levels)
    if name == "EventSystem" and service.state != "Running":
        return bad(check, words, f"sc.exe start {name}", ANCHOR, levels)
    return good(check, words, levels)


def _writers(examined: Examination) -> Iterator[Finding]:
    told, check = examined.writers, "writers"
    writers = writers_in("".join(told.values))
    restart = "restart the service of each; docs/operate/runbook.md has which"
    if not told.known:
        yield unknown(check, told.why, "vssadmin list writers", ANCHOR, VSS_UP)
    elif not any(each.writer_id == SYSTEM_WRITER for each in writers):
        words = f"Windows lists {len(writers)} writers, and not its System Writer"
        yield bad(check, words, "restart Cryptographic Services, else the server", ANCHOR, VSS_UP)
    elif failed := [f"{each.name} [{each.state}]" for each in writers if each.state >= FAILED_FROM]:
        yield bad(check, f"failed: {', '.join(failed)}", restart, ANCHOR, VSS_UP)
    elif busy := [f"{each.name} [{each.state}]" for each in writers if each.state not in WELL]:
        yield unknown(check, f"in the midst of a backup: {', '.join(busy)}", "ask again after it", ANCHOR, VSS_UP)
    else:
        yield good(check, f"{len(writers)}, all ready", VSS_UP)


def _providers(examined: Examination) -> Iterator[Finding]:
    told, check = examined.providers, "VSS providers"
    others = [each.name or each.id for each in told.values if each.id.lower() != SYSTEM_PROVIDER.lower()]
    if not told.known:
        yield unknown(check, told.why, "vssadmin list providers", ANCHOR, VSS_ONLY)
    elif len(others) == len(told.values):
        words = "Windows does not list its own provider"
        yield bad(check, words, "restart the service swprv, else repair Windows: sfc /scannow", ANCHOR, VSS_ONLY)
    else:
        yield good(check, "Windows' own is there", VSS_ONLY)
        if others:
            words = f"{', '.join(others)}: quiesce asks for Windows' own; another product's backup may use this one"
            yield note("other VSS providers", words, "", ANCHOR)


def _bitlocker(examined: Examination) -> Iterator[Finding]:
    told, check = examined.encrypted, "BitLocker"
    encrypted = [each.drive_letter or each.device_id for each in told.values if each.conversion_status != 0]
    if not told.known:
        yield unknown(check, told.why, "manage-bde -status", "volumes")
    elif encrypted:
        words = f"it encrypts {', '.join(encrypted)}: Verify can't look into their snapshots, nor can they be built"
        yield note(check, words, "keep evidence: optional, and the recovery keys elsewhere", "volumes")
    else:
        yield good(check, "it encrypts no volume")


def _named(inventory: Inventory) -> list[Drive]:
    return [drive for drive in inventory.drives if drive.path]


def _volumes(inventory: Inventory, devices: Sequence[Device]) -> Finding:
    """Say whether Plan would find a shadow copy for each EBS volume: by its own decision, on the whole server."""
    check, decided = "volumes for VSS", shadow_copies_of(Scope(devices, [], Vss()), inventory)
    if decided.obstacle:
        remedy = "name the others in vss.volumes, or exclude this one"
        return bad(check, decided.obstacle, remedy, "volumes", VSS_ONLY)
    return good(check, "each can get a shadow copy", VSS_ONLY)


def _disks(inventory: Inventory) -> Finding:
    check, buses = "disks", {disk.number: disk.bus_type for disk in inventory.disks}
    numbered = [(each.path, each.disk_number) for each in _named(inventory) if each.disk_number is not None]
    spanned = [path for path, number in numbered if buses.get(number) in STORAGE_POOL]
    dynamic = [each.path for each in _named(inventory) if each.disk_number is None]
    if not inventory.disks:
        words = "Windows says nothing of its disks"
        return unknown(check, words, "look in Disk Management", "volumes", VSS_ONLY)
    if spanned or dynamic:
        where = [f"{path} in a storage pool" for path in spanned] + [f"{path} on a dynamic disk" for path in dynamic]
        words = f"{', '.join(where)}: quiesce can't tell on which EBS volumes, nor look into their snapshots"
        return note(check, words, "see the line on volumes for VSS", "volumes")
    return good(check, "each volume is on one basic disk", VSS_ONLY)


def _storage(inventory: Inventory, examined: Examination | None) -> Finding:
    if examined and not examined.storage.known:
        return unknown("shadow storage", examined.storage.why, "vssadmin list shadowstorage", "volumes", VSS_ONLY)
    return of_storage(inventory, inventory.drives)


ROWS: tuple[Callable[[Examination], Iterator[Finding]], ...] = (
    _diskshadow,
    _services,
    _writers,
    _providers,
    _bitlocker,
)
