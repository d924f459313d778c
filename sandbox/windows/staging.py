"""The guest's verb ``stage`` on a simulated server: finds the customer's scripts and makes the run's manifest."""

from pathlib import PureWindowsPath
from typing import Protocol

from sandbox.windows.host import STAGES, Json, Outcome

ROOT = PureWindowsPath("C:/ProgramData/Quiesce")


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

    def run(self, path: str, stage: str, argument: str) -> Outcome | None:
        """Start a script and return how it will end; None if there is no such file."""


def manifest(parameters: dict[str, str], scripts: Scripts) -> dict[str, Json]:
    """Return the manifest of a run, from the parameters of the SSM document.

    Raises:
        Refused: two scripts on the server match, or the bucket refuses a link.
    """
    source, policy = parameters["Scripts"], parameters["Policy"]
    paths = dict.fromkeys(STAGES, "")
    if source == "server":
        paths = {stage: find(stage, policy, scripts.on_server()) for stage in STAGES}
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
        "files": [{"name": name, "sha256": "a hash"} for name in files],
        "limitSeconds": limits,
        "shadowScript": parameters["ShadowScript"],
    }


def find(stage: str, policy: str, names: list[str]) -> str:
    """Return the path of the server's own script, or nothing; only the prefix matches in upper or lower case."""
    prefix = f"{stage}_"
    found = [
        str(ROOT / "scripts" / name)
        for name in names
        if name.lower().startswith(prefix) and PureWindowsPath(name).stem[len(prefix) :] == policy
    ]
    if len(found) > 1:
        raise Refused(f"AmbiguousScript: {', '.join(sorted(found))}")
    return found[0] if found else ""


def fetch(stage: str, parameters: dict[str, str], scripts: Scripts) -> str:
    """Fetch a script from the bucket, and return its name, or nothing if there is no link."""
    link = parameters[f"{stage.capitalize()}Link"]
    if link == "none":
        return ""
    if not scripts.fetch(link):
        raise Refused(f"ScriptNotFetched: {stage}")
    return f"{stage}_{parameters['Policy']}.ps1"
