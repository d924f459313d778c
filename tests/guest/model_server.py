"""The sandbox's model as a server of the cases, on a clock that only the steps move."""

import math
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from threading import Lock
from urllib.parse import urlsplit

from quiesce.guest.package import OwnScripts
from sandbox.windows.guest import Guest
from sandbox.windows.holding import Holder
from sandbox.windows.host import Outcome
from sandbox.windows.staging import ROOT
from tests.guest import conditions, hardware, shadows, uploads
from tests.guest.cases import Case, Json
from tests.guest.customer import Script
from tests.guest.machine import DEFAULTS, INSTANCE
from tests.guest.packages import package_of
from tests.guest.real_server import summary

PATH = re.compile(r"C:\\(ProgramData\S*)")
TICK_S = 0.2
PATIENCE_S = 1000
WELL = ("ok", "errs", "child", "big", "huge", "holds", "hangs", "finishes", "prints")
POSIX_EXIT_CODES = dict.fromkeys((*WELL, "raises"), 0) | {"crashes": 137, "throws": 1}
TEN_MB = (10 * 2**20 - 1) * b"0" + b"\n"
PRINTED = {
    "errs": (b"", b"problem\n"),
    "raises": (b"", b"x.vbs(2, 1) an error\r\n"),
    "big": (TEN_MB, b""),
    "huge": (3 * TEN_MB[:-1] + b"the last line\n", b""),
}

# Faults that the guest gets over, so that nothing is seen of them.
NOTICED_NOWHERE = ("taskkill", "taskkill slow", "proxy", "run late")
# What fails or hangs on Windows, and the files made from its output.
UNREADABLE = {"wevtutil": {"events.application.txt", "events.system.txt"}, "vssadmin": {"providers.txt"}, "cluster": ()}
# What is not known of a server where they do.
UNANSWERED: dict[str, set[str]] = {"vssadmin": {"writers"}, "cluster": {"cluster"}}


class CaseScripts:
    """The case's scripts, on the server or in the bucket, and the application that they freeze and thaw."""

    def __init__(self, case: Case) -> None:
        self.case, self.files = case, {script.file_name: script for script in case.scripts.values()}
        self.log: list[str] = []
        self.frozen = False
        self.released: set[str] = set()
        self.bucket: dict[str, bytes] = {}
        self.left = False
        self.slow = False
        self.theirs: set[str] = set()
        self.honest = True

    def on_server(self) -> list[str]:
        """Return the files of the scripts folder."""
        return list(self.files) if self.case.source == "server" else []

    def read(self, name: str) -> bytes | None:
        """Return the content of a file of the scripts folder, unless it is a user's."""
        file = PureWindowsPath(name).as_posix()
        return None if file in self.theirs else self.files[file].text(Path()).encode()

    @staticmethod
    def file_name(path: str) -> str:
        """Return what a case calls the file of a script: its name, with the owner's folder if it lies in one."""
        file = PureWindowsPath(path)
        return file.relative_to(ROOT / "scripts").as_posix() if file.is_absolute() else file.name

    def fetch(self, link: str) -> bytes | None:
        """Return what the case's bucket has."""
        return self.bucket.get(link)

    def keep(self, files: dict[str, bytes]) -> None:
        """Keep nothing: the case says what its scripts do."""

    def judge(self, path: str) -> tuple[str, str]:
        """Return what the case says of a script's first lines."""
        script = self.files[self.file_name(path)]
        return "PowerShell's words" if script.refused else "", script.unsure

    def run(self, path: str, stage: str, argument: str) -> Outcome | None:
        """Let a script do what the case says, with Linux's exit codes of eight bits."""
        script: Script | None = self.files.get(self.file_name(path))
        if script is None:
            return None
        if script.does == "garbage":
            return Outcome(exit_code=None)
        if stage == "session":
            return self.hold(script)
        if script.does == "example":
            return Outcome(script.code)
        if not self.honest:
            return Outcome(0, math.inf, stays=True)
        if self.slow and self.log == ["before"]:
            self.log.append("gone")
        self.log.append(f"{stage} {argument}".strip())
        if not script.file_name.lower().endswith((".cmd", ".vbs")):
            self.frozen = {"before": True, "after": False}.get(stage, self.frozen)
        self.log += [f"{stage} done"] if script.does == "prints" else []
        waits = script.does in ("holds", "finishes") and stage not in self.released
        endless = script.does == "hangs" or waits
        self.left |= script.does == "child"
        code = script.code & 255 if script.does == "exits" else POSIX_EXIT_CODES[script.does]
        return Outcome(code, math.inf if endless else 0.0, PRINTED.get(script.does, (b"", b"")))

    def hold(self, script: Script) -> Outcome:
        """Let a session script do what the case says."""
        self.log.append("session")
        self.frozen = True

        def let_go(told: bool) -> None:
            self.log += ["session thaws"] if told else []
            self.frozen = self.frozen and not told and script.does not in ("exits", "leaves")

        frozen_s = 0.0 if script.does in ("ok", "ends", "leaves", "deaf") else math.inf
        thaw_s = 0.0 if script.does in ("ok", "ends", "late", "never") else math.inf
        duration_s = 0.0 if script.does == "exits" else math.inf
        return Outcome(script.code, duration_s, frozen_s=frozen_s, thaw_s=thaw_s, let_go=let_go)

    def go_on(self, holder: Holder | None, now_s: float) -> None:
        """Let a session script that waits go on, to its file or to its end."""
        does = next((script.does for script in self.case.scripts.values() if script.stage == "session"), "")
        if holder and does == "late":
            holder.frozen_s = now_s
        if holder and does == "leaves":
            holder.ends_s = now_s


