"""What a server's inventory says of what it lacks: judged once, for the doctor's lines and for the notes of a run.

Plan asks a server for its inventory before each freeze, and the doctor when it examines it: the same fact has the same
words and the same remedy in both.
"""

import re
from collections.abc import Iterator, Sequence

from quiesce.doctor.findings import BY_QUIESCE, SCRIPTS_UP, VSS_UP, Finding, Level, bad, good, unknown
from quiesce.guest.inventory import Drive, Inventory
from quiesce.guest.windows_versions import abilities_of
from quiesce.policy.target import TargetSettings

VSS_ONLY: tuple[Level, ...] = ("vss",)
AWS_ONLY: tuple[Level, ...] = ("aws-vss",)
SUPPORTED_POWERSHELL = re.compile(r"5\.1(\..*)?")
ALLOW_FULL_LANGUAGE = "allow SYSTEM full language mode: an exception in WDAC or AppLocker"
# With less free space, the scripts' output or a shadow copy may not fit.
LOW_BYTES = 512 * 2**20
# VSS gives a volume's shadow storage this much at first (MinDiffAreaFileSize).
LEAST_STORAGE = 320 * 2**20


def of_windows(inventory: Inventory) -> Iterator[Finding]:
    """Yield whether scripts and VSS can run on this Windows."""
    abilities, windows = abilities_of(inventory.windows), inventory.windows
    name, check = windows.name or windows.version or "", "Windows"
    if not name:
        yield unknown(check, "it does not say which Windows it is", "look at WMI on it", "windows", SCRIPTS_UP)
        return
    words = f"{name}: {abilities.note}" if abilities.note else name
    remedy = "docs/reference/supported-systems.md has what each Windows can"
    needs: tuple[tuple[str, tuple[Level, ...], str], ...] = (
        ("scripts", ("scripts",), abilities.scripts),
        ("VSS", VSS_UP, abilities.vss),
    )
    for what, levels, able in needs:
        each = f"{check} for {what}"
        yield bad(each, words, remedy, "windows", levels) if able == "no" else good(each, words, levels)


def of_powershell(inventory: Inventory) -> Iterator[Finding]:
    """Yield whether quiesce's part on the server can run in its PowerShell."""
    shell = inventory.powershell
    words = f"PowerShell {shell.version} in {shell.language_mode}"
    if not SUPPORTED_POWERSHELL.fullmatch(shell.version):
        remedy = "install Windows Management Framework 5.1"
        yield bad("PowerShell", words, remedy, "windows", SCRIPTS_UP)
    elif shell.language_mode != "FullLanguage":
        yield bad("PowerShell", words, ALLOW_FULL_LANGUAGE, "group-policies", SCRIPTS_UP)
    else:
        yield good("PowerShell", words, SCRIPTS_UP)


def of_sessions_room(inventory: Inventory) -> Iterator[Finding]:
    """Yield whether the files of sessions have room."""
    free, check = inventory.program_data_free_bytes, "room for sessions"
    if free is None:
        yield unknown(check, "it does not say how much is free in ProgramData", "look", "windows", BY_QUIESCE)
    elif free < LOW_BYTES:
        words, remedy = f"{free // 2**20} MiB are free in ProgramData", f"free {LOW_BYTES // 2**20} MiB or more"
        yield bad(check, words, remedy, "windows", BY_QUIESCE)
    else:
        yield good(check, f"{free // 2**20} MiB are free in ProgramData", BY_QUIESCE)


def of_components(inventory: Inventory) -> Iterator[Finding]:
    """Yield whether AWS's own VSS components are there; nothing of a server that was asked by an older document."""
    told, check, anchor = inventory.aws_components, "AwsVssComponents", "aws-vss"
    remedy = "run AWS-ConfigureAWSPackage with action Install and name AwsVssComponents"
    if told is None:
        return
    if not told.known:
        yield unknown(check, told.why, remedy, anchor, AWS_ONLY)
    elif not told.values:
        yield bad(check, "they are not installed; quiesce's own VSS does not need them", remedy, anchor, AWS_ONLY)
    elif (found := told.values[0]).version is None:
        yield unknown(check, "their version is not known", remedy, anchor, AWS_ONLY)
    elif found.too_old:
        yield bad(check, found.too_old, remedy, anchor, AWS_ONLY)
    else:
        yield good(check, f"version {found.file_version}", AWS_ONLY)


def of_room(drives: Sequence[Drive]) -> Iterator[Finding]:
    """Yield whether shadow copies of these volumes have room at all."""
    check = "room for shadow copies"
    full = [f"{_name(each)} {_mib(each.free_bytes)}" for each in drives if _is_small(each.free_bytes)]
    silent = [_name(each) for each in drives if each.free_bytes is None]
    if full:
        remedy = f"free {LEAST_STORAGE // 2**20} MiB or more on each"
        yield bad(check, f"too little is free: {', '.join(full)}", remedy, "volumes", VSS_UP)
    elif silent or not drives:
        words = f"Windows does not say how much is free on {', '.join(silent) or 'any volume'}"
        yield unknown(check, words, "look at its volumes", "volumes", VSS_UP)
    else:
        yield good(check, "each volume has some free", VSS_UP)


def of_storage(inventory: Inventory, drives: Sequence[Drive]) -> Finding:
    """Return whether the shadow storage of these volumes may grow to what VSS needs at first."""
    check = "shadow storage"
    names = {drive.volume_guid.lower(): _name(drive) for drive in drives}
    small = [
        f"{names[each.volume_guid.lower()]} {_mib(each.max_bytes)}"
        for each in inventory.shadow_storage or []
        if each.volume_guid.lower() in names and _is_small(each.max_bytes)
    ]
    if small:
        remedy = "vssadmin resize shadowstorage /for=D: /on=D: /maxsize=20%"
        return bad(check, f"its limit is too small: {', '.join(small)}", remedy, "volumes", VSS_ONLY)
    return good(check, "no limit is too small", VSS_ONLY)


def words_before(inventory: Inventory, settings: TargetSettings, copied: Sequence[str]) -> list[str]:
    """Return what a run's record notes of what its server lacks, as the doctor says it.

    Args:
        inventory: as Plan has it.
        settings: of the run: only what it asks of the server counts.
        copied: the GUID paths of the volumes that get a shadow copy; none if VSS is not asked.
    """
    wanted: set[Level] = {"scripts"} if settings.scripts != "off" else set()
    found = [*of_windows(inventory), *of_powershell(inventory), *of_sessions_room(inventory)]
    if copied:
        wanted |= {"vss", "aws-vss"}
        drives = [drive for drive in inventory.drives if drive.volume_guid in copied]
        found += [*of_room(drives), of_storage(inventory, drives), *of_components(inventory)]
    lacking = [each for each in found if each.status == "bad" and wanted & {*each.levels}]
    return [f"{each.check}: {each.words}; {each.remedy}" for each in lacking]


def _name(drive: Drive) -> str:
    return drive.path or drive.volume_guid


def _is_small(size: int | None) -> bool:
    return size is not None and size < LEAST_STORAGE


def _mib(size: int | None) -> str:
    return f"{(size or 0) // 2**20} MiB"
