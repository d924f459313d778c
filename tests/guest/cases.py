"""Contract cases: data that the real guest and the sandbox's model of it must both satisfy.

A case sets up a server, takes steps in order, and says what must be seen. ``run`` works on any server with the steps'
methods, and returns a record without anything that differs from run to run.
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from ruamel.yaml import YAML

from tests.guest import hardware, shadows
from tests.guest.customer import Script

# The number depends on how many shadow copies exist at the moment.
DEVICE = re.compile(r"(HarddiskVolumeShadowCopy)[0-9]+")
# Whether DiskShadow still sees that the batch file was ended, before it is ended itself, is chance.
ENDED_WITH_ITS_HOLD = re.compile(
    r"The command script returned failure exit code -9\.\s+The command script failed\.\s*\Z"
)
FILE = Path(__file__).with_name("cases.yaml")
# What differs from run to run.
VARYING = ("Ms", ".processId", ".nonce", ".why", ".programDataFreeBytes", "powershell.version", ".fileVersion")
# The product's scripts of DiskShadow, for the volumes of a server with these disks.
SHADOW_SCRIPTS = {"VSS": "nvme", "VSS of 64": "64 drives"}
VERBS = ("inventory", "examine", "stage", "freeze", "thaw", "complete", "collect", "recovered", "set")
# In these the text after the colon is another program's.
FOREIGN_TEXT = (
    "PackageNotFetched",
    "PackageChanged",
    "FolderNotTrusted",
    "NotStarted",
    "NotCollected",
    "IdentityUnknown",
    "NotChanged",
    "SettingUnreadable",
)
FOREIGN_TEXT += tuple(f"ScriptNotRunnable: {stage}" for stage in ("before", "after", "complete"))

Json = Any  # what json.loads returns


class Server(Protocol):
    """What a case needs of a server, real or modelled."""

    def verb(self, verb: str, changes: dict[str, str]) -> dict[str, Json]:
        """Send a verb and return its answer."""

    def begin(self, verb: str) -> None:
        """Send a verb without waiting for its answer."""

    def step(self, name: str, value: str) -> None:
        """Take a step that is not a verb: kill, reboot, fire, ..."""

    def end(self) -> dict[str, Json]:
        """Return what the steps have left on the server."""


@dataclass(frozen=True)
class Case:
    """One case of cases.yaml; ``scripts`` says what each stage's script does, and leaves out a missing one."""

    name: str
    steps: list[dict[str, Json]]
    see: dict[str, Json]
    see_real: dict[str, Json] = field(default_factory=dict)
    scripts: dict[str, Script] = field(default_factory=dict)
    source: str = "server"
    culture: str = "C.UTF-8"
    alone: bool = False
    """Whether none of its verbs and tasks may share a PowerShell with other cases'."""
    takes_s: int = 0
    """How long its own time limits make it take, if that is 20 s or more."""
    sample: bool = False
    """Whether every check runs it in the real PowerShell, even if nothing has changed."""


def script(stage: str, value: Json) -> Script:
    """Return a script from its short form, ``ok`` or ``exits 7``, or from its fields."""
    if isinstance(value, dict):
        return Script(stage, **value)
    does, _, code = str(value).partition(" ")
    return Script(stage, does, int(code or 0))


@cache
def load() -> list[Case]:
    """Return all cases, in the file's order."""
    cases = []
    for entry in YAML(typ="safe").load(FILE):
        entry.pop("chapter", None)  # for tools/chapter.py alone
        scripts = {"before": "ok", "after": "ok", "complete": "ok"} | entry.pop("scripts", {})
        for stage in (step["stage"] for step in entry["steps"] if step.get("stage")):
            if name := SHADOW_SCRIPTS.get(stage.get("ShadowScript", "")):
                stage["ShadowScript"] = shadows.script([*hardware.volumes(name)])
        present = {name: script(name.partition("/")[0], value) for name, value in scripts.items() if value != "missing"}
        cases.append(Case(scripts=present, **entry))
    return cases


