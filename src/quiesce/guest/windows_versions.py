"""What quiesce can do on which Windows, and what it needs first: one table, for Plan and for the documentation.

``python -m quiesce.guest.windows_versions`` prints docs/reference/supported-systems.md.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from quiesce.guest.inventory import Windows

# "believed": a line in docs/unconfirmed.md explains why, and how to check it.
Ability = Literal["yes", "believed", "no"]

# Win32_OperatingSystem.ProductType.
WORKSTATION = 1
VERSION = re.compile(r"([0-9]+\.[0-9]+)\.([0-9]+)(?:\..*)?")
LATER = 10**6

SOURCES = {
    "PowerShell": "https://learn.microsoft.com/powershell/scripting/windows-powershell/wmf-overview",
    "DiskShadow": "https://learn.microsoft.com/windows-server/storage/file-server/volume-shadow-copy-service",
    "builds": "https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-osversioninfoexw",
    "agent": "https://github.com/awsdocs/aws-systems-manager-user-guide/blob/main/doc_source/prereqs-operating-systems.md",
    "agent 3.3": "https://github.com/aws/amazon-ssm-agent/releases/tag/3.3.1311.0",
    "AWS and VSS": "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/application-consistent-snapshots-prereqs.html",
}
OLD = ("PowerShell", "DiskShadow", "builds", "agent")
NEW = ("PowerShell", "DiskShadow", "builds", "AWS and VSS")

# First columns in docs/unconfirmed.md.
CORE = "`diskshadow.exe` is there on Server Core, and does the same"
NANO = "Nano Server has neither Windows PowerShell 5.1 nor `diskshadow.exe`"
CLIENTS = "Run Command works on Windows clients that are EC2 instances"
R2 = "SSM Agent 3 runs quiesce's commands on Windows Server 2008 R2"
BETWEEN = "semi-annual and annual releases of Windows Server can do what the long-term ones around them can"
UNLISTED = "a Windows Server that is not in the table can do what the latest one in it can"

NO_POWERSHELL = "Windows PowerShell 5.1 cannot be installed on it"
NO_DISKSHADOW = "clients have no DiskShadow, and Windows reverts volumes on servers only"
FRAMEWORK = "Windows Management Framework 5.1 and .NET Framework 4.6.2"


@dataclass(frozen=True)
class Abilities:
    """What quiesce can do on a server; ``note`` is what the server needs first, or why quiesce can't do something."""

    scripts: Ability
    vss: Ability
    note: str = ""


YES, BELIEVED = Abilities("yes", "yes"), Abilities("believed", "believed")


@dataclass(frozen=True)
class WindowsVersion:
    """A row of the table; ``unconfirmed`` is its line in docs/unconfirmed.md."""

    name: str
    version: str
    builds: tuple[range, ...]
    abilities: Abilities = YES
    sources: tuple[str, ...] = NEW
    bits: str = "64"
    client: bool = False
    unconfirmed: str = ""

    @property
    def core(self) -> Ability | None:
        """Whether VSS works on its Server Core; None if it has none."""
        if self.client or self.version == "5.2":
            return None
        return "no" if self.abilities.vss == "no" else "believed"


def _only(*builds: int) -> tuple[range, ...]:
    return tuple(range(build, build + 1) for build in builds)


def _old_client(name: str, version: str, builds: tuple[range, ...], bits: str = "32, 64") -> WindowsVersion:
    abilities = Abilities("no", "no", f"{NO_POWERSHELL}; {NO_DISKSHADOW}")
    return WindowsVersion(name, version, builds, abilities, OLD, bits, client=True)


def _client(name: str, version: str, builds: tuple[range, ...], first: str = "") -> WindowsVersion:
    note = f"{first}; {NO_DISKSHADOW}" if first else NO_DISKSHADOW
    bits = "64" if name == "Windows 11" else "32, 64"
    abilities = Abilities("believed", "no", note)
    return WindowsVersion(name, version, builds, abilities, OLD, bits, client=True, unconfirmed=CLIENTS)


def _impossible(why: str) -> Abilities:
    return Abilities("no", "no", why)


_SERVER_2003 = _impossible(f"{NO_POWERSHELL}, and DiskShadow came with 2008")
_SERVER_2008_R2 = _impossible(f"{NO_POWERSHELL}: install Service Pack 1 first")
_SERVER_2008_R2_SP1 = Abilities(
    "believed", "believed", f"{FRAMEWORK}; SSM Agent 3.0.502 or later, which AWS does not support there"
)
_CHANNELS = _only(16299, 17134, 18362, 18363, 19041, 19042, 25398)
_AGENT_2025 = ("DiskShadow", "builds", "agent 3.3", "AWS and VSS")

