"""The guest's verb ``stage`` on a simulated server: finds and judges the scripts, and makes the run's manifest."""

import hashlib
import io
import re
import zipfile
from base64 import b64encode
from dataclasses import dataclass
from pathlib import PureWindowsPath
from typing import Protocol

from sandbox.windows.host import SCRIPTS, STAGES, Json, Outcome

ROOT = PureWindowsPath("C:/ProgramData/Quiesce")
# guest/parts, Assert-Limits.
LIMITS_S = 840
# guest/parts, Save-Package: how large a package may be, and the names of DiskShadow's script and the account in it.
MAX_FILE_BYTES = 10 * 2**20
SHADOW_SCRIPT, ACCOUNT_NAME = "shadow.txt", "account.txt"
# guest/parts: what Start-Script can start.
NO_MAPPING = "No mapping between account names and security IDs was done."
NOT_BEGUN = (
    "the task of {} has not begun within 20 s: give it the right 'Log on as a batch job', see that it is enabled and "
    "may run PowerShell; event 101 of Task Scheduler has the reason"
)
STARTABLE = (".ps1", ".cmd", ".bat", ".vbs", ".exe", ".com")


class Refused(Exception):
    """The guest refuses: it answers with ``ok`` false, this error, and what it knows of the session."""

    def __init__(self, error: str, **known: Json) -> None:
        super().__init__(error)
        self.known = known


class Scripts(Protocol):
    """The customer's scripts on one server."""

    def on_server(self) -> list[str]:
        """Return the names of the files in the server's own scripts folder, with the folder of an owner before them."""

    def read(self, name: str) -> bytes | None:
        """Return the content of one of these files; None if it is a user's."""

    def fetch(self, link: str) -> bytes | None:
        """Fetch an object from the bucket; None if the bucket refuses."""

    def keep(self, files: dict[str, bytes]) -> None:
        """Keep the scripts of a run's package."""

    def judge(self, path: str) -> tuple[str, str]:
        """Return why Windows PowerShell would end a script before its first line, and what cannot be told of it."""

    def run(self, path: str, stage: str, argument: str) -> Outcome | None:
        """Start a script and return how it will end; None if there is no such file."""


@dataclass
class Accounts:
    r"""The accounts that Task Scheduler can start something under without a password: ``NAME\user``, and gMSAs.

    ``begin`` says whether a task of theirs begins: one needs the right to log on as a batch job. ``registered`` says
    whether Task Scheduler takes one, ``there`` whether they are still there.
    """

    node: str
    known: set[str]
    begin: bool = True
    registered: bool = True
    there: bool = True

    def full_name(self, account: str) -> str:
        """Return the name by which Windows' programs know an account."""
        return account.replace(".\\", f"{self.node}\\")

    def problem(self, account: str) -> str:
        """Return why no task can run under an account; empty if one can."""
        name = self.full_name(account)
        if not name.endswith("$") and name.partition("\\")[0].lower() != self.node.lower():
            return f"{name} is neither an account of this server, {self.node}, nor a gMSA: name one of these in run_as"
        if not self.there or name.lower() not in {each.lower() for each in self.known}:
            return f"{name} can not be given rights, icacls ended with 1332: is there such an account?"
        if not self.registered:
            return f"{name} is not taken by Task Scheduler: {NO_MAPPING}"
        return "" if self.begin else NOT_BEGUN.format(name)

    def rehearse(self, account: str) -> None:
        """Refuse an account under which no task begins."""
        if problem := self.problem(account):
            raise Refused(f"AccountNotUsable: {problem}")


def require_name(run: str, others: list[str]) -> None:
    """Refuse a run whose folder Windows cannot have, or has already for another."""
    if re.fullmatch(r"(?i)con|prn|aux|nul|com[0-9]|lpt[0-9]", run):
        raise Refused("InvalidParameter: RunId, a device")
    for other in others:
        if other.lower() == run.lower() and other != run:
            raise Refused(f"RunNameTaken: there is a run {other}")