def normal(value: Json, home: str = "", key: str = "") -> Json:
    """Return the value without what differs from run to run: times and process ids become true or false."""
    if isinstance(value, dict):
        if key.endswith(".collected"):
            value = without_sizes(value)
        return {name: normal(each, home, f"{key}.{name}") for name, each in value.items()}
    if isinstance(value, list):
        return [normal(each, home) for each in value]
    if key.endswith(VARYING):
        return bool(value)
    if key.endswith(".startedTicks"):
        return "ticks"  # Linux does not tell them of a process that has just ended
    if key.endswith(".sha256"):
        return "a hash"
    return normal_text(value, home, key) if isinstance(value, str) else value


def normal_text(value: str, home: str, key: str) -> Json:
    """Return a text without the machine's home, and DiskShadow's log as its lines."""
    if key.endswith(".diskShadowLog"):
        return [DEVICE.sub(r"\1N", line) for line in ENDED_WITH_ITS_HOLD.sub("", value).splitlines()]
    if key.endswith(".deviceObject"):
        return DEVICE.sub(r"\1N", value)
    text = value.replace(home, "") if home else value
    return next((name for name in FOREIGN_TEXT if text.startswith(f"{name}:")), text)


def without_sizes(collected: Json) -> Json:
    """Return what was collected without sizes that depend on times and names; scripts' output keeps its sizes."""
    kept = tuple(f"{stage}.{stream}" for stage in ("before", "after", "complete") for stream in ("out", "err"))
    files = [
        each if each["name"].endswith(kept) else {**each, "bytes": bool(each["bytes"])} for each in collected["files"]
    ]
    return {"files": files, "bytes": bool(collected["bytes"])}


def differences(expected: Json, seen: Json, where: str = "") -> Iterator[str]:
    """Yield every place where a value differs from the expected one; ignore keys that are not expected."""
    if expected == {} and seen and "." in where:
        yield f"{where}: expected nothing, seen {seen!r}"
    elif isinstance(expected, dict) and isinstance(seen, dict):
        for name, each in expected.items():
            if name in seen:
                yield from differences(each, seen[name], f"{where}.{name}")
            else:
                yield f"{where}.{name}: expected {each!r}, missing"
    elif isinstance(expected, list) and isinstance(seen, list) and len(expected) == len(seen):
        for number, (each, other) in enumerate(zip(expected, seen, strict=True)):
            yield from differences(each, other, f"{where}[{number}]")
    elif expected != seen:
        yield f"{where}: expected {expected!r}, seen {seen!r}"


def answer_problems(step: dict[str, Json], answer: Json, number: int) -> list[str]:
    """Return where an answer differs from its step's, and the error that the server named."""
    found = list(differences(step.get("answer", {}), answer, f"step {number} {next(iter(step))}"))
    return [*found, f"step {number}: the error was {answer['error']!r}"] if found else []


def run(case: Case, server: Server, home: str = "", seen: list[str] | None = None) -> tuple[dict[str, Json], list[str]]:
    """Take the case's steps; return the record, and what differs from the case, which ``seen`` has as soon as it is."""
    answers: list[Json] = []
    wrong: list[str] = [] if seen is None else seen

    def send(step: dict[str, Json]) -> Json:
        verb = next(iter(step))
        return normal(server.verb(verb, step[verb] or {}), home)

    for number, step in enumerate(case.steps, 1):
        name = next(iter(step))
        if name in VERBS:
            answer = send(step)
            answers.append(answer)
            wrong += answer_problems(step, answer, number)
        elif name == "together":
            with ThreadPoolExecutor() as pool:
                both = sorted(pool.map(send, step[name]), key=str)
            answers += both
            for answer in both:
                wrong += answer_problems(step, answer, number)
        elif name == "begin":
            server.begin(str(step[name]))
        else:
            server.step(name, str(step[name]))
    end = normal(server.end(), home)
    wrong += differences(case.see, end, "end")
    return {"answers": answers, "end": end}, wrong


Factory = Callable[[Case], Server]
