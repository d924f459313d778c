"""A model of the guest on a simulated server: its folder, its runs and tasks, its drives, and the verbs that AWS sends.

It answers as guest/parts does, for the same parameters, which the contract cases prove.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from sandbox.windows.answers import LANGUAGE_MODE, Request, with_log
from sandbox.windows.collection import Put, collect
from sandbox.windows.examination import BY_CIM, Condition, cluster_of, components, examination, writers_of
from sandbox.windows.host import ForeignServerError, Host, Json, Runner
from sandbox.windows.inventory import Disk, Drive, inventory
from sandbox.windows.recovered import Closing
from sandbox.windows.session import Run, Session
from sandbox.windows.settings import Settings
from sandbox.windows.shadow_session import storage_of
from sandbox.windows.staging import (
    ROOT,
    SHADOW_SCRIPT,
    Accounts,
    Refused,
    Scripts,
    manifest,
    require_name,
    unpacked,
    writers_files,
)
from sandbox.windows.vss import Server, VssWriter

# guest/parts, Close-Overdue: how long stage waits for an old session's end.
CLOSING_S = 45
# Invoke-Request: how long a verb waits for the task that takes over from a dead runner.
TASK_S = 15
# A run's folder stays on the server as long as the agent keeps its own output.
KEPT_S = 14 * 86400


# Returns whether a verb's wait is over: "" for success, an error, or None.
Poll = Callable[[float], str | None]


def put_nowhere(_link: str, _content: bytes) -> bool:
    """Refuse every link: there is no bucket."""
    return False


def new_nonce(known: int) -> str:
    """Return the nonce of a server's next run; the guest's is random."""
    return f"{known:032x}"


def copied_runs(runs: dict[str, Run], host: Host) -> dict[str, Run]:
    """Return runs as their files have them, for the programs of a server."""
    copies = {}
    for name, run in runs.items():
        copies[name] = copy = replace(run, sessions={})
        copy.sessions = {attempt: session.copied(copy, host) for attempt, session in run.sessions.items()}
    return copies


def needed(session: Session, owner: str) -> bool:
    """Say whether the folder of a session must stay: it is open, or its shadow copies are not deleted."""
    if session.unreadable:
        return session.runner is not None
    entry = session.saved["shadow"]
    left = entry is not None and entry["deleted"] is False
    return session.state["instance"] == owner and (session.phase != "ended" or left)


@dataclass
class Guest:
    """The guest of one server. ``instance_id`` is the server's true one; the flags are knobs for its faults."""

    instance_id: str
    scripts: Scripts
    put: Put = put_nowhere
    drives: list[Drive] = field(default_factory=list)
    disks: list[Disk] | None = None
    """Those of the drives unless they are given."""
    vss: Server = field(default_factory=lambda: Server({}, [VssWriter.of_windows()]))
    """The server's VSS; its volumes are the drives if it has none of its own."""
    condition: Condition = field(default_factory=Condition)
    """What else decides how it can be backed up."""
    accounts: Accounts = field(
        default_factory=lambda: Accounts(Condition.node, {f"{Condition.node}\\backup", "CORP\\quiesce$"})
    )
    locked: set[str] = field(default_factory=set)
    """Files of sessions that another process has open."""
    runs: dict[str, Run] = field(default_factory=dict)
    open_runs: set[str] = field(default_factory=set)
    """Runs in whose folder a process has a file open, so that Windows does not delete it."""
    disk_full: bool = False
    metadata_answers: bool = True
    agent_knows_id: bool = True
    folder_trusted: bool = True
    language_full: bool = True
    task_created: bool = True
    task_run: bool = True
    task_starts: bool = True
    task_moves: bool = True
    cim_answers: bool = True
    has_storage_api: bool = True
    services_refused: bool = False
    services_set_back: bool = False

    def __post_init__(self) -> None:
        self.vss.volumes = self.vss.volumes or {drive.volume_guid: drive.path for drive in self.drives}
        self.vss.services_run = self._services_run

    def _services_run(self) -> bool:
        modes = [self.condition.services.get(name, ("", ""))[1] for name in ("VSS", "swprv", "EventSystem")]
        return "Disabled" not in modes

    def sessions(self) -> list[Session]:
        """Return every session that ever began here, in order."""
        return [session for run in self.runs.values() for session in run.sessions.values()]

    def runs_on_disk(self) -> dict[str, Run]:
        """Return what of the runs lies on the system drive at this moment."""
        return copied_runs(self.runs, self._host())

    def find_on_disk(self, runs: dict[str, Run]) -> None:
        """Find the runs of the server from whose snapshots this one's disks come."""
        self.runs = copied_runs(runs, self._host())
        for session in self.sessions():
            session.ended = self._delete_what_others_left

    def _host(self) -> Host:
        return Host(lambda: self.disk_full, self.scripts.run, self.vss, lambda: self.cim_answers, self.accounts.problem)

    def advance(self, now_s: float) -> None:
        """Do everything that is due by now."""
        for session in self.sessions():
            session.advance(now_s)

    def ask(self, parameters: dict[str, str], now_s: float) -> Request:
        """Send a verb, with the parameters of the SSM document."""
        self.advance(now_s)
        base = {"quiesce": 1, "verb": parameters["Verb"], "run": parameters["RunId"], "attempt": parameters["Attempt"]}
        if not self.language_full:
            return self._at_once({"quiesce": 1, "ok": False, "error": LANGUAGE_MODE}, now_s)
        no_session: dict[str, Json] = {}
        try:
            if parameters["Verb"] in ("inventory", "examine", "set"):
                self._tell(parameters, now_s, no_session)
                return self._at_once({**base, "ok": True, "error": ""} | no_session, now_s)
            if parameters["Verb"] in ("stage", "recovered"):
                begin = self._begin_stage if parameters["Verb"] == "stage" else self._begin_recovered
                return begin(parameters, base, now_s)
            if parameters["Verb"] == "thaw":
                self._leave_word(parameters)
            run = self._open(parameters)
            no_session = {"session": None}
            self._require_certain(run, parameters["Verb"])
            if parameters["Verb"] == "collect":
                sent = collect(run, parameters, self.put, self.locked)
                return self._at_once({**base, "ok": True, "error": ""} | sent, now_s)
            return self._begin(run, parameters, base, now_s)
        except Refused as error:
            return self._at_once({**base, "ok": False, "error": str(error)} | no_session | error.known, now_s)

    def _begin(self, run: Run, parameters: dict[str, str], base: dict[str, Json], now_s: float) -> Request:
        begin = {"freeze": self._freeze, "thaw": self._thaw, "complete": self._complete}[parameters["Verb"]]
        session, poll = begin(run, parameters, now_s)
        deadline_s = now_s + int(parameters["WaitSeconds"])
        late = "NotFrozen" if parameters["Verb"] == "freeze" else "NotYet"

        def answer(at_s: float) -> dict[str, Json] | None:
            self.advance(at_s)
            error = poll(at_s)
            if error is None and at_s >= deadline_s:
                error = f"{late}: the session is {session.phase}"
            return (
                None
                if error is None
                else with_log({**base, "ok": not error, "error": error}, session, int(parameters["LogBytes"]))
            )

        return Request(answer, deadline_s)

    @staticmethod
    def _at_once(answer: dict[str, Json], now_s: float) -> Request:
        return Request(lambda _now_s: answer, now_s)

    # ---- inventory, examine, set, stage

    def _tell(self, parameters: dict[str, str], now_s: float, told: dict[str, Json]) -> None:
        """Add the answer of a verb that needs no session, also what it has of it before it refuses."""
        if parameters["Verb"] == "set":
            self._require_own(parameters["InstanceId"])
            self._settings().set(parameters, told)
            return
        if parameters["Verb"] == "examine":
            told["examined"] = self._examined(now_s)
        told |= self._inventory(parameters, now_s)

    def _require_own(self, owner: str) -> None:
        if not self._certain(owner, by_agent=self.agent_knows_id):
            raise Refused("IdentityUnknown")

    def _inventory(self, parameters: dict[str, str], now_s: float) -> dict[str, Json]:
        self._require_own(parameters["InstanceId"])
        if not self.cim_answers:
            raise Refused("InventoryUnreadable: CIM answers nothing")
        overdue = [session.told() for session in self._overdue(parameters["InstanceId"], now_s)]
        rest = {"programData": str(ROOT.parent), "shadowStorage": storage_of(self.vss), "overdue": overdue}
        rest |= {"strange": self._strange(parameters["InstanceId"]), "awsComponents": components(self.condition)}
        if parameters.get("Writers", "false") == "true":
            rest["writers"] = writers_of(self.condition, self.vss)
        if parameters.get("Cluster", "false") == "true":
            rest["cluster"] = cluster_of(self.condition, set())
        files_of = parameters.get("WritersOf", "none")  # the document's own default
        if files_of != "none":
            rest |= {"writersFiles": writers_files(*files_of.split("/"), self.scripts)}
        return {"inventory": inventory(self.drives, self.disks, with_disks=self.has_storage_api) | rest}

    def _settings(self) -> Settings:
        if not self.cim_answers:
            raise Refused("SettingUnreadable")
        return Settings(self.condition, self.vss, self.services_refused, self.services_set_back)

    def _examined(self, now_s: float) -> Json:
        identity = self.instance_id if self.metadata_answers else ""
        unanswered = set() if self.cim_answers else BY_CIM
        return examination(self.condition, self.vss, now_s, identity, unanswered)

    def _overdue(self, owner: str, now_s: float) -> list[Session]:
        sessions = self.sessions() if self.folder_trusted else []
        known = [each for each in sessions if each.state["instance"] == owner and not each.unreadable]
        return [each for each in known if each.overdue(now_s)]

    def _strange(self, owner: str) -> dict[str, Json]:
        """Return the sessions that nobody here can go on with."""
        known = [each for each in self.sessions() if not each.unreadable]
        foreign = [each for each in known if each.state["instance"] != owner and each.phase != "ended"]
        return {
            "unreadable": [each.name for each in self.sessions() if each.unreadable],
            "foreign": [f"{each.name} of {each.state['instance']}" for each in foreign],
        }

    def _begin_stage(self, parameters: dict[str, str], base: dict[str, Json], now_s: float) -> Request:
        """End the sessions that are open past their limit, then stage."""
        self._require_own(parameters["InstanceId"])
        if not self.folder_trusted:
            raise Refused(f"FolderNotTrusted: {ROOT}")
        new = parameters["RunId"] not in self.runs
        overdue = self._overdue(parameters["InstanceId"], now_s) if new else []
        told = [session.told() for session in overdue]
        for session in overdue:
            self._close_overdue(session, now_s)

        def answer(at_s: float) -> dict[str, Json] | None:
            self.advance(at_s)
            if at_s < now_s + CLOSING_S and any(session.phase != "ended" for session in overdue):
                return None
            try:
                staged = self._stage(parameters, at_s, told)
            except Refused as error:
                return {**base, "ok": False, "error": str(error)} | error.known
            nonce = self.runs[parameters["RunId"]].nonce
            return {**base, "ok": True, "error": "", "staged": staged, "nonce": nonce}

        return Request(answer, now_s + CLOSING_S)

    def _close_overdue(self, session: Session, now_s: float) -> None:
        session.complete_asked = session.complete_asked or "0"
        self._register_watchdog(session)
        if not self.task_run:
            raise Refused("TaskNotStarted: schtasks ended with 1")
        if self.task_starts:
            self.start_task("watchdog", session, now_s)

    def _stage(self, parameters: dict[str, str], now_s: float, overdue: list[Json]) -> dict[str, Json]:
        name, owner = parameters["RunId"], parameters["InstanceId"]
        require_name(name, list(self.runs))
        kept = self._remove_old_runs(owner, now_s)
        run = self.runs.get(name)
        if run is None:
            self._require_nothing_open(name, owner, int(parameters["Attempt"]))
            aside = {"strange": self._strange(owner), "kept": kept}
            packed = unpacked(parameters, self.scripts)
            told = manifest(parameters, packed, self.scripts, self.accounts, overdue) | aside
            script = packed.get(SHADOW_SCRIPT, b"").decode("ascii")
            run = Run(told, now_s, nonce=new_nonce(len(self.runs)), shadow_script=script)
            self.runs[name] = run
        if run.manifest["instance"] != parameters["InstanceId"]:
            raise Refused(f"ForeignServer: {parameters['RunId']} was staged on {run.manifest['instance']}")
        return run.manifest

    def _remove_old_runs(self, owner: str, now_s: float) -> list[Json]:
        """Remove what is older than two weeks and not needed; return what another process has open."""
        old = [name for name, run in self.runs.items() if run.staged_s < now_s - KEPT_S]
        old = [name for name in old if not any(needed(each, owner) for each in self.runs[name].sessions.values())]
        for name in set(old) - self.open_runs:
            del self.runs[name]
        return [{"run": name, "why": "another process uses it"} for name in old if name in self.open_runs]

    # ---- recovered

    def _begin_recovered(self, parameters: dict[str, str], base: dict[str, Json], now_s: float) -> Request:
        """End the run's sessions that a recovery point found open, and run after where that is asked for."""
        own, deadline_s = parameters["InstanceId"], now_s + int(parameters["WaitSeconds"])
        self._require_own(own)
        run = self.runs.get(parameters["RunId"])
        if run and not self.folder_trusted:
            raise Refused(f"FolderNotTrusted: {ROOT}")
        sessions = list(run.sessions.values()) if run else []
        closing = Closing(own, parameters["ThawAfterRecovery"] == "true", self._start_after_owed)

        def answer(at_s: float) -> dict[str, Json] | None:
            self.advance(at_s)
            try:
                left = [each for each in sessions if not closing.closed(each, at_s)]
            except Refused as error:
                return {**base, "ok": False, "error": str(error)} | error.known
            if not left:
                return {**base, "ok": True, "error": "", "recovered": [dict(each.saved) for each in sessions]}
            return {**base, "ok": False, "error": closing.late} if at_s >= deadline_s else None

        return Request(answer, deadline_s)

    def _start_after_owed(self, session: Session, now_s: float) -> None:
        if not self.task_created:
            raise Refused("TaskNotCreated: schtasks ended with 1")
        session.tasks = {session.task("recovered")}
        if not self.task_run:
            raise Refused("TaskNotStarted: schtasks ended with 1")
        if self.task_starts:
            session.run_after_owed(Runner("recovered", "ended", lambda: True, now_s), now_s)
            session.advance(now_s)

    # ---- freeze, thaw, complete: each returns the session and the poll for its wait

    def _freeze(self, run: Run, parameters: dict[str, str], now_s: float) -> tuple[Session, Poll]:
        session = self._attempt(run, int(parameters["Attempt"]), now_s)
        if session.phase == "created" and session.runner is None:
            self._start_runner(session, now_s)

        def poll(_now_s: float) -> str | None:
            if session.phase == "frozen":
                return ""
            dead = session.phase == "before" and session.runner is None
            return f"NotFrozen: the session is {session.phase}" if session.reached("frozen") or dead else None

        return session, poll

    def _thaw(self, run: Run, parameters: dict[str, str], now_s: float) -> tuple[Session, Poll]:
        session = self._attempt(run, int(parameters["Attempt"]), now_s)
        self._let_it_end(session)
        if not session.thaw_asked:
            session.thaw_asked, session.abort_asked = True, parameters["AbortShadowCopies"] == "true"
        return session, self._wait_for(session, "thawed")

    def _complete(self, run: Run, parameters: dict[str, str], now_s: float) -> tuple[Session, Poll]:
        if parameters["Succeeded"] == "true" and parameters["Nonce"] != run.nonce:
            raise Refused("NonceWrong: stage gave another", session=None)
        session = self._attempt(run, int(parameters["Attempt"]), now_s)
        self._let_it_end(session)
        session.complete_asked = session.complete_asked or ("1" if parameters["Succeeded"] == "true" else "0")
        return session, self._wait_for(session, "ended")

    def _wait_for(self, session: Session, phase: str) -> Poll:
        """Wait for the runner, or take over its work if it is dead."""
        asked_s = math.nan

        def poll(now_s: float) -> str | None:
            nonlocal asked_s
            if not session.reached(phase) and self._is_lost(session, now_s):
                comes = self.task_run and session.task("watchdog") in session.tasks
                asked_s = now_s if math.isnan(asked_s) else asked_s
                if comes and self.task_starts:
                    self.start_task("watchdog", session, now_s)
                elif not comes or now_s >= asked_s + TASK_S:
                    self._enter(session, self._runner("verb", phase, session, now_s))
                    session.advance(now_s)
            return "" if session.reached(phase) else None

        return poll

    def _is_lost(self, session: Session, now_s: float) -> bool:
        """Say whether nobody runs a session: its runner is dead, or hangs and has had its time."""
        held = "runner.lock" in self.locked
        if session.runner is None and not held:
            return True
        return (session.runner is None or session.runner.hung) and session.overrun(now_s)

    def _enter(self, session: Session, runner: Runner) -> None:
        if self._is_lost(session, runner.since_s):
            session.enter(runner, cannot_end="runner.lock" in self.locked)

    def _leave_word(self, parameters: dict[str, str]) -> None:
        """Ask for the thaw before any check: a runner that lives needs no more."""
        run = self.runs.get(parameters["RunId"])
        session = run.sessions.get(int(parameters["Attempt"])) if run else None
        if session and not session.thaw_asked:
            session.thaw_asked, session.abort_asked = True, parameters["AbortShadowCopies"] == "true"

    def _open(self, parameters: dict[str, str]) -> Run:
        run = self.runs.get(parameters["RunId"])
        if run is None:
            raise Refused(f"NotStaged: {parameters['RunId']}")
        if not self.folder_trusted:
            raise Refused(f"FolderNotTrusted: {ROOT}")
        self._certain(run.manifest["instance"], by_agent=self.agent_knows_id)
        return run

    def _require_certain(self, run: Run, verb: str) -> None:
        """Refuse all verbs but thaw where the server's identity is not known."""
        if verb != "thaw" and not self._certain(run.manifest["instance"], by_agent=self.agent_knows_id):
            raise Refused("IdentityUnknown")

    def _attempt(self, run: Run, attempt: int, now_s: float) -> Session:
        """Return the attempt's session; the first request for it begins it."""
        if attempt in run.sessions:
            return run.sessions[attempt]
        if run.complete_claim:
            raise Refused(f"RunCompleted: {run.manifest['run']}")
        self._require_nothing_open(run.manifest["run"], run.manifest["instance"], attempt)
        if run.tampered:
            raise Refused(f"StagedFileChanged: {run.tampered}")
        if self.disk_full:
            raise Refused("StateNotWritten: There is not enough space on the disk.")
        session = run.sessions.setdefault(attempt, Session(run, attempt, now_s, self._host()))
        session.ended = self._delete_what_others_left
        return session

    def _delete_what_others_left(self, session: Session, _now_s: float) -> None:
        """Try again to delete the shadow copies of this server's earlier sessions."""
        for other in self.sessions():
            ours = other is not session and other.state["instance"] == session.state["instance"]
            if ours and other.shadow and other.phase == "ended" and other.saved["shadow"]["deleted"] is False:
                other.shadow.entry = other.state["shadow"]
                other.shadow.delete()
                other.save()

    def _require_nothing_open(self, run_id: str, owner: str, attempt: int) -> None:
        """Allow one session at a time on a server; an earlier attempt of the same run only has to be thawed."""
        for other in self.sessions():
            if other.unreadable and other.runner is not None:
                raise Refused(f"SessionOpen: {other.name} is at work, its state unreadable")
            if other.unreadable:
                continue
            earlier = other.state["run"] == run_id and other.attempt < attempt and other.phase == "thawed"
            if other.state["instance"] == owner and other.phase != "ended" and not earlier:
                raise Refused(f"SessionOpen: {other.state['run']} attempt {other.attempt} is {other.phase}")

    # ---- tasks, and events on the server

    def _let_it_end(self, session: Session) -> None:
        """Give a session that thaw or complete begins its watchdog; a thaw does not fail for want of it."""
        if session.phase == "created" and session.runner is None and self.task_created:
            self._register_watchdog(session)

    def _register_watchdog(self, session: Session) -> None:
        if not self.task_created:
            raise Refused("TaskNotCreated: schtasks ended with 1")
        session.tasks |= {session.task("watchdog")}

    def _start_runner(self, session: Session, now_s: float) -> None:
        if not self.task_moves:
            raise Refused("TaskNotCreated: schtasks ended with nothing within 30 s", session=session.saved)
        if not self.task_created:
            raise Refused("TaskNotCreated: schtasks ended with 1", session=session.saved)
        session.tasks = {session.task("session"), session.task("watchdog")}
        if not self.task_run:
            raise Refused("TaskNotStarted: schtasks ended with 1", session=session.saved)
        if self.task_starts:
            self.start_task("session", session, now_s)

    def start_task(self, name: str, session: Session, now_s: float) -> None:
        """Start one of a session's two tasks, if it is registered and this is the session's own server."""
        if session.task(name) not in session.tasks or (session.unreadable and session.runner is None):
            return
        if name == "recovered":
            session.run_after_owed(Runner(name, "ended", lambda: True, now_s), now_s)
            session.advance(now_s)
            return
        if self.metadata_answers and self.instance_id != session.state["instance"]:
            if session.runner is None:
                session.close_clone(self.instance_id, now_s)
            return
        self._enter(session, self._runner(name, "ended", session, now_s))
        session.advance(now_s)

    def start_watchdogs(self, now_s: float) -> None:
        """Fire the time triggers, or the boot triggers, of every watchdog."""
        for session in self.sessions():
            self.start_task("watchdog", session, now_s)

    def reboot(self, now_s: float) -> None:
        """End every process on the server, then boot it."""
        for session in self.sessions():
            session.lose_power(now_s)
        self.start_watchdogs(now_s)

    def _runner(self, name: str, until: str, session: Session, now_s: float) -> Runner:
        by_agent = name == "verb" and self.agent_knows_id
        owner = session.state["instance"]
        known = self._certain(owner, by_agent=by_agent)  # for good: a process does not move to another server

        def certain() -> bool:
            try:
                return known or self._certain(owner, by_agent=by_agent)
            except Refused as error:
                raise ForeignServerError from error

        return Runner(name, until, certain, now_s)

    def _certain(self, owner: str, *, by_agent: bool) -> bool:
        """Refuse another's server, and return whether the id is known: from IMDS, to a verb also from the agent."""
        known = self.metadata_answers or by_agent
        if known and self.instance_id != owner:
            raise Refused(f"ForeignServer: this is {self.instance_id}, not {owner}")
        return known