def unpacked(parameters: dict[str, str], scripts: Scripts) -> dict[str, bytes]:
    """Fetch a run's package from the bucket, and return its files; refuse one that is not what the command names."""
    content = scripts.fetch(parameters["PackageLink"])
    if content is None:
        raise Refused("PackageNotFetched")
    if len(content) > MAX_FILE_BYTES:
        raise Refused(f"PackageTooLarge: it has {len(content)} bytes, more than {MAX_FILE_BYTES}")
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256.lower() != parameters["PackageHash"].lower():
        raise Refused(f"PackageChanged: its {len(content)} bytes have the SHA-256 {sha256}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def require_limits(parameters: dict[str, str], *, shadow: bool) -> None:
    """Refuse limits that together are longer than a policy's."""
    names = ["BeforeTimeoutSeconds", "AfterTimeoutSeconds", "CompleteTimeoutSeconds"]
    seconds = sum(int(parameters[name]) for name in names) + 120
    if shadow:
        seconds += int(parameters["CreateTimeoutSeconds"]) + 180
    if seconds > LIMITS_S:
        raise Refused(f"InvalidParameter: the limits make {seconds} s, more than {LIMITS_S}")


def manifest(
    parameters: dict[str, str], packed: dict[str, bytes], scripts: Scripts, accounts: "Accounts", overdue: list[Json]
) -> dict[str, Json]:
    """Return the manifest of a run: from the SSM document's parameters, its package, and the sessions that stage ended.

    Raises:
        Refused: two scripts on the server match, the limits are too long, a script could not begin, or the account that
            the package names can't run one.
    """
    source, policy = parameters["Scripts"], parameters["Policy"]
    require_limits(parameters, shadow=SHADOW_SCRIPT in packed)
    scripts.keep(packed)
    paths, ignored = dict.fromkeys(SCRIPTS, ""), {}
    if source == "server":
        for stage in SCRIPTS:
            paths[stage], beside = find(stage, policy, parameters["Owner"], scripts.on_server())
            ignored |= {stage: beside} if beside else {}
    if source == "bucket":
        names = {stage: f"{stage}_{policy}.ps1" for stage in SCRIPTS}
        paths = {stage: name if name in packed else "" for stage, name in names.items()}
    pair = [paths[stage] for stage in ("before", "after") if paths[stage]]
    if paths["session"] and pair:
        raise Refused(f"AmbiguousScript: {', '.join([paths['session'], *pair])}")
    limits = {stage: int(parameters[f"{stage.capitalize()}TimeoutSeconds"]) for stage in STAGES}
    limits |= {name: int(parameters[f"{name.capitalize()}LimitSeconds"]) for name in ("freeze", "session")}
    limits |= {"create": int(parameters["CreateTimeoutSeconds"])}
    account = packed.get(ACCOUNT_NAME, b"").decode("ascii")
    if account:
        accounts.rehearse(account)
    return {
        "run": parameters["RunId"],
        "instance": parameters["InstanceId"],
        "policy": policy,
        "source": source,
        "account": account,
        "scripts": paths,
        "unsure": judge(paths, scripts),
        "ignored": ignored,
        "overdue": overdue,
        "files": [{"name": name, "sha256": "a hash"} for name in sorted(packed)],
        "limitSeconds": limits,
        "shadow": SHADOW_SCRIPT in packed,
    }


def find(stage: str, policy: str, owner: str, names: list[str]) -> tuple[str, str]:
    """Return the path of the server's own script; without one, nothing and the name of a file that cannot be started.

    Only the prefix matches in upper or lower case. The owner's folder comes before the one for all, and a name without
    anything between the policy's and the extension before one with.
    """
    prefix, beside = f"{stage}_", ""
    files = [PureWindowsPath(name) for name in sorted(names)]
    for folder in (owner, "."):
        here = [file for file in files if str(file.parent) == folder and file.name.lower().startswith(prefix)]
        named = [file for file in here if file.name[len(prefix) :].split(".")[0] == policy]
        found = [file for file in named if file.suffix.lower() in STARTABLE]
        found = [file for file in found if file.name.count(".") == 1] or found
        if len(found) > 1:
            raise Refused(f"AmbiguousScript: {', '.join(str(ROOT / 'scripts' / file) for file in found)}")
        if found:
            return str(ROOT / "scripts" / found[0]), ""
        beside = named[0].name if named else beside
    return "", beside


def writers_files(owner: str, policy: str, scripts: Scripts) -> list[dict[str, str]]:
    """Return a policy's files of writers in the server's own scripts folder, or why one is not read."""
    name = re.compile(rf"(?i:vss_(exclude|verify)_writers_){re.escape(policy)}(?i:\.txt)")
    files = [PureWindowsPath(each) for each in sorted(scripts.on_server())]
    found = []
    for folder in (owner, "."):
        for file in (each for each in files if str(each.parent) == folder and name.fullmatch(each.name)):
            content = scripts.read(str(file))
            problem = f"{ROOT / 'scripts' / file} is a link, or another's" if content is None else ""
            found.append({"file": str(file), "content": b64encode(content or b"").decode(), "problem": problem})
    return found


def judge(paths: dict[str, str], scripts: Scripts) -> dict[str, str]:
    """Return what cannot be told of each script before it runs; refuse those that could not begin."""
    verdicts = {
        stage: scripts.judge(path) if path.lower().endswith(".ps1") else ("", "") for stage, path in paths.items()
    }
    if failing := [f"{stage}: {why}" for stage, (why, _) in verdicts.items() if why]:
        raise Refused(f"ScriptNotRunnable: {'; '.join(failing)}")
    return {stage: unsure for stage, (_, unsure) in verdicts.items()}
