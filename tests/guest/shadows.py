"""VSS on the cases' servers: one set of writers, volumes and faults for the model and the stand-in."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from quiesce.vss.script import session_script
from sandbox.windows.vss import SYSTEM_PROVIDER, Server, ShadowCopy, ShadowStorage, VssWriter

# The faults of VSS, by their name in the cases.
FAULTS: dict[str, dict[str, Any]] = {
    "create": {"create_fails": ("80042313", "VSS_E_FLUSH_WRITES_TIMEOUT")},
    "create hangs": {"create_s": math.inf},
    "goes on": {"after_error": "continue"},
    "end hangs": {"end_s": math.inf},
    "end slow": {"end_s": 3.0},
    "delete": {"delete_fails": ("80042308", "VSS_E_OBJECT_NOT_FOUND")},
    "writer": {},
    "hold": {"hold_writes": False},
    "log in blocks": {},
}
FAILED = {"state": "9 (VSS_WS_FAILED_AT_FREEZE)", "failure": "0x800423f2 (VSS_E_WRITERERROR_TIMEOUT)"}


def script(volumes: Sequence[str]) -> str:
    """Return the product's script for a session of these volumes, its lines joined by ``|``."""
    return "|".join(session_script(volumes, copy_only=False))


def identifiers(issued: int = 0) -> Iterator[str]:
    """Yield ids as Windows issues them, after `issued` earlier ones."""
    return (f"{{{number:08x}-00ab-4cde-8f00-0000000000ab}}" for number in count(issued + 1))


def foreign(volume: str) -> ShadowCopy:
    """Return another product's shadow copy, which quiesce must not touch."""
    ids = ("{0f000000-0000-0000-0000-00000000000f}", "{f0000000-0000-0000-0000-0000000000f0}")
    return ShadowCopy(*ids, volume, "clientaccessible", with_writers=False, provider=SYSTEM_PROVIDER, number=1)


def server(volumes: dict[str, str], faults: Collection[str] = ()) -> Server:
    """Return VSS of a server with these volumes, drives by GUID path; the first has its storage on the last."""
    sql = VssWriter("SqlServerWriter", "{a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}", (r"\ORDERS\book",))
    system = VssWriter("System Writer", "{e8132975-6f93-4464-a53e-1050253ae220}", (r"\System Files",))
    first, *_, last = volumes
    made = Server(volumes, [system, replace(sql, **FAILED) if "writer" in faults else sql])
    made.shadow_copies, made.storage = [foreign(first)], [ShadowStorage(first, last)]
    made.new_id, made.killed_exit_code = identifiers().__next__, 137
    for name in faults:
        for knob, value in FAULTS.get(name, {}).items():
            setattr(made, knob, value)
    return made


def instances(server: Server) -> dict[str, list[dict[str, Any]]]:
    """Return the CIM instances of shadow copies and their storage, with ids in upper case."""
    copies = [
        {
            "ID": copy.shadow_id.upper(),
            "SetID": copy.set_id.upper(),
            "VolumeName": copy.volume,
            "DeviceObject": copy.device,
            "ProviderID": copy.provider.upper(),
            "Persistent": True,
            "ClientAccessible": copy.context == "clientaccessible",
            "NoAutoRelease": True,
            "NoWriters": not copy.with_writers,
        }
        for copy in server.shadow_copies
    ]
    storage = [
        {
            "Volume": {"DeviceID": each.volume},
            "DiffVolume": {"DeviceID": each.storage},
            "UsedSpace": each.used_bytes,
            "AllocatedSpace": each.allocated_bytes,
            "MaxSpace": each.max_bytes,
        }
        for each in server.storage
    ]
    return {"Win32_ShadowCopy": copies, "Win32_ShadowStorage": storage}
