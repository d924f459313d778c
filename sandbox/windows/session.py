"""A model of one session on a simulated server: its phases, its three scripts, and its runner.

The guest (guest/parts) is the original. The contract cases prove that both answer alike, field by field.
Time is an input: things happen only in ``advance``, and nothing here sleeps.
"""

import math
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

from sandbox.windows.holding import GRACE_S as HOLD_GRACE_S
from sandbox.windows.holding import Holder, release
from sandbox.windows.host import STAGES, ForeignServerError, Host, Json, Process, Runner, identity, record
from sandbox.windows.shadow_session import ShadowSession, new_entry

# guest/parts, Get-Overdue.
GRACE_S = 3600
# guest/parts, Test-Unhandled: how cscript names the place of an error that a script does not handle.
UNHANDLED = re.compile(rb"\.(?i:vbs)\([0-9]+, [0-9]+\) ")
PHASES = ("created", "before", "frozen", "after", "thawed", "complete", "ended")


@dataclass
class Run:
    """What ``stage`` put on the server for a run, and which attempt may run complete."""

    manifest: dict[str, Json]
    staged_s: float
    shadow_script: str = ""
    sessions: dict[int, "Session"] = field(default_factory=dict)
    complete_claim: int = 0
    tampered: str = ""
    nonce: str = ""

    def folder_of(self, attempt: int) -> str:
        """Return an attempt's folder on the server."""
        return rf"C:\ProgramData\Quiesce\runs\{self.manifest['run']}\{attempt}"


