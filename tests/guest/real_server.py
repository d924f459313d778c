"""The real guest as a server of the cases: what a step does to a machine, and what is left on it at the end."""

import json
import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from threading import Lock

from tests.guest.cases import Case, Json
from tests.guest.machine import PROTECTED, ContractBrokenError, Machine, wait_for
from tests.guest.metadata import Metadata

# What stage left, by its inputs: most cases begin with the same stage, and a second of PowerShell each.
STAGED: dict[str, tuple[str, dict[str, str]]] = {}
STAGING = Lock()
HOUR_MS = 3_600_000
# What a user's own folder looks like, and one of an administrator's that users may write to.
RIGHTS = {
    "user": "O:S-1-5-21-1-2-3-1001G:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
    "open": "O:BAG:SYD:AI(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;BU)",
}


class RealServer:
    """A case's server, on a machine that runs ``document`` in a real PowerShell."""

    def __init__(self, case: Case, home: Path, document: str, metadata: Metadata, pwsh: str) -> None:
        self.case = case
        self.machine = Machine(home, document, metadata, pwsh, case.culture)
        self.orders = self.machine.home / "ProgramData" / "OrdersApp"
        self.begun: list[subprocess.Popen[str]] = []
        self.clock_was_set = False
        for script in case.scripts.values():
            self.machine.add_script(script, case.source)

    def verb(self, verb: str, changes: dict[str, str]) -> dict[str, Json]:
        """Send a verb; the policy's source of scripts is the case's."""
        extra = {"Scripts": self.case.source} if verb == "stage" else {}
        origin = self.machine.metadata.origin(self.machine.name)
        changes = {name: str(value).replace("ORIGIN", origin) for name, value in changes.items()}
        plain = (
            verb == "stage"
            and self.case.source == "server"
            and self.case.culture == Case.culture
            and self.machine.is_untouched()
        )
        answer = self.staged(extra | changes) if plain else self.machine.verb(verb, extra | changes)
        if not self.clock_was_set:
            check_order(answer.get("session"))
        return answer

    def staged(self, changes: dict[str, str]) -> dict[str, Json]:
        """Return what stage answers, and put in place what it leaves: run once for the same inputs, then remembered."""
        home, run = str(self.machine.home), self.machine.root / "runs" / changes.get("RunId", "run-1")
        names = sorted(script.file_name for script in self.case.scripts.values())
        key = json.dumps([self.machine.document, sorted(changes.items()), names])
        with STAGING:
            if key not in STAGED:
                answer = self.machine.verb("stage", changes)
                if not answer["ok"]:
                    return answer
                files = {file.name: file.read_text().replace(home, "HOME") for file in run.iterdir()}
                STAGED[key] = json.dumps(answer).replace(home, "HOME"), files
                return answer
        text, files = STAGED[key]
        run.mkdir(parents=True)
        for name, content in files.items():
            (run / name).write_text(content.replace("HOME", home))
        return json.loads(text.replace("HOME", home))

    def begin(self, verb: str) -> None:
        """Send a verb as an agent whose answers are lost."""
        process = self.machine.start(verb, self.machine.parameters(verb, {}))
        self.begun.append(process)

    def step(self, name: str, value: str) -> None:
        """Do one step that is not a verb."""
        getattr(self, f"step_{name}")(value)

    def step_until(self, phase: str) -> None:
        """Wait until the first attempt's session is in this phase."""
        wait_for(lambda: self.machine.state().get("phase") == phase, f"the session is {phase}")

    def step_running(self, stage: str) -> None:
        """Wait until a stage's script runs, and the state file has its number."""
        log = self.machine.home / "application.log"
        wait_for(lambda: log.exists() and f"\n{stage}" in f"\n{log.read_text()}", f"{stage} runs")
        wait_for(
            lambda: bool((self.machine.state().get(stage) or {}).get("processId")), f"the state knows that {stage} runs"
        )

    def step_seen(self, line: str) -> None:
        """Wait until the application's log ends with this line."""
        log = self.machine.home / "application.log"
        wait_for(lambda: log.exists() and log.read_text().split("\n")[-2:][0].strip() == line, f"{line} in the log")

    def step_release(self, stage: str) -> None:
        """Let a script go on that holds."""
        (self.machine.home / "release" / stage).touch()

    def step_kill(self, task: str) -> None:
        """Kill the process of a task."""
        self.machine.kill_task(task)

    def step_reboot(self, _: str) -> None:
        """End every process, then fire the boot triggers."""
        self.machine.kill(self.machine.processes())
        self.machine.start_tasks("boot")

    def step_fire(self, _: str) -> None:
        """Let the time come for which the time triggers are set."""
        self.machine.start_tasks("time")

    def step_gone(self, task: str) -> None:
        """Wait until the process of a task has ended."""
        process = int((self.machine.home / "tasks.pid" / f"{task}-run-1-1").read_text())
        wait_for(lambda: process not in self.machine.processes(), f"{task} has ended")

    def step_clone(self, instance: str) -> None:
        """The disk boots as another server."""
        self.machine.kill(self.machine.processes())
        self.machine.metadata.instances[self.machine.name] = self.machine.instance = instance
        self.machine.start_tasks("boot")

    def step_metadata(self, state: str) -> None:
        """Take the metadata service away, or bring it back."""
        if state == "down":
            del self.machine.metadata.instances[self.machine.name]
        else:
            self.machine.metadata.instances[self.machine.name] = self.machine.instance

    def step_fault(self, name: str) -> None:
        """Make a stand-in fail, see ``faults`` there; or ``language`` (mode constrained), ``agent`` (does not tell the id)."""
        (self.machine.home / "faults" / name).touch()

    def step_mend(self, name: str) -> None:
        """Take a fault away."""
        (self.machine.home / "faults" / name).unlink()

    def step_disk(self, state: str) -> None:
        """Fill the disk for all that the session has still to write, or from its next start on, or free it."""
        folder = self.machine.session_folder()
        if state == "full for freeze":
            (self.machine.home / "faults" / "start").touch()
            self.verb("freeze", {"WaitSeconds": "1"})
            (self.machine.home / "faults" / "start").unlink()
        for name in ("state.json.new", "after.out", "after.err"):
            (folder / name).unlink(missing_ok=True)
            if state != "free":
                (folder / name).symlink_to("/dev/full")

    def step_clock(self, _: str) -> None:
        """Set the clock back an hour: for who reads the state file, all that it tells was an hour later."""
        self.clock_was_set = True
        file = self.machine.session_folder() / "state.json"
        later = re.sub(r'(Ms":)([1-9]\d+)', lambda match: f"{match[1]}{int(match[2]) + HOUR_MS}", file.read_text())
        file.write_text(later)

    def step_remove(self, name: str) -> None:
        """Take a script away from the server's folder."""
        (self.machine.root / "scripts" / name).unlink()

    def step_start(self, task: str) -> None:
        """Start a task as if Task Scheduler had been slow."""
        self.machine.start_task(f"{task}-run-1-1")

    def step_swap(self, how: str) -> None:
        """Give the folder other rights, with all that is in it."""
        self.machine.give(self.machine.root, RIGHTS[how])

    def step_age(self, run: str) -> None:
        """Let a run be 15 days old."""
        old_s = time.time() - 15 * 86400
        os.utime(self.machine.root / "runs" / run, (old_s, old_s))

    def step_install(self, what: str) -> None:
        """Install the application of the examples, with or without a log of ``orders``."""
        self.orders.mkdir()
        if what == "orders":
            (self.orders / "orders.log").write_text("one order\n")

    def step_holds(self, name: str) -> None:
        """The application's folder must hold this now."""
        if not (self.orders / name).exists():
            raise ContractBrokenError(f"no {name} in the application's folder")

    def step_plant(self, how: str) -> None:
        """Put something in the guest's place before the guest has ever run."""
        root = self.machine.root
        if root.exists():
            shutil.rmtree(root)
        if how == "link":
            elsewhere = self.machine.home / "elsewhere"
            elsewhere.mkdir()
            self.machine.give(elsewhere, PROTECTED)
            root.symlink_to(elsewhere)
        else:
            root.mkdir()
            self.machine.give(root, RIGHTS[how])

    def step_tamper(self, name: str) -> None:
        """Change a file after it was staged."""
        file = self.machine.root / "runs" / "run-1" / name
        file.write_text(file.read_text() + "\n")

    def end(self) -> dict[str, Json]:
        """Return what is left: the application, the tasks, the sessions, and what only a real server has."""
        home = self.machine.home
        states = {
            f"{file.parent.parent.name}/{file.parent.name}": json.loads(file.read_text())
            for file in self._files("state.json")
        }
        for name, state in states.items():
            if state["phase"] == "ended":
                self._wait_for_tasks(name)
        log = home / "application.log"
        return {
            "application": [line.strip() for line in log.read_text().splitlines()] if log.exists() else [],
            "frozen": (home / "application.frozen").exists(),
            "tasks": sorted(task.name for task in (home / "tasks").iterdir()),
            "sessions": {name: summary(state) for name, state in states.items()},
            "output": {
                f"{file.parent.name}/{file.name}": file.stat().st_size
                for file in self._files("*.out") + self._files("*.err")
                if file.is_file() and file.stat().st_size
            },
            "orders": {file.name: file.stat().st_size for file in self.orders.glob("*")},
            "processes": len(self.machine.processes()),
            "registered": {entry["name"]: self._triggers(entry) for entry in self._journal()},
        }

    def _files(self, pattern: str) -> list[Path]:
        """Return the sessions' files of this name."""
        return sorted((self.machine.root / "runs").glob(f"*/[0-9]*/{pattern}")) if self.machine.root.exists() else []

    def _journal(self) -> list[dict[str, Json]]:
        """Return the tasks that were registered; raise ContractBrokenError if a stand-in refused anything."""
        journal = self.machine.home / "journal"
        entries = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
        if refused := [entry for entry in entries if entry["kind"] == "refused"]:
            raise ContractBrokenError(f"refused: {refused}")
        return [entry for entry in entries if entry["kind"] == "task"]

    def _wait_for_tasks(self, session: str) -> None:
        """Wait for the tasks of a session that has ended: removing them is the last thing that they do."""
        run, _, attempt = session.partition("/")
        files = [self.machine.home / "tasks.pid" / f"{task}-{run}-{attempt}" for task in ("session", "watchdog")]
        started = {int(file.read_text()) for file in files if file.exists()}
        wait_for(lambda: not started & set(self.machine.processes()), f"the tasks of {session} have ended")

    @staticmethod
    def _triggers(entry: dict[str, Json]) -> list[Json]:
        """Return a task's triggers, their seconds rounded up to ten: the guest takes a moment to ask."""
        triggers: list[Json] = []
        for each in entry["triggers"]:
            triggers.append("boot" if "boot" in each else f"in {-(-each['in_s'] // 10) * 10} s")
        return [*triggers, f"priority {entry['priority']}"]

    def close(self) -> None:
        """End what is left of the machine."""
        self.machine.close()
        for process in self.begun:
            process.communicate()


def summary(state: dict[str, Json]) -> Json:
    """Return the lasting part of a session's state."""
    return {name: state[name] for name in ("phase", "autoThawed", "before", "after", "complete")}


def check_order(session: Json) -> None:
    """Raise ContractBrokenError if the session's times are not in the order in which things must happen."""
    if not isinstance(session, dict):
        return
    before, after, complete = (session[stage] or {} for stage in ("before", "after", "complete"))
    times = [before.get("startedMs"), before.get("endedMs"), session["frozenMs"], after.get("startedMs")]
    times += [after.get("endedMs"), complete.get("startedMs"), complete.get("endedMs"), session["endedMs"]]
    known = [time for time in times if time]
    if known != sorted(known):
        raise ContractBrokenError(f"out of order: {session}")
