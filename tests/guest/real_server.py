"""The real guest as a server of the cases: what a step does to a machine, and what the steps leave on it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.guest import conditions, hardware, uploads
from tests.guest.cases import Case, Json
from tests.guest.incidents import Incidents
from tests.guest.machine import INSTANCE, PROTECTED, ContractBrokenError, Limit, Machine
from tests.guest.metadata import Metadata
from tests.guest.shared import Pool
from tools.guest.checker.task_rules import task_findings

# The result of stage, by its inputs: most cases begin with the same stage, which takes PowerShell a second.
STAGED: dict[str, tuple[str, dict[str, bytes]]] = {}
ARCHIVE = "session.zip"
SUMMARY = ("phase", "autoThawed", "runnerLost", "alive", "cloned")
ENDS_RUNNER = {"kill", "hang", "reboot", "clone"}
LEAVE_NO_TRACE = ("inventory", "examine", "collect")


def _phase(file: Path) -> str:
    """Return the phase of a session's state, empty for one that a case has spoilt."""
    try:
        return str(json.loads(file.read_text()).get("phase"))
    except ValueError:
        return ""


class RealServer:
    """A case's server, on a machine that runs the guest's ``texts`` in a real PowerShell."""

    def __init__(
        self,
        case: Case,
        home: Path,
        texts: Mapping[str, str],
        metadata: Metadata,
        pwsh: str,
        pool: Pool | None,
        limit: Limit,
    ) -> None:
        self.case = case
        # A runner that will be killed, by the case or by the guest, is not worth a PowerShell that could be used again.
        killed = {name for step in case.steps for name in step} & ENDS_RUNNER
        apart = ("session",) if killed else ()
        self.machine = Machine(home, texts, metadata, pwsh, case.culture, pool, limit, apart)
        self.incidents = Incidents(self.machine)
        self.have_ended: list[Callable[[], bool]] = []
        self.nonces: dict[str, str] = {}
        hardware.install(home, "nvme")
        conditions.install(home, "ready")
        for script in case.scripts.values():
            self.machine.add_script(script, case.source)

    def verb(self, verb: str, changes: dict[str, str]) -> dict[str, Json]:
        """Send a verb; the policy's source of scripts is the case's."""
        extra = ({"Scripts": self.case.source} if verb == "stage" else {}) | self._nonce_for(verb, changes)
        origin = self.machine.metadata.origin(self.machine.name)
        changes = {name: str(value).replace("ORIGIN", origin) for name, value in changes.items()}
        if verb in LEAVE_NO_TRACE:
            self._wait_for_ended_sessions()  # a task has its last work after the end of its session
        before = self._contents() if verb in LEAVE_NO_TRACE else {}
        plain = verb == "stage" and self.case.source == "server" and self._is_untouched()
        answer = self.staged(extra | changes) if plain else self.machine.verb(verb, extra | changes)
        if verb in LEAVE_NO_TRACE and self._contents() != before:
            raise ContractBrokenError(f"{verb} has changed a file")
        if nonce := answer.get("nonce"):
            run = changes.get("RunId", "run-1")
            if self.nonces.setdefault(run, nonce) != nonce:
                raise ContractBrokenError(f"{verb} answers with another nonce for {run}")
        if "collected" in answer:
            self._check_upload(answer["collected"])
        if not self.incidents.clock_was_set:
            check_order(answer.get("session"))
        return answer

    def _wait_for_ended_sessions(self) -> None:
        for file in self._files("state.json"):
            if file.exists() and _phase(file) == "ended":
                self._wait_for_tasks(f"{file.parent.parent.name}/{file.parent.name}")

    def _contents(self) -> dict[str, str]:
        """Return every file below ProgramData with its hash, except archives, which end() checks."""
        files = [file for file in (self.machine.home / "ProgramData").rglob("*") if file.is_file()]
        files = [file for file in files if not file.name.startswith(ARCHIVE)]
        return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    def _check_upload(self, collected: Json) -> None:
        """Raise ContractBrokenError if the bucket's content differs from the answer."""
        body = self.machine.metadata.uploads.get((self.machine.name, ARCHIVE))
        if body is None:
            raise ContractBrokenError(f"the bucket has nothing, the answer lists {collected}")
        listed = [(each["name"], each["bytes"]) for each in collected["files"]]
        if listed != uploads.packed(body) or collected["bytes"] != len(body):
            raise ContractBrokenError(f"the bucket has {uploads.packed(body)}, the answer lists {collected}")

    def _is_untouched(self) -> bool:
        """Return whether the machine is as at its start, with only the customer's scripts on it."""
        machine, root = self.machine, self.machine.root
        if any("together" in step for step in self.case.steps):
            return False  # two stages at once must both run
        if self.case.culture != Case.culture or root.is_symlink() or not root.exists() or (root / "runs").exists():
            return False
        rights = machine.home / "acl" / str(root.stat().st_ino)
        known = machine.instance == INSTANCE and machine.name in machine.metadata.instances
        plain = not list((machine.home / "faults").iterdir()) and machine.metadata.late.get(machine.name, 0) <= 0
        return known and plain and rights.exists() and rights.read_text() == PROTECTED

    def staged(self, changes: dict[str, str]) -> dict[str, Json]:
        """Return stage's answer and put its files in place: it runs once for the same inputs, then from memory."""
        home, run = str(self.machine.home), self.machine.root / "runs" / changes.get("RunId", "run-1")
        names = sorted((script.file_name, script.head) for script in self.case.scripts.values())
        key = json.dumps([dict(self.machine.texts), sorted(changes.items()), names])
        if key not in STAGED:
            answer = self.machine.verb("stage", changes)
            if not answer["ok"]:
                return answer
            files = {file.name: file.read_bytes().replace(home.encode(), b"HOME") for file in run.iterdir()}
            STAGED[key] = json.dumps(answer).replace(home, "HOME"), files
            return answer
        text, files = STAGED[key]
        run.mkdir(parents=True)
        for name, content in files.items():
            (run / name).write_bytes(content.replace(b"HOME", home.encode()))
        return json.loads(text.replace("HOME", home))

    def _nonce_for(self, verb: str, changes: dict[str, str]) -> dict[str, str]:
        """Return the parameter that only complete needs."""
        return {"Nonce": self.nonces.get(changes.get("RunId", "run-1"), "none")} if verb == "complete" else {}

    def begin(self, verb: str) -> None:
        """Send a verb, and lose its answer."""
        self.have_ended.append(self.machine.begin(verb, self.machine.parameters(verb, self._nonce_for(verb, {}))))

    def step(self, name: str, value: str) -> None:
        """Take a step that is not a verb."""
        getattr(self.incidents, name)(value)

    def end(self) -> dict[str, Json]:
        """Return what the steps have left: the application, tasks, sessions, and what only a real server has."""
        for has_ended in self.have_ended:
            self.machine.limit.wait_for(has_ended, "a verb whose answer was lost has ended")
        home = self.machine.home
        states = {
            f"{file.parent.parent.name}/{file.parent.name}": json.loads(file.read_text())
            for file in self._files("state.json")
            if file.read_bytes().startswith(b"{")
        }
        for name, state in states.items():
            if state["phase"] == "ended":
                self._wait_for_tasks(name)
        self._check_tasks()
        if left := self._files(f"{ARCHIVE}*"):
            raise ContractBrokenError(f"left behind: {left}")
        # First: a process on its way out may still remove its task.
        left = self.machine.left(self.case.see_real.get("processes", 0))
        log = home / "application.log"
        # A copy, because other machines upload meanwhile.
        uploaded = self.machine.metadata.uploads.copy()
        return {
            "application": [line.strip() for line in log.read_text().splitlines()] if log.exists() else [],
            "frozen": (home / "application.frozen").exists(),
            "tasks": sorted(task.name for task in (home / "tasks").iterdir()),
            "copies": [copy["shadow_id"] for copy in json.loads((home / "vss.json").read_text())["copies"]],
            "sessions": {name: summary(state) for name, state in states.items()},
            "output": {
                f"{file.parent.name}/{file.name}": file.stat().st_size
                for file in self._files("*.out") + self._files("*.err")
                if file.is_file() and file.stat().st_size
            },
            "orders": {file.name: file.stat().st_size for file in self.incidents.orders.glob("*")},
            "uploads": {
                name: uploads.gist(body) for (machine, name), body in uploaded.items() if machine == self.machine.name
            },
            "processes": left,
            "registered": {entry["name"]: self._triggers(entry) for entry in self._journal("task")},
        } | self._of_accounts()

    def _check_tasks(self) -> None:
        """Raise ContractBrokenError if a task is not as the checker demands."""
        for file in [*self._files("session.xml"), *self._files("watchdog.xml")]:
            if found := task_findings(file.read_bytes(), watchdog=file.stem == "watchdog"):
                raise ContractBrokenError(f"{file.name}: {found}")
        for file in sorted((self.machine.home / "registered").glob("*.xml")):
            if found := task_findings(file.read_bytes(), watchdog=False, account=True):
                raise ContractBrokenError(f"{file.name}: {found}")

    def _of_accounts(self) -> dict[str, Json]:
        """Return what Task Scheduler has started under which account, by session, and that account's rights."""
        started = [each for each in self._journal("account") if not each["name"].endswith("-0")]
        folders = [each for each in (*self._files("account"), *self._files("account/said")) if each.is_dir()]
        rights = {f"{each.parent.name}/{each.name}": self._rights(each) for each in folders}
        names = [f"{each['account']} {each['logon']}" for each in started]
        return {"accounts": names, "rights": rights} if started or folders else {}

    def _rights(self, path: Path) -> str:
        known = self.machine.home / "acl" / str(path.stat().st_ino)
        return known.read_text().partition("(A;")[0].partition("AI")[2] if known.exists() else ""

    def _files(self, pattern: str) -> list[Path]:
        """Return the sessions' files with this name."""
        return sorted((self.machine.root / "runs").glob(f"*/[0-9]*/{pattern}")) if self.machine.root.exists() else []

    def _journal(self, kind: str) -> list[dict[str, Json]]:
        """Return what the stand-ins have noted of a kind; raise ContractBrokenError if a stand-in refused anything."""
        journal = self.machine.home / "journal"
        entries = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
        if refused := [entry for entry in entries if entry["kind"] == "refused"]:
            raise ContractBrokenError(f"refused: {refused}")
        return [entry for entry in entries if entry["kind"] == kind]

    def _wait_for_tasks(self, session: str) -> None:
        """Wait for the tasks of an ended session: the last thing that they do is to remove themselves.

        There may be more than the journal has: two verbs at once start the session's task twice, and the second finds
        the session taken.
        """
        run, _, attempt = session.partition("/")
        self.machine.limit.wait_for(
            lambda: not self.machine.runs_tasks(run, attempt), f"the tasks of {session} have ended"
        )

    @staticmethod
    def _triggers(entry: dict[str, Json]) -> list[Json]:
        """Return a task's triggers, their seconds rounded to tens: under load the guest takes some to set them."""
        seconds = [each.get("in_s") for each in entry["triggers"]]
        triggers = ["boot" if each is None else f"in {round(each / 10) * 10} s" for each in seconds]
        return [*triggers, f"priority {entry['priority']}"]

    def close(self) -> None:
        """End what is left of the machine."""
        self.machine.close()


def summary(state: dict[str, Json]) -> Json:
    """Return the part of a session's state that stays the same from run to run."""
    return {name: state[name] for name in (*SUMMARY, "before", "after", "complete", "holds", "shadow")}


def check_order(session: Json) -> None:
    """Raise ContractBrokenError if the session's times are out of order."""
    if not isinstance(session, dict):
        return
    before, after, complete = (session[stage] or {} for stage in ("before", "after", "complete"))
    times = [before.get("startedMs"), before.get("endedMs"), session["frozenMs"], after.get("startedMs")]
    times += [after.get("endedMs"), complete.get("startedMs"), complete.get("endedMs"), session["endedMs"]]
    known = [time for time in times if time]
    if known != sorted(known):
        raise ContractBrokenError(f"out of order: {session}")
