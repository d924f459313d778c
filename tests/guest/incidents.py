"""What can happen to a case's real server between two verbs. The name of each incident is a step of the cases."""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from threading import Thread
from typing import IO

from tests.guest import conditions, hardware
from tests.guest.machine import PROTECTED, ContractBrokenError, Machine

HOUR_MS = 3_600_000
# How long a case waits for what the server does by itself: as long as for a verb. One that goes well never does.
PATIENCE_S = 120
LATE = {"late": 12, "later": 200}
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
        self.held: list[IO[str] | subprocess.Popen[bytes]] = []

    def see(self, condition: Callable[[], bool], what: str, now: Callable[[], object]) -> None:
        """Wait until the condition holds; raise ContractBrokenError with what is there ``now`` if it does not."""
        ends = time.monotonic() + PATIENCE_S

        def holds() -> bool:
            if time.monotonic() > ends and not condition():
                raise ContractBrokenError(f"after {PATIENCE_S} s it is not yet true that {what}: {now()}")
            return condition()

        self.machine.limit.wait_for(holds, what)

    def until(self, phase: str) -> None:
        """Wait until the first attempt's session is in this phase."""
        self.see(lambda: self.machine.state().get("phase") == phase, f"the session is {phase}", self.machine.state)

    def running(self, stage: str) -> None:
        """Wait until a stage's script runs, and the state file has its process id."""
        log = self.machine.home / "application.log"
        self.machine.limit.wait_for(lambda: log.exists() and f"\n{stage}" in f"\n{log.read_text()}", f"{stage} runs")
        name = "before" if stage == "session" else stage
        self.machine.limit.wait_for(
            lambda: bool((self.machine.state().get(name) or {}).get("processId")), f"the state has {stage}'s process"
        )

    def holding(self, _: str) -> None:
        """Wait until DiskShadow is at create, and the state file has its process id."""
        log = self.machine.session_folder() / "diskshadow.log"
        self.machine.limit.wait_for(
            lambda: log.exists() and log.read_text().endswith("-> create\n"), "DiskShadow creates"
        )
        self.machine.limit.wait_for(
            lambda: bool((self.machine.state().get("shadow") or {}).get("processId")), "the state has its process"
        )

    def seen(self, line: str) -> None:
        """Wait until the application's log ends with this line."""
        log = self.machine.home / "application.log"

        def lines() -> list[str]:
            return log.read_text().split("\n") if log.exists() else []

        self.see(lambda: [each.strip() for each in lines()[-2:-1]] == [line], f"{line} in the log", lines)

    def release(self, stage: str) -> None:
        """Let a holding script go on."""
        pipe = os.open(self.machine.home / "release" / stage, os.O_RDWR | os.O_NONBLOCK)
        os.write(pipe, b"go\n")
        self.held.append(os.fdopen(pipe))

    def kill(self, task: str) -> None:
        """Kill the process of a task."""
        self.machine.kill_task(task)

    def hang(self, task: str) -> None:
        """Let a task's own process hang: it holds its lock and does nothing more."""
        process = self.machine.process_of(task)
        self.machine.wait_for_rest([process])
        os.kill(process, signal.SIGSTOP)

    def logged(self, text: str) -> None:
        """Wait until the first attempt's log for people has this text."""
        log = self.machine.session_folder() / "session.log"

        def said() -> str:
            return log.read_text() if log.exists() else ""

        self.see(lambda: text in said(), f"the log says {text!r}", said)

    def has(self, name: str) -> None:
        """Check that the first attempt has this file now."""
        if not (self.machine.session_folder() / name).exists():
            raise ContractBrokenError(f"there is no {name}")

    def last(self, line: str) -> None:
        """Check that the application's log ends with this line now."""
        lines = (self.machine.home / "application.log").read_text().splitlines()
        if lines[-1].strip() != line:
            raise ContractBrokenError(f"the application's log is {lines}, without {line} at its end")

    def ran(self, what: str) -> None:
        """Check which task started a script: ``after watchdog``."""
        stage, _, task = what.partition(" ")
        log = (self.machine.session_folder() / "session.log").read_text()
        if not re.search(rf" {task}\[\d+\] {stage} \S* ?starts: ", log):
            raise ContractBrokenError(f"{task} did not start {stage}: {log}")

    def mistake(self, stage: str) -> None:
        """Let another process have the number of a stage's process, which has ended."""
        state = self.machine.state()
        # Numbers are given again, but not within seconds.
        old_ms = state[stage]["startedMs"] + 3000
        self.machine.limit.wait_for(lambda: time.time() * 1000 > old_ms, "the dead process has been dead for a while")
        bystander = subprocess.Popen(["/bin/sleep", "600"], env=self.machine.environment, start_new_session=True)
        self.held.append(bystander)
        file = self.machine.session_folder() / "state.json"
        state = json.loads(file.read_text())
        self.machine.kill([state[stage]["processId"]])
        state[stage]["processId"] = bystander.pid
        file.write_text(json.dumps(state))

    def busy(self, name: str) -> None:
        """Let a script's file be one that cannot be started at the moment."""
        (self.machine.root / "scripts" / name).chmod(0o644)

    def free(self, name: str) -> None:
        """Let it be startable again."""
        (self.machine.root / "scripts" / name).chmod(0o755)

    def quiet(self, _: str) -> None:
        """End what scripts have left behind."""
        self.machine.kill(self.machine.processes())

    def over(self, stage: str) -> None:
        """Wait until the process of a script that was let go has ended."""
        process = self.machine.state()["before" if stage == "session" else stage]["processId"]
        self.see(lambda: process not in self.machine.processes(), f"{stage} has ended", self.machine.state)

    def deleted(self, session: str) -> None:
        """Wait until the state says that a session's shadow copies are deleted."""
        file = self.machine.session_folder(*session.split("/")) / "state.json"
        self.see(
            lambda: json.loads(file.read_text())["shadow"]["deleted"] is True,
            f"{session} has no shadow copies",
            file.read_text,
        )

    def spoil(self, what: str) -> None:
        """Let a session's state, ``SESSION zeros|empty|half|both``, be as after a hard stop; ``both`` is all it has."""
        session, _, how = what.partition(" ")
        run, _, attempt = session.partition("/")
        file = self.machine.session_folder(run, attempt) / "state.json"
        content = file.read_bytes()
        spoilt = {"empty": b"", "half": content[: len(content) // 2]}.get(how, bytes(len(content)))
        file.write_bytes(spoilt)
        if how == "both":
            file.with_name("state.json.old").write_bytes(spoilt)

    def replaced(self, session: str) -> None:
        """Let a session's state be half, and replace it once a reader has gone on to the one before, by then half, too.

        That one is a pipe: who opens it has read the other. A task that still ends would be one reader more.
        """
        run, _, attempt = session.partition("/")
        self.machine.limit.wait_for(lambda: not self.machine.runs_tasks(run, attempt), f"no task of {session} runs")
        file = self.machine.session_folder(*session.split("/")) / "state.json"
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        again = file.with_name("state.json.again")
        again.write_bytes(whole)
        before = file.with_name("state.json.old")
        before.unlink()
        os.mkfifo(before)

        def replace() -> None:
            with before.open("wb") as pipe:
                os.replace(again, file)
                pipe.write(whole[: len(whole) // 2])

        Thread(target=replace, daemon=True).start()

    def reboot(self, _: str) -> None:
        """End every process, then fire the boot triggers."""
        self.machine.wait_for_rest(self.machine.processes())
        self.machine.kill(self.machine.processes())
        self.machine.start_tasks("boot")

    def fire(self, _: str) -> None:
        """Fire the time triggers."""
        self.machine.start_tasks("time")

    def late(self, task: str) -> None:
        """Let a task start that somebody asked for just before the session removed it."""
        name = f"{task}-run-1-1"
        script = self.machine.session_folder() / "quiesce.ps1"
        call = f'-File "{script}" -Verb {task} -RunId run-1 -Attempt 1'
        definition = {"command": [str(self.machine.powershell), call], "user": "S-1-5-18", "logon": None}
        (self.machine.home / "tasks" / name).write_text(json.dumps(definition))
        self.machine.start_task(name)

    def gone(self, task: str) -> None:
        """Wait until the process of a task has ended."""
        process = self.machine.process_of(task)
        self.see(lambda: process not in self.machine.processes(), f"{task} has ended", self.machine.state)

    def clone(self, instance: str) -> None:
        """Boot the disk as another server."""
        self.machine.wait_for_rest(self.machine.processes())
        self.machine.kill(self.machine.processes())
        self.machine.instance = instance
        if self.machine.name in self.machine.metadata.instances:
            self.machine.metadata.instances[self.machine.name] = instance
        self.machine.start_tasks("boot")

    def up(self, seconds: str) -> None:
        """Let the machine have booted so many seconds ago; at the beginning of a case it was a day."""
        self.machine.has_been_up(int(seconds) * 1000)

    def metadata(self, state: str) -> None:
        """Take the metadata service away, or bring it back.

        ``late`` is up after more requests than .NET repeats, ``later`` after more than are made in eight seconds.
        """
        if state in LATE:
            self.machine.metadata.late[self.machine.name] = LATE[state]
        elif state == "down":
            del self.machine.metadata.instances[self.machine.name]
        else:
            self.machine.metadata.instances[self.machine.name] = self.machine.instance

    def fault(self, name: str) -> None:
        """Make a stand-in fail (see there), or ``language`` (constrained), or ``agent`` (passes no instance id).

        ``diskshadow`` removes the program.
        """
        if name == "diskshadow":
            self.machine.diskshadow.unlink()
        if name == "proxy":
            self.machine.use_proxy()
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

    def clock(self, how: str) -> None:
        """Set the clock an hour ``back``, or ``ahead``: to a reader of the state all times are later, or earlier."""
        self.clock_was_set = True
        file = self.machine.session_folder() / "state.json"
        by_ms = HOUR_MS if how == "back" else -HOUR_MS
        later = re.sub(r'(Ms":)([1-9]\d+)', lambda match: f"{match[1]}{int(match[2]) + by_ms}", file.read_text())
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

    def begun(self, stage: str) -> None:
        """Wait until an account's process has come for a stage, and waits for its runner's word."""
        file = self.machine.session_folder() / "account" / "said" / f"{stage}.begun"
        self.see(
            lambda: file.read_text().strip().isdigit(), f"the account's process has come for {stage}", file.read_text
        )

    def drop(self, task: str) -> None:
        """Remove a task of the first attempt, as somebody who tidies up does."""
        (self.machine.home / "tasks" / f"{task}-run-1-1").unlink()

    def start(self, task: str) -> None:
        """Start a task as if Task Scheduler had been slow."""
        self.machine.start_task(f"{task}-run-1-1")

    def swap(self, how: str) -> None:
        """Give the folder and all in it other rights."""
        self.machine.give(self.machine.root, RIGHTS[how])

    def age(self, run: str) -> None:
        """Let a run be 15 days old, or as many as are named after it."""
        run, _, days = run.partition(" ")
        folder, old_s = self.machine.root / "runs" / run, time.time() - int(days or 15) * 86400
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
        """Put a link or a folder in the guest's place before the guest has ever run.

        ``administrator``: the folder of the scripts has the rights that every folder there inherits; ``theirs``: one of
        its files is a user's; ``link inside``: one is a link.
        """
        root = self.machine.root
        if how in ("administrator", "theirs", "link inside"):
            (self.machine.home / "acl" / str(root.stat().st_ino)).unlink()
            if how == "theirs":
                self.machine.give(root / "scripts" / "after_sql-nightly.exe", RIGHTS["user"])
            if how == "link inside":
                (root / "scripts" / "notes").symlink_to(self.machine.home)
            return
        if root.exists():
            shutil.rmtree(root)
        if how == "link":
            elsewhere = self.machine.home / "elsewhere"
            elsewhere.mkdir()
            self.machine.give(elsewhere, PROTECTED)
            root.symlink_to(elsewhere)
            (self.machine.home / "acl" / str(root.lstat().st_ino)).write_text(PROTECTED)
        else:
            root.mkdir()
            self.machine.give(root, RIGHTS[how])

    def theirs(self, name: str) -> None:
        """Let a file of the scripts folder be a user's."""
        self.machine.give(self.machine.root / "scripts" / name, RIGHTS["user"])

    def untouched(self, name: str) -> None:
        """Check that a user's script still has the rights that it had."""
        number = (self.machine.root / "scripts" / name).stat().st_ino
        if (self.machine.home / "acl" / str(number)).read_text() != RIGHTS["user"]:
            raise ContractBrokenError(f"{name} was given other rights")

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

    def condition(self, name: str) -> None:
        """Let the machine lack what it lacks in this condition."""
        conditions.install(self.machine.home, name)

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

        def taken() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        self.machine.limit.wait_for(taken, f"nobody else has {name} open")
        self.held.append(file)

    def tamper(self, name: str) -> None:
        """Change a file after it was staged."""
        file = self.machine.root / "runs" / "run-1" / name
        file.write_text(file.read_text() + "\n")
