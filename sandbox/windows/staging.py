"""The guest's verb ``stage`` on a simulated server: finds and judges the scripts, and makes the run's manifest."""

from pathlib import PureWindowsPath
from typing import Protocol

from sandbox.windows.host import STAGES, Json, Outcome

ROOT = PureWindowsPath("C:/ProgramData/Quiesce")
# guest/quiesce.ps1: what Start-Script can start.
STARTABLE = (".ps1", ".cmd", ".bat", ".exe", ".com")


class Refused(Exception):
    """The guest refuses: it answers with ``ok`` false, this error, and what it knows of the session."""

    def __init__(self, error: str, **known: Json) -> None:
        super().__init__(error)
        self.known = known


class Scripts(Protocol):
    """The customer's scripts on one server."""

    def on_server(self) -> list[str]:
        """Return the names of the files in the server's own scripts folder."""

    def fetch(self, link: str) -> bool:
        """Fetch a script from the bucket; False if the bucket refuses."""

    def judge(self, path: str) -> tuple[str, str]:
        """Return why Windows PowerShell would end a script before its first line, and what cannot be told of it."""

    def run(self, path: str, stage: str, argument: str) -> Outcome | None:
        """Start a script and return how it will end; None if there is no such file."""


def manifest(parameters: dict[str, str], scripts: Scripts, overdue: list[Json]) -> dict[str, Json]:
    """Return the manifest of a run, from the parameters of the SSM document and the sessions that stage has ended.

    Raises:
        Refused: two scripts on the server match, the bucket refuses a link, or a script could not begin.
    """
    source, policy = parameters["Scripts"], parameters["Policy"]
    paths, ignored = dict.fromkeys(STAGES, ""), {}
    if source == "server":
        for stage in STAGES:
            paths[stage], beside = find(stage, policy, scripts.on_server())
            ignored |= {stage: beside} if beside else {}
    if source == "bucket":
        paths = {stage: fetch(stage, parameters, scripts) for stage in STAGES}
    files = sorted([path for path in paths.values() if path and source == "bucket"] + ["quiesce.ps1"])
    limits = {stage: int(parameters[f"{stage.capitalize()}TimeoutSeconds"]) for stage in STAGES}
    limits |= {name: int(parameters[f"{name.capitalize()}LimitSeconds"]) for name in ("freeze", "session")}
    limits |= {"create": int(parameters["CreateTimeoutSeconds"])}
    return {
        "run": parameters["RunId"],
        "instance": parameters["InstanceId"],
        "policy": policy,
        "source": source,
        "scripts": paths,
        "unsure": judge(paths, scripts),
        "ignored": ignored,
        "overdue": overdue,
        "files": [{"name": name, "sha256": "a hash"} for name in files],
        "limitSeconds": limits,
        "shadowScript": parameters["ShadowScript"],
    }


def find(stage: str, policy: str, names: list[str]) -> tuple[str, str]:
    """Return the path of the server's own script; without one, nothing and the name of a file that cannot be started.

    Only the prefix matches in upper or lower case.
    """
    prefix = f"{stage}_"
    named = sorted(
        name
        for name in names
        if name.lower().startswith(prefix) and PureWindowsPath(name).stem[len(prefix) :] == policy
    )
    found = [str(ROOT / "scripts" / name) for name in named if PureWindowsPath(name).suffix.lower() in STARTABLE]
    if len(found) > 1:
        raise Refused(f"AmbiguousScript: {', '.join(found)}")
    return (found[0], "") if found else ("", named[0] if named else "")


def judge(paths: dict[str, str], scripts: Scripts) -> dict[str, str]:
    """Return what cannot be told of each script before it runs; refuse those that could not begin."""
    verdicts = {
        stage: scripts.judge(path) if path.lower().endswith(".ps1") else ("", "") for stage, path in paths.items()
    }
    if failing := [f"{stage}: {why}" for stage, (why, _) in verdicts.items() if why]:
        raise Refused(f"ScriptNotRunnable: {'; '.join(failing)}")
    return {stage: unsure for stage, (_, unsure) in verdicts.items()}


def fetch(stage: str, parameters: dict[str, str], scripts: Scripts) -> str:
    """Fetch a script from the bucket, and return its name, or nothing if there is no link."""
    link = parameters[f"{stage.capitalize()}Link"]
    if link == "none":
        return ""
    if not scripts.fetch(link):
        raise Refused(f"ScriptNotFetched: {stage}")
    return f"{stage}_{parameters['Policy']}.ps1"
