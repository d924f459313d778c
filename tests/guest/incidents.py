"""What can happen to a case's real server between two verbs. The name of each incident is a step of the cases."""

import fcntl
import json
import os
import re
import shutil
import time
from typing import IO

from tests.guest import hardware
from tests.guest.machine import PROTECTED, ContractBrokenError, Machine, wait_for

HOUR_MS = 3_600_000
# The rights of a user's own folder, and of an administrator's folder that users may write to.
RIGHTS = {
    "user": "O:S-1-5-21-1-2-3-1001G:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)",
    "open": "O:BAG:SYD:AI(A;OICI;FA;;;SY)(A;OICI;0x1301bf;;;BU)",
    "own": PROTECTED,
}


class Incidents:
    """The incidents of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.orders = machine.home / "ProgramData" / "OrdersApp"
        self.clock_was_set = False
        self.held: list[IO[str]] = []

    def until(self, phase: str) -> None:
        """Wait until the first attempt's session is in this phase."""
        wait_for(lambda: self.machine.state().get("phase") == phase, f"the session is {phase}")

    def running(self, stage: str) -> None:
        """Wait until a stage's script runs, and the state file has its process id."""
        log = self.machine.home / "application.log"
        wait_for(lambda: log.exists() and f"\n{stage}" in f"\n{log.read_text()}", f"{stage} runs")
        wait_for(
            lambda: bool((self.machine.state().get(stage) or {}).get("processId")), f"the state has {stage}'s process"
        )

    def holding(self, _: str) -> None:
        """Wait until DiskShadow is at create, and the state file has its process id."""
        log = self.machine.session_folder() / "diskshadow.log"
        wait_for(lambda: log.exists() and log.read_text().endswith("-> create\n"), "DiskShadow creates")
        wait_for(lambda: bool((self.machine.state().get("shadow") or {}).get("processId")), "the state has its process")

    def seen(self, line: str) -> None:
        """Wait until the application's log ends with this line."""
        log = self.machine.home / "application.log"
        wait_for(lambda: log.exists() and log.read_text().split("\n")[-2:][0].strip() == line, f"{line} in the log")

    def release(self, stage: str) -> None:
        """Let a holding script go on."""
        (self.machine.home / "release" / stage).touch()

    def kill(self, task: str) -> None:
        """Kill the process of a task."""
        self.machine.kill_task(task)

    def reboot(self, _: str) -> None:
        """End every process, then fire the boot triggers."""
        self.machine.kill(self.machine.processes())
        self.machine.start_tasks("boot")

    def fire(self, _: str) -> None:
        """Fire the time triggers."""
        self.machine.start_tasks("time")

    def gone(self, task: str) -> None:
        """Wait until the process of a task has ended."""
        process = int((self.machine.home / "tasks.pid" / f"{task}-run-1-1").read_text())
        wait_for(lambda: process not in self.machine.processes(), f"{task} has ended")

    def clone(self, instance: str) -> None:
        """Boot the disk as another server."""
        self.machine.kill(self.machine.processes())
        self.machine.metadata.instances[self.machine.name] = self.machine.instance = instance
        self.machine.start_tasks("boot")

    def metadata(self, state: str) -> None:
        """Take the metadata service away, or bring it back."""
        if state == "down":
            del self.machine.metadata.instances[self.machine.name]
        else:
            self.machine.metadata.instances[self.machine.name] = self.machine.instance

    def fault(self, name: str) -> None:
        """Make a stand-in fail (see there), or ``language`` (constrained), or ``agent`` (passes no instance id).

        ``diskshadow`` removes the program.
        """
        if name == "diskshadow":
            self.machine.diskshadow.unlink()
        (self.machine.home / "faults" / name).touch()

    def mend(self, name: str) -> None:
        """Take a fault away."""
        (self.machine.home / "faults" / name).unlink()

    def disk(self, state: str) -> None:
        """Fill the disk for all further writes of the session, or from its next start on, or free it."""
        folder = self.machine.session_folder()
        if state == "full for freeze":
            (self.machine.home / "faults" / "start").touch()
            self.machine.verb("freeze", {"WaitSeconds": "1"})
            (self.machine.home / "faults" / "start").unlink()
        for name in ("state.json.new", "after.out", "after.err"):
            (folder / name).unlink(missing_ok=True)
            if state != "free":
                (folder / name).symlink_to("/dev/full")

    def clock(self, _: str) -> None:
        """Set the clock back an hour: to a reader of the state file, all its times are an hour later."""
        self.clock_was_set = True
        file = self.machine.session_folder() / "state.json"
        later = re.sub(r'(Ms":)([1-9]\d+)', lambda match: f"{match[1]}{int(match[2]) + HOUR_MS}", file.read_text())
        file.write_text(later)

    def abandon(self, session: str) -> None:
        """Let a session without a runner have begun two days ago, or, ``ahead``, in two days, without tasks."""
        name, _, ahead = session.partition(" ")
        run, _, attempt = name.partition("/")
        file = self.machine.session_folder(run, attempt) / "state.json"
        state = json.loads(file.read_text())
        file.write_text(json.dumps(state | {"createdMs": state["createdMs"] + (48 if ahead else -48) * HOUR_MS}))
        for task in ("session", "watchdog"):
            (self.machine.home / "tasks" / f"{task}-{run}-{attempt}").unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Remove a script from the server's folder."""
        (self.machine.root / "scripts" / name).unlink()

    def start(self, task: str) -> None:
        """Start a task as if Task Scheduler had been slow."""
        self.machine.start_task(f"{task}-run-1-1")

    def swap(self, how: str) -> None:
        """Give the folder and all in it other rights."""
        self.machine.give(self.machine.root, RIGHTS[how])

    def age(self, run: str) -> None:
        """Let a run be 15 days old."""
        folder, old_s = self.machine.root / "runs" / run, time.time() - 15 * 86400
        if not folder.exists():
            raise ContractBrokenError(f"{run} is missing")
        os.utime(folder, (old_s, old_s))

    def install(self, what: str) -> None:
        """Install the application of the examples, with or without a log of ``orders``."""
        self.orders.mkdir()
        if what == "orders":
            (self.orders / "orders.log").write_text("one order\n")

    def holds(self, name: str) -> None:
        """Check that the application's folder holds this file now."""
        if not (self.orders / name).exists():
            raise ContractBrokenError(f"no {name} in the application's folder")

    def plant(self, how: str) -> None:
        """Put a link or a folder in the guest's place before the guest has ever run."""
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

    def lose(self, name: str) -> None:
        """Remove a file of the first attempt, as a replacement that fails half-way does."""
        (self.machine.session_folder() / name).unlink()

    def litter(self, name: str) -> None:
        """Leave the draft of a verb that died while it made a session."""
        draft = self.machine.root / "runs" / "run-1" / name
        draft.mkdir()
        (draft / "runner.lock").touch()

    def drives(self, name: str) -> None:
        """Give the machine other disks."""
        hardware.install(self.machine.home, name)

    def vanish(self, drive: str) -> None:
        """Delete the session's shadow copies of a drive, as Windows does for lack of space."""
        home = self.machine.home
        state = json.loads((home / "vss.json").read_text())
        lost = next(volume for volume, letter in state["volumes"].items() if letter == drive)
        state["copies"] = [copy for copy in state["copies"] if copy["volume"] != lost]
        (home / "vss.json").write_text(json.dumps(state))
        cim = json.loads((home / "shadows.json").read_text())
        cim["Win32_ShadowCopy"] = [copy for copy in cim["Win32_ShadowCopy"] if copy["VolumeName"] != lost]
        (home / "shadows.json").write_text(json.dumps(cim))

    def lock(self, name: str) -> None:
        """Open a file of the first attempt exclusively, as a scanner does."""
        file = (self.machine.session_folder() / name).open()
        fcntl.flock(file, fcntl.LOCK_EX)
        self.held.append(file)

    def tamper(self, name: str) -> None:
        """Change a file after it was staged."""
        file = self.machine.root / "runs" / "run-1" / name
        file.write_text(file.read_text() + "\n")
