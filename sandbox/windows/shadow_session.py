"""A model of what one session does with VSS: DiskShadow from create to its end, and its entry in the state.

A problem of VSS never stops a session: it is data. guest/parts is the original.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.windows.diskshadow import GUID, DiskShadow
from sandbox.windows.host import identity
from sandbox.windows.shadow_process import ShadowProcess
from sandbox.windows.vss import Server, ShadowCopy

END_LIMIT_S = 120
# The batch file that holds DiskShadow gives up this long after the session should have ended.
HOLD_GRACE_S = 600
Json = Any  # what json.loads returns


def new_entry() -> dict[str, Json]:
    """Return the state's entry for VSS before anything has happened."""
    return {
        "reason": "",
        "processId": 0,
        "startedTicks": 0,
        "exitCode": None,
        "startedMs": 0,
        "createdMs": 0,
        "endedMs": 0,
        "setId": None,
        "copies": None,
        "storage": None,
        "deleted": None,
    }


def listed(copy: ShadowCopy) -> dict[str, Json]:
    """Return a shadow copy's properties in Win32_ShadowCopy."""
    return {
        "id": copy.shadow_id.upper(),
        "setId": copy.set_id.upper(),
        "volumeGuid": copy.volume,
        "deviceObject": copy.device,
        "providerId": copy.provider.upper(),
        "persistent": copy.context.startswith("persistent"),
        "clientAccessible": copy.context == "clientaccessible",
        "noAutoRelease": True,
        "noWriters": not copy.with_writers,
    }


def storage_of(server: Server) -> list[Json]:
    """Return Win32_ShadowStorage: where each volume's shadow copies lie."""
    return [
        {
            "volumeGuid": storage.volume,
            "storageGuid": storage.storage,
            "usedBytes": storage.used_bytes,
            "allocatedBytes": storage.allocated_bytes,
            "maxBytes": storage.max_bytes,
        }
        for storage in server.storage
    ]


@dataclass
class ShadowSession:
    """VSS in one session; ``entry`` is its part of the state."""

    server: Server
    script: str
    limits: dict[str, int]
    entry: dict[str, Json]
    cim_answers: Callable[[], bool]
    process: ShadowProcess | None = None
    file: bytes = b""
    """The script in the attempt's folder."""

    def start(self, folder: str, now_s: float) -> None:
        """Start DiskShadow."""
        self.entry["startedMs"] = int(now_s * 1000)
        if not self.server.has_diskshadow:
            self.entry["reason"] = "NotStarted: there is no diskshadow.exe"
            return
        self.file = self.script.replace("*", folder).encode("ascii")
        self.process = ShadowProcess(self.server, self.file, now_s, self.limits["session"] + HOLD_GRACE_S)
        self.entry |= identity(4100)

    def settled_s(self, now_s: float) -> float | None:
        """Return when DiskShadow had made the shadow copies or failed to; None while it makes them."""
        process, entry = self.process, self.entry
        if process is None:
            return now_s
        limit_s: float = entry["startedMs"] / 1000 + self.limits["create"]
        process.advance(min(now_s, limit_s))
        if process.created_s is not None:
            entry.update(createdMs=int(process.created_s * 1000), setId=process.set_id)
            return process.created_s
        if process.ended_s is not None:
            self._note_end("EndedEarly", process.ended_s, process.exit_code)
            return process.ended_s
        if now_s < limit_s:
            return None
        self._kill("TimedOut", limit_s)
        return limit_s

    def watch(self, now_s: float) -> bool:
        """Notice that DiskShadow has ended while it should hold; True if the state has changed."""
        if self.process is None or self.entry["endedMs"] or self.process.was_flagged("backup"):
            return False
        self.process.advance(now_s)
        if self.process.ended_s is not None:
            self._note_end("Lost", self.process.ended_s, self.process.exit_code)
        return bool(self.entry["endedMs"])

    def look_at_thaw(self) -> None:
        """Ask Windows about the shadow copies as soon as the application is thawed."""
        if not self.entry["createdMs"] or self.entry["copies"] is not None:
            return
        existing = self._copies()
        if existing is not None:
            self.entry["copies"] = [listed(copy) for copy in existing]
        self.entry["storage"] = self.storage()

    def end_backup(self, now_s: float) -> bool | None:
        """Have DiskShadow notify the writers of BackupComplete; True if it did, None while it is at it."""
        self.watch(now_s)
        if self.process is None or self.entry["endedMs"]:
            return False
        self.process.flag("backup", now_s)
        asked_s = self.process.flagged_s("backup")
        self.process.advance(min(now_s, asked_s + END_LIMIT_S))
        if self.process.ended_s is not None:
            self._note_end("", self.process.ended_s, self.process.exit_code)
            return self.process.exit_code == 0 and not self.entry["reason"]
        if now_s < asked_s + END_LIMIT_S:
            return None
        self._kill("EndTimedOut", now_s)
        return False

    def close(self, reason: str, now_s: float) -> None:
        """End DiskShadow if it still runs, and delete the shadow copies that it made, by their set's id."""
        if not self.entry["endedMs"] and reason == "RunnerLost":
            self._kill(reason, now_s)
        elif not self.entry["endedMs"] and self.process and not self.watch(now_s):
            self.process.flag("abort", now_s)
            self.process.advance(now_s)
            self._note_end(reason, self.process.ended_s, self.process.exit_code)
        self.delete()

    def log(self) -> bytes | None:
        """Return DiskShadow's log, if there is one."""
        return self.process.log() if self.process else None

    def files(self) -> dict[str, bytes]:
        """Return the files that DiskShadow leaves in the attempt's folder for ``collect``."""
        if self.process is None:
            return {}
        log = self.process.log()
        files = {"diskshadow.err": b"", "diskshadow.log": log, "diskshadow.out": log, "shadow.txt": self.file}
        return files | ({"writers.cab": b"MSCF"} if self.entry["setId"] else {})

    def storage(self) -> list[Json]:
        """Return where shadow copies lie on this server."""
        return storage_of(self.server) if self.cim_answers() else []

    def _copies(self) -> list[ShadowCopy] | None:
        return self.server.copies_of((self.entry["setId"] or "").lower()) if self.cim_answers() else None

    def delete(self) -> None:
        """Delete the set by its id, unless that has succeeded before."""
        entry = self.entry
        if entry["setId"] is None or entry["deleted"]:
            return
        if self._copies() != []:
            script = f"delete shadows set {entry['setId']}\r\nexit\r\n".encode("ascii")
            DiskShadow(self.server).run(script, lambda _: 0)
        entry["deleted"] = self._copies() == []

    def _note_end(self, reason: str, ended_s: float | None, exit_code: int | None) -> None:
        assert ended_s is not None
        self.entry["reason"] = self.entry["reason"] or reason
        self.entry.update(exitCode=exit_code, endedMs=int(ended_s * 1000))
        self.entry["setId"] = self.entry["setId"] or self._set_written_down()

    def _kill(self, reason: str, now_s: float) -> None:
        if self.process:
            self.process.kill(now_s)
        self._note_end(reason, now_s, None)

    def _set_written_down(self) -> str | None:
        """Return the set's id from the hold's argument, or else from the log."""
        if self.process is None:
            return None
        if self.process.set_id:
            return self.process.set_id
        lines = [line for line in self.process.log().decode().splitlines() if "VSS_SHADOW_SET" in line]
        found = [re.findall(GUID, line, re.IGNORECASE) for line in lines]
        return next((ids[0] for ids in found if len(ids) == 1), None)