class Session:
    """The session of one attempt. ``saved`` is the state file, ``state`` what its runner knows."""

    def __init__(self, run: Run, attempt: int, now_s: float, host: Host) -> None:
        self.run, self.attempt, self.host = run, attempt, host
        self.limits: dict[str, int] = run.manifest["limitSeconds"]
        shadow = new_entry() if run.manifest["shadow"] else None
        self.state: dict[str, Json] = {
            "run": run.manifest["run"],
            "attempt": attempt,
            "instance": run.manifest["instance"],
            "phase": "created",
            "autoThawed": False,
            "runnerLost": False,
            "runner": None,
            "alive": [],
            "cloned": None,
            "createdMs": int(now_s * 1000),
            "frozenMs": 0,
            "endedMs": 0,
            **dict.fromkeys(STAGES),
            "holds": bool(run.manifest["scripts"]["session"]),
            "shadow": shadow,
        }
        self.shadow = (
            ShadowSession(host.vss, run.shadow_script, self.limits, shadow, host.cim_answers) if shadow else None
        )
        self.unreadable = False
        self.saved: dict[str, Json] = {}  # `older` is the version before it
        self.save()
        self.created_s = self.frozen_s = self.before_ended_s = now_s
        self.thaw_asked, self.abort_asked, self.complete_asked = False, False, ""
        self.runner: Runner | None = None
        self.process: Process | None = None
        self.holder: Holder | None = None
        self.tasks: set[str] = set()
        self.output: dict[str, bytes] = {}
        self.ended: Callable[[Session, float], None] = lambda _session, _now_s: None
        """Called when the session has ended, on a server that knows its id."""

    def copied(self, run: Run, host: Host) -> "Session":
        """Return what of the session lies on the disk: its files and tasks, and no process."""
        other = Session(run, self.attempt, self.created_s, host)
        other.saved, other.older, other.unreadable = deepcopy(self.saved), deepcopy(self.older), self.unreadable
        other.state = deepcopy(self.saved)
        other.frozen_s, other.before_ended_s = self.frozen_s, self.before_ended_s
        other.thaw_asked, other.abort_asked = self.thaw_asked, self.abort_asked
        other.complete_asked, other.tasks, other.output = self.complete_asked, set(self.tasks), dict(self.output)
        if other.shadow:
            other.shadow.entry = other.state["shadow"]
        return other

    @property
    def phase(self) -> str:
        """The phase in the state file."""
        return str(self.saved["phase"])

    @property
    def name(self) -> str:
        """Run and attempt, as the server's folders have them."""
        return f"{self.state['run']}/{self.attempt}"

    def task(self, name: str) -> str:
        """Return the full name of one of the session's two tasks."""
        return f"{name}-{self.state['run']}-{self.attempt}"

    def told(self) -> dict[str, Json]:
        """Return what an inventory says of a session that is open past its limit."""
        return {name: self.saved[name] for name in ("run", "attempt", "phase", "createdMs")}

    def overdue(self, now_s: float) -> bool:
        """Whether the session is open an hour past its limit, by the clock that may have been wrong."""
        age_s = abs(now_s - self.saved["createdMs"] / 1000)
        return self.phase != "ended" and age_s > self.limits["session"] + GRACE_S

    def reached(self, phase: str) -> bool:
        """Whether the session is in this phase or past it, by the state file."""
        return PHASES.index(self.phase) >= PHASES.index(phase)

    def save(self) -> bool:
        """Replace the state file; if the disk is full, keep the old one and return False."""
        self.unsaved = self.host.disk_full()
        if not self.unsaved:
            self.older, self.unreadable = self.saved, False
            self.saved = deepcopy(self.state)
        return not self.unsaved

    def overrun(self, now_s: float) -> bool:
        """Whether the runner has had more time than its phase can take."""
        state, limits = self.saved, self.limits
        since_ms, limit_s = {
            "created": (state["createdMs"], 120),
            "after": ((state["after"] or {}).get("startedMs", 0), limits["after"] + 180),
            "thawed": (state["createdMs"], limits["session"] + 60),
            "complete": ((state["complete"] or {}).get("startedMs", 0), limits["complete"] + 180),
            "ended": (0, math.inf),
        }.get(self.phase) or (state["before"]["startedMs"], limits["before"] + limits["freeze"] + 30)
        return "runner" in state["alive"] or now_s - since_ms / 1000 > limit_s

    def enter(self, runner: Runner, *, cannot_end: bool = False) -> None:
        """Let a runner run the session from its state file's phase on, unless it has one already that does not hang.

        ``cannot_end``: the one before holds its lock for ever.
        """
        if self.runner is not None and not (self.runner.hung and self.overrun(runner.since_s)):
            return
        if not (runner.started_it and self.phase != "created"):
            self.state = deepcopy(self.saved)
            self.runner = runner
            self.state["runner"] = identity(3900)
            if cannot_end:
                self.state["alive"] = sorted({*self.state["alive"], "runner"})
            if self.shadow:
                self.shadow.entry = self.state["shadow"]
            if not runner.started_it:
                self.save()

    def close_clone(self, instance_id: str, now_s: float) -> bool:
        """End the session on a server that was launched from a recovery point; False if the disk is full."""
        if self.phase != "ended":
            cloned = {"instance": instance_id, "phase": self.phase}
            self.state = self.saved | {"cloned": cloned, "endedMs": int(now_s * 1000), "phase": "ended"}
            if not self.save():
                return False
        self.tasks = set()
        return True

    def owes_after(self) -> bool:
        """Whether before has succeeded and after has not begun, by the state file."""
        before = self.saved["before"]
        ended = before is not None and before["succeeded"] and self.saved["after"] is None
        return ended and not self.saved["holds"]

    def run_after_owed(self, runner: Runner, now_s: float) -> None:
        """Let after run on a clone, whose session has ended."""
        self.state, self.runner = deepcopy(self.saved), runner
        if self.owes_after():
            self._start("after", "1", now_s)
        else:
            self._end_recovered()

    def _end_recovered(self) -> None:
        self._enter_phase("ended")
        self.tasks, self.runner = set(), None

    def lose_power(self, now_s: float) -> None:
        """End every process of the session."""
        self.runner = self.process = None
        if self.holder:
            self.holder.end(told=False)
            self.holder = None
        if self.shadow and self.shadow.process:
            self.shadow.process.kill(now_s)

    def advance(self, now_s: float) -> None:
        """Do everything that is due by now."""
        if self.holder and now_s >= self.holder.ends_s:
            self.holder.end(told=self.holder.told_by is not None)
        if self.runner and self.runner.hung:
            return
        waits = self.runner and self.runner.started_it and self.phase in ("frozen", "thawed")
        if waits and self.shadow and self.shadow.watch(now_s):
            self.save()
        try:
            while self.runner is not None and getattr(self, f"_from_{self.state['phase']}")(self.runner, now_s):
                if self.runner is not None and self.state["phase"] == self.runner.until == "thawed":
                    self.runner = None
        except ForeignServerError:
            self.runner = None
        if self.runner and self.unsaved:
            self.save()

    def _enter_phase(self, phase: str) -> bool:
        self.state["phase"] = phase
        return self.save()

    def _start(self, stage: str, argument: str, now_s: float) -> bool:
        """Begin a script; one that cannot start ends at once. Only after runs even if its state cannot be saved."""
        self.state[stage] = entry = record("Interrupted", argument, now_s)
        must = stage == "after" and self.runner is not None and self.runner.name != "recovered"
        if not self._enter_phase(stage) and not must:
            self.runner = None  # and with it all unsaved state
            return False
        assert self.runner is not None
        name = self._script_of(stage)
        path = self.run.manifest["scripts"][name]
        if self.run.manifest["source"] == "off":
            entry |= {"succeeded": True, "reason": "Off"}
            return True
        if name == "session" and stage == "after":
            release(self.holder, self.state, self.runner, now_s)
            return True
        account = self.run.manifest["account"]
        if path and account and (problem := self.host.account_problem(account)):
            entry["reason"] = f"NotStarted: {problem}"
            return True
        outcome = self.host.run_script(path, name, argument) if path else None
        if outcome is None or outcome.exit_code is None:
            entry["reason"] = "Missing" if outcome is None else f"NotStarted: {path} is not a program"
            if outcome is not None and account:  # of the account's own process, which could not start it
                entry |= identity(4000 + STAGES.index(stage))
            return True
        ends_s = now_s + outcome.duration_s
        if name == "session":
            times = (now_s + outcome.frozen_s, outcome.thaw_s)
            self.holder = Holder(self.runner, outcome.exit_code, ends_s, *times, outcome.let_go)
        else:
            self.process = Process(self.runner, outcome.exit_code, ends_s, outcome.stays)
        self.output |= zip((f"{name}.out", f"{name}.err"), outcome.printed, strict=True)
        entry |= identity(4000 + STAGES.index(stage))
        self.save()
        return True

    def _script_of(self, stage: str) -> str:
        return "session" if self.state["holds"] and stage != "complete" else stage

    def _end_of_holder(self, stage: str, runner: Runner, now_s: float) -> float | None:
        """As ``_end``, for what the session script does of a stage."""
        entry, holder = self.state[stage], self.holder
        assert holder is not None
        since_s, own = entry["startedMs"] / 1000, holder.runner is runner
        if stage == "before" and own:
            ended_s = holder.settle(entry, since_s + self.limits["before"], now_s)
        elif stage == "before":
            ended_s = holder.cut_off(runner.since_s, now_s)
        elif holder.told_by is runner:
            ended_s = holder.thawed(entry, runner, since_s + self.limits["after"], now_s)
        else:  # told, or about to be told, by a runner that has died
            ended_s = holder.cut_off(runner.since_s, now_s, max(self.limits["after"], HOLD_GRACE_S))
        if ended_s is not None:
            entry["endedMs"] = int(ended_s * 1000)
        return ended_s

    def _end(self, stage: str, runner: Runner, now_s: float) -> float | None:
        """Complete the entry of a stage's script, and return when it ended; None while the runner waits for it."""
        if self._script_of(stage) == "session" and self.holder and self.state[stage]["reason"] != "NotHeld":
            return self._end_of_holder(stage, runner, now_s)
        entry, process, ended_s = self.state[stage], self.process, now_s
        if process is not None:
            own = process.runner is runner
            # The new runner ends a before that lost its runner; the other scripts may finish.
            grace_s = 0 if stage == "before" and not own else self.limits[stage]
            limit_s = (entry["startedMs"] / 1000 if own else runner.since_s) + grace_s
            ended_s = min(process.ends_s, limit_s)
            if now_s < ended_s:
                return None
            if own and process.ends_s > limit_s:
                entry["reason"] = "TimedOut"
                self.state["alive"] += [stage] if process.stays else []
            elif own:
                reason = self._failure(stage, process.exit_code)
                succeeded = not reason
                entry.update(succeeded=succeeded, exitCode=process.exit_code, reason=reason)
            self.process = None
        entry["endedMs"] = int(ended_s * 1000)
        return ended_s

    def _failure(self, stage: str, exit_code: int) -> str:
        """Return the reason of a script that has ended, empty if it succeeded."""
        printed = self.output[f"{stage}.out"][-65536:] + b" " + self.output[f"{stage}.err"][-65536:]
        is_vbs = self.run.manifest["scripts"][stage].lower().endswith(".vbs")
        if exit_code == 0 and is_vbs and UNHANDLED.search(printed):
            return "Unhandled"
        return "ExitCode" if exit_code else ""

    def _freeze(self, runner: Runner, now_s: float) -> bool:
        if runner.started_it:
            self.frozen_s = now_s
            self.state["frozenMs"] = int(now_s * 1000)
        self._enter_phase("frozen")
        return True

    def _from_created(self, runner: Runner, now_s: float) -> bool:
        if runner.started_it:
            return self._start("before", "", now_s)
        self.state["before"] = record("NotStarted", "", now_s)
        return self._freeze(runner, now_s)

    def _from_before(self, runner: Runner, now_s: float) -> bool:
        vss = self.shadow if runner.started_it else None
        if not self.state["before"]["endedMs"]:
            ended_s = self._end("before", runner, now_s)
            if ended_s is None:
                return False
            self.before_ended_s = ended_s
            if vss:
                vss.start(self.run.folder_of(self.attempt), ended_s)
                self.save()
        settled_s = vss.settled_s(now_s) if vss else self.before_ended_s
        return settled_s is not None and self._freeze(runner, max(settled_s, self.before_ended_s))

    def _from_frozen(self, runner: Runner, now_s: float) -> bool:
        """Only the starting runner keeps the deadline; one that takes over after its death thaws at once."""
        asked = self.thaw_asked or bool(self.complete_asked)
        deadline_s = max(self.frozen_s, self.before_ended_s + self.limits["freeze"]) if runner.started_it else now_s
        if not asked and now_s < deadline_s:
            return False
        self.state.update(autoThawed=not asked, runnerLost=not runner.started_it)
        self._start("after", "1" if self.state["before"]["succeeded"] else "0", now_s if asked else deadline_s)
        return True

    def _from_after(self, runner: Runner, now_s: float) -> bool:
        ended_s = self._end("after", runner, now_s)
        if ended_s is None:
            return False
        if runner.name == "recovered":
            self._end_recovered()
            return False
        if self.shadow:
            self.shadow.look_at_thaw()
        if self.abort_asked and runner.started_it:
            self._close_shadow(runner, now_s)
        self._take_over(runner, now_s)
        self._enter_phase("thawed")
        return True

    def _take_over(self, runner: Runner, now_s: float) -> None:
        """After the starting runner's death, end what it left behind, once the application is thawed."""
        if self.shadow and not runner.started_it and runner.certain():
            self.shadow.close("RunnerLost", now_s)
            self.save()

    def _from_thawed(self, runner: Runner, now_s: float) -> bool:
        """Wait for the first of: complete, a later attempt, the end of the session's time."""
        overtaken = self.attempt + 1 in self.run.sessions
        self._take_over(runner, now_s)
        if not self.complete_asked and not overtaken and now_s >= self.created_s + self.limits["session"]:
            self.complete_asked = "0"
        if self.complete_asked:
            return self._start_complete(runner, now_s)
        if overtaken:
            self._close_shadow(runner, now_s)
            return self._close(now_s, "Superseded")
        return False

    def _start_complete(self, runner: Runner, now_s: float) -> bool:
        if not runner.certain():
            return self._close(now_s, "IdentityUnknown")
        self.run.complete_claim = self.run.complete_claim or self.attempt
        if self.run.complete_claim != self.attempt:
            self._close_shadow(runner, now_s)
            return self._close(now_s, "AlreadyRun")
        vss = self.shadow if self.complete_asked == "1" else None
        notified = vss.end_backup(now_s) if vss else True
        if notified is None:
            return False
        self._close_shadow(runner, now_s)
        earlier = self.state["before"]["succeeded"] and self.state["after"]["succeeded"]
        return self._start("complete", "1" if notified and earlier and self.complete_asked == "1" else "0", now_s)

    def _close_shadow(self, runner: Runner, now_s: float) -> None:
        if self.shadow and runner.certain():
            self.shadow.close("Aborted", now_s)

    def _from_complete(self, runner: Runner, now_s: float) -> bool:
        ended_s = self._end("complete", runner, now_s)
        return ended_s is not None and self._close(ended_s)

    def _close(self, now_s: float, instead_of_complete: str = "") -> bool:
        if instead_of_complete:
            self.state["complete"] = record(instead_of_complete, "", now_s)
        self.state["endedMs"] = self.state["endedMs"] or int(now_s * 1000)
        self._enter_phase("ended")
        return True

    def _from_ended(self, runner: Runner, now_s: float) -> bool:
        if not self.unsaved:
            self.tasks, self.runner = set(), None
            if runner.certain():
                self.ended(self, now_s)
        return False