TABLE = (
    WindowsVersion("Windows Server 2003 and 2003 R2", "5.2", _only(3790), _SERVER_2003, OLD, "32, 64"),
    WindowsVersion("Windows Server 2008", "6.0", _only(6001, 6002, 6003), _impossible(NO_POWERSHELL), OLD, "32, 64"),
    WindowsVersion("Windows Server 2008 R2", "6.1", _only(7600), _SERVER_2008_R2, OLD),
    WindowsVersion("Windows Server 2008 R2 SP1", "6.1", _only(7601), _SERVER_2008_R2_SP1, OLD, unconfirmed=R2),
    WindowsVersion("Windows Server 2012", "6.2", _only(9200), Abilities("yes", "yes", FRAMEWORK), OLD),
    WindowsVersion("Windows Server 2012 R2", "6.3", _only(9600), Abilities("yes", "yes", FRAMEWORK), OLD),
    WindowsVersion("Windows Server 2016", "10.0", _only(14393)),
    WindowsVersion("Windows Server 2019", "10.0", _only(17763)),
    WindowsVersion("Windows Server 2022", "10.0", _only(20348)),
    WindowsVersion(
        "Windows Server 2025", "10.0", _only(26100), Abilities("yes", "yes", "SSM Agent 3.3.1311 or later"), _AGENT_2025
    ),
    WindowsVersion(
        "Windows Server 1709 to 20H2, 23H2", "10.0", _CHANNELS, BELIEVED, ("DiskShadow", "builds"), unconfirmed=BETWEEN
    ),
    _old_client("Windows XP", "5.1", _only(2600), "32"),
    _old_client("Windows XP Professional x64", "5.2", _only(3790), "64"),
    _old_client("Windows Vista", "6.0", (range(6000, 6004),)),
    _old_client("Windows 7", "6.1", _only(7600)),
    _client("Windows 7 SP1", "6.1", _only(7601), FRAMEWORK),
    _old_client("Windows 8", "6.2", _only(9200)),
    _client("Windows 8.1", "6.3", _only(9600), FRAMEWORK),
    _old_client("Windows 10 before 1607", "10.0", (range(10240, 14393),)),
    _client("Windows 10", "10.0", (range(14393, 22000),)),
    _client("Windows 11", "10.0", (range(22000, LATER),)),
)


def row_of(windows: Windows) -> WindowsVersion | None:
    """Return the row of a server's Windows; None if the table lacks it, or the server did not report its version."""
    found = VERSION.fullmatch(windows.version or "")
    if found is None:
        return None
    rows = [row for row in TABLE if row.client == is_client(windows) and row.version == found[1]]
    return next((row for row in rows if any(int(found[2]) in builds for builds in row.builds)), None)


def is_client(windows: Windows) -> bool:
    """Return whether it is a Windows for workstations: one of the two places where Windows states it is enough.

    Multi-session editions of client Windows state in one of them that they are servers.
    """
    return windows.product_type == WORKSTATION or windows.installation == "Client"


def abilities_of(windows: Windows) -> Abilities:
    """Return what quiesce can do on a server; it does not refuse a Windows for being absent from the table."""
    if windows.installation == "Nano Server":
        return _impossible(NANO)
    row = row_of(windows)
    if row is None:
        note = f"Windows {windows.version or 'of an unknown version'} is not in quiesce's table of supported systems"
        return Abilities("believed", "no" if is_client(windows) else "believed", note)
    if windows.installation == "Server Core" and row.abilities.vss == "yes":
        return Abilities(row.abilities.scripts, "believed", row.abilities.note)
    return row.abilities


def page() -> str:
    """Return docs/reference/supported-systems.md."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Supported systems"
    yield ""
    yield "Made by `python -m quiesce.guest.windows_versions`; do not edit it here."
    yield ""
    yield "- *yes*: by the sources named, it has all that quiesce needs. We have not run quiesce on a real one yet."
    yield "- *believed*: no source says so. [unconfirmed.md](../unconfirmed.md) says why we believe it."
    yield "- Snapshots without a freeze (`agent: none` in the policy) need nothing on the server, whatever its Windows."
    yield "- Scripts and VSS need SSM Agent 3.0.502 or later, and PowerShell in full language mode."
    yield "- What one server of yours lacks, the doctor says: [ready.md](../operate/ready.md)."
    yield "- We also believe that"
    yield from (f"  - {belief}" for belief in (CORE, NANO, UNLISTED))
    yield ""
    yield "| Windows | Version | Bits | Scripts | VSS | VSS on Server Core | Needs first, or why not | Sources |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in TABLE:
        sources = ", ".join(f"[{source}]" for source in row.sources)
        can = row.abilities
        belief = row.unconfirmed and f"not confirmed: {row.unconfirmed}"
        needs = "; ".join(words for words in (can.note, belief) if words)
        cells = (row.name, _builds(row), row.bits, can.scripts, can.vss, row.core or "-", needs or "-", sources)
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield from (f"[{source}]: {link}" for source, link in SOURCES.items())


def _builds(row: WindowsVersion) -> str:
    spans = []
    for builds in row.builds:
        last = " and later" if builds.stop == LATER else f" to {builds[-1]}" if len(builds) > 1 else ""
        spans.append(f"{builds.start}{last}")
    return f"{row.version}, build {', '.join(spans)}"


if __name__ == "__main__":
    sys.stdout.write(page())