class ModelServer:
    """The model as a case's server."""

    def __init__(self, case: Case) -> None:
        self.case, self.now_s, self.lock = case, 1_750_000_000.0, Lock()
        self.scripts = CaseScripts(case)
        self.guest = Guest(INSTANCE, self.scripts, self.put, hardware.HARDWARE["nvme"])
        self.guest.vss = shadows.server(hardware.volumes("nvme"))
        self.step_condition("ready")
        self.uploads: dict[str, bytes] = {}
        self.faults: set[str] = set()

    def put(self, link: str, content: bytes) -> bool:
        """Answer as the cases' bucket does: it refuses ``refused``, and loses the answer to ``lost``."""
        name = PurePosixPath(urlsplit(link).path).name
        if name != "refused":
            self.uploads[name] = content
        return name not in ("refused", "lost")

    def parameters(self, verb: str, changes: dict[str, str]) -> dict[str, str]:
        """Return the document's parameters, with the run's package in the bucket."""
        values = {"Verb": verb, "RunId": "run-1", "Attempt": "1", "Succeeded": "false", **DEFAULTS[verb]}
        if verb == "stage":
            values["Scripts"] = self.case.source
            scripts = {stage: b"" for stage in self.case.scripts if self.case.source == "bucket"}
            package = package_of(changes, values["Policy"], scripts, OwnScripts(b"the session's own", b"the account's"))
            self.scripts.bucket = {"ORIGIN/packages/run.zip": package.content}
            values |= {"PackageLink": "ORIGIN/packages/run.zip", "PackageHash": package.sha256}
        if verb == "collect":
            values["UploadLink"] = "ORIGIN/logs/session.zip?X-Amz-Expires=600"
        if verb == "complete":
            run = self.guest.runs.get(changes.get("RunId", "run-1"))
            values["Nonce"] = run.nonce if run else "none"
        return values | changes

    def verb(self, verb: str, changes: dict[str, str]) -> dict[str, Json]:
        """Send a verb and let time pass until the guest answers."""
        with self.lock:
            self.guest.open_runs = {"run-1"} if self.scripts.left else set()
            request = self.guest.ask(self.parameters(verb, changes), self.now_s)
            while (answer := request.answer(self.now_s)) is None:
                self.now_s += TICK_S
            return posix(answer)

    def begin(self, verb: str) -> None:
        """Send a verb without waiting for its answer."""
        self.guest.ask(self.parameters(verb, {}), self.now_s).answer(self.now_s)

    def wait(self, session_is: str) -> None:
        """Let time pass until the first session is in this phase."""
        deadline_s = self.now_s + PATIENCE_S
        while self.guest.sessions()[0].phase != session_is:
            self.now_s += TICK_S
            self.guest.advance(self.now_s)
            assert self.now_s < deadline_s, f"waited in vain until the session is {session_is}"

    def step(self, name: str, value: str) -> None:
        """Do one step that is not a verb."""
        getattr(self, f"step_{name}")(value)
        self.guest.advance(self.now_s)

    def step_until(self, phase: str) -> None:
        """Let time pass until the session is in this phase."""
        self.wait(phase)

    def step_running(self, stage: str) -> None:
        """Let time pass until a stage's script runs; a session script is before's."""
        self.wait("before" if stage == "session" else stage)

    def step_holding(self, _: str) -> None:
        """Let time pass until before has ended, and DiskShadow is at create."""
        while not self.guest.sessions()[0].shadow.process:
            self.now_s += TICK_S
            self.guest.advance(self.now_s)

    def step_seen(self, line: str) -> None:
        """Check that the application's log ends with this line; nothing in the model runs late."""
        assert self.scripts.log[-1] == line

    def step_gone(self, _: str) -> None:
        """Do nothing: in the model a task without work ends at once."""

    def step_over(self, _: str) -> None:
        """Do nothing: in the model a script that is let go ends at once."""

    def step_release(self, stage: str) -> None:
        """Let a holding script end."""
        self.scripts.released.add(stage)
        if any(each.stage == stage and each.does == "finishes" for each in self.case.scripts.values()):
            self.scripts.log.append(f"{stage} done")
        for session in self.guest.sessions():
            if session.process is not None:
                session.process.ends_s = self.now_s
            self.scripts.go_on(session.holder, self.now_s)

    def step_kill(self, task: str) -> None:
        """Kill the runner, or DiskShadow."""
        if task == "diskshadow":
            self.guest.sessions()[0].shadow.process.kill(self.now_s)
            return
        self.guest.sessions()[0].runner = None

    def step_hang(self, _: str) -> None:
        """Let the runner hang."""
        runner = self.guest.sessions()[0].runner
        assert runner is not None
        runner.hung = True

    def step_logged(self, _: str) -> None:
        """Do nothing: the model has no log of its own, and what waits for one has happened at once."""

    step_untouched = step_busy = step_free = step_mistake = step_ran = step_has = step_last = step_logged

    def step_quiet(self, _: str) -> None:
        """End what scripts have left behind."""
        self.scripts.left = False

    def step_deleted(self, session: str) -> None:
        """Check that a session's shadow copies are deleted."""
        run, _, attempt = session.partition("/")
        assert self.guest.runs[run].sessions[int(attempt)].saved["shadow"]["deleted"]

    def step_spoil(self, what: str) -> None:
        """Let a session's state be as after a hard stop."""
        name, _, how = what.partition(" ")
        run, _, attempt = name.partition("/")
        session = self.guest.runs[run].sessions[int(attempt)]
        if how == "both":
            session.unreadable = True
        elif session.runner is None:
            session.saved = session.older

    def step_replaced(self, _: str) -> None:
        """Replace a session's state while it is read: the model's readers see one state."""

    def step_fire(self, _: str) -> None:
        """Fire the time triggers."""
        self.guest.start_watchdogs(self.now_s)

    def step_late(self, _: str) -> None:
        """Start a task that the session has removed."""
        self.guest.start_watchdogs(self.now_s)

    def step_reboot(self, _: str) -> None:
        """Reboot the server."""
        self.guest.reboot(self.now_s)

    def step_clone(self, instance: str) -> None:
        """Boot the disk as another server."""
        self.guest.instance_id = instance
        self.guest.reboot(self.now_s)

    def step_up(self, _: str) -> None:
        """Do nothing: in the model nothing depends on how long ago the server has booted."""

    def step_metadata(self, state: str) -> None:
        """Take the metadata service away, or bring it back."""
        self.guest.metadata_answers = state != "down"

    def step_fault(self, name: str, *, well: bool = False) -> None:
        """Break a part of the server, or mend it."""
        flags = {"agent": "agent_knows_id", "language": "language_full", "icacls": "folder_trusted"}
        flags |= {"cim": "cim_answers", "storage": "has_storage_api"}
        flags |= {"schtasks": "task_created", "run": "task_run", "start": "task_starts"}
        flags |= {"schtasks hangs": "task_moves"}
        wrong = {"services": "services_refused", "services set back": "services_set_back"}
        accounts = self.guest.accounts
        others = {"diskshadow": (self.guest.vss, "has_diskshadow"), "lie": (self.scripts, "honest")}
        others |= {
            "account gone": (accounts, "there"),
            "batch": (accounts, "begin"),
            "register": (accounts, "registered"),
        }
        if name in others:
            setattr(*others[name], well)
        elif name in NOTICED_NOWHERE:
            self.scripts.slow = name == "taskkill slow" and not well
        elif name == "plant":  # what a user has put in stays there
            self.guest.folder_trusted = False
        elif name == "volumes":
            self.guest.drives, self.guest.disks = [], hardware.disks("nvme")
        elif name == "disk":
            self.guest.disk_full = not well
        elif name in UNREADABLE:
            self.guest.locked |= {*UNREADABLE[name]}
            self.guest.condition.unanswered |= UNANSWERED.get(name, set())
        elif name in shadows.FAULTS:
            self.faults ^= {name}
            self.break_vss()
        else:
            setattr(self.guest, flags.get(name) or wrong[name], well is (name in flags))

    def break_vss(self) -> None:
        """Give VSS the current faults."""
        broken = shadows.server(self.guest.vss.volumes, self.faults)
        for name in ("create_fails", "create_s", "after_error", "end_s", "delete_fails", "writers", "hold_writes"):
            setattr(self.guest.vss, name, getattr(broken, name))

    def step_vanish(self, drive: str) -> None:
        """Delete the shadow copies of a drive."""
        vss = self.guest.vss
        vss.shadow_copies = [copy for copy in vss.shadow_copies if vss.volumes[copy.volume] != drive]

    def step_mend(self, name: str) -> None:
        """Mend a part of the server."""
        self.step_fault(name, well=True)

    def step_disk(self, state: str) -> None:
        """Fill the disk, or free it."""
        if state == "full for freeze":
            self.step_fault("start")
            self.verb("freeze", {"WaitSeconds": "1"})
            self.step_mend("start")
        self.guest.disk_full = state != "free"

    def step_clock(self, how: str) -> None:
        """Set the server's clock ``back`` an hour, or ``ahead``."""
        self.now_s += -3600 if how == "back" else 3600

    def step_age(self, run: str) -> None:
        """Let a run be 15 days old, or as many as are named after it."""
        run, _, days = run.partition(" ")
        self.guest.runs[run].staged_s -= int(days or 15) * 86400

    def step_install(self, _: str) -> None:
        """Do nothing: in the model the case's exit codes stand for what the scripts do to the application."""

    step_holds = step_install

    def step_litter(self, _: str) -> None:
        """Do nothing: the model makes a session at once, without a draft."""

    def step_lose(self, _: str) -> None:
        """Fall back to the version before, unless a runner will write the file anew."""
        session = self.guest.sessions()[0]
        if session.runner is None:
            session.saved = session.older

    def step_plant(self, how: str) -> None:
        """Put a link or another's folder in the guest's place, or an administrator's, which is taken over."""
        self.guest.folder_trusted = how in ("administrator", "open")
        folder = {"open": (True, False)}.get(how, (False, False))
        self.guest.condition = replace(self.guest.condition, folder=folder)

    def step_swap(self, how: str) -> None:
        """Give the folder other rights."""
        self.guest.folder_trusted = how == "own"

    def step_abandon(self, name: str) -> None:
        """Let a session without a runner have begun two days ago, or, ``ahead``, in two days, without tasks."""
        name, _, ahead = name.partition(" ")
        run, _, attempt = name.partition("/")
        session = self.guest.runs[run].sessions[int(attempt)]
        later_s = 48 * 3600 if ahead else -48 * 3600
        session.tasks, session.created_s = set(), session.created_s + later_s
        session.saved["createdMs"] += later_s * 1000

    def step_remove(self, name: str) -> None:
        """Remove a script."""
        del self.scripts.files[name]

    def step_drop(self, _: str) -> None:
        """Do nothing: the runner of the model needs no task to start a script under an account."""

    step_begun = step_drop

    def step_start(self, task: str) -> None:
        """Start a task late; an account's runs nothing but what its runner says."""
        self.guest.start_task(task, self.guest.sessions()[0], self.now_s)

    def step_drives(self, name: str) -> None:
        """Give the server other disks."""
        self.guest.drives, self.guest.disks = hardware.HARDWARE[name], hardware.disks(name)
        self.guest.vss = shadows.server(hardware.volumes(name))

    def step_condition(self, name: str) -> None:
        """Let the server lack what it lacks in this condition."""
        own = bool(self.case.scripts) and self.case.source == "server"
        folder = (True, True) if own else None
        self.guest.condition = conditions.condition(name, folder)

    def step_lock(self, name: str) -> None:
        """Let another process open a file exclusively."""
        self.guest.locked.add(name)

    def step_theirs(self, name: str) -> None:
        """Let a file of the scripts folder be a user's."""
        self.scripts.theirs.add(name)

    def step_tamper(self, name: str) -> None:
        """Change a staged file."""
        self.guest.runs["run-1"].tampered = name

    def end(self) -> dict[str, Json]:
        """Return what the steps have left, as far as the model has it."""
        self.guest.advance(self.now_s)
        sessions = self.guest.sessions()
        return {
            "application": self.scripts.log,
            "frozen": self.scripts.frozen,
            "tasks": sorted(task for session in sessions for task in session.tasks),
            "uploads": {name: uploads.gist(content) for name, content in self.uploads.items()},
            "copies": [copy.shadow_id for copy in self.guest.vss.shadow_copies],
            "sessions": {each.name: summary(each.saved) for each in sessions if not each.unreadable},
        }


def posix(value: Json) -> Json:
    """Return the answer with its paths as in the recordings."""
    if isinstance(value, dict):  # DiskShadow's log is its own, on the stand-in, too
        return {key: each if key == "diskShadowLog" else posix(each) for key, each in value.items()}
    if isinstance(value, list):
        return [posix(each) for each in value]
    if not isinstance(value, str):
        return value
    # An exit code has eight bits there.
    shorter = value.replace("icacls ended with 1332:", "icacls ended with 52:")
    return PATH.sub(lambda found: "/" + found[1].replace("\\", "/"), shorter)
