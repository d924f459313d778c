"""A model of a session script: before and after in one process, which holds the application while it runs."""

from dataclasses import dataclass

from sandbox.windows.host import Json, LetGo, Runner

# guest/parts, Wait-Frozen and Close-Script: how long a script that is late has to thaw before it is ended.
GRACE_S = 5


@dataclass
class Holder:
    """A session script that runs; ``ends_s`` is when it ends by itself, ``frozen_s`` when it makes its file.

    ``thaws_in_s`` is how long it takes to end once it is told to thaw, infinite where it does not listen.
    """

    runner: Runner
    exit_code: int
    ends_s: float
    frozen_s: float
    thaws_in_s: float
    let_go: LetGo
    told_by: Runner | None = None
    gone: bool = False

    def end(self, *, told: bool) -> None:
        """Let it be gone, and with it what it held."""
        if not self.gone:
            self.gone = True
            self.let_go(told)

    def tell(self, runner: Runner, now_s: float) -> None:
        """Tell it to thaw."""
        if self.told_by is None:
            self.ends_s = min(self.ends_s, now_s + self.thaws_in_s)
        self.told_by = runner

    def settle(self, entry: Json, limit_s: float, now_s: float) -> float | None:
        """Complete before's entry, and return when that was; None while nobody knows whether it freezes."""
        first_s = min(self.ends_s, self.frozen_s, limit_s)
        if now_s < first_s:
            return None
        if self.told_by is None and self.ends_s <= first_s:
            entry.update(exitCode=self.exit_code, reason="EndedEarly")
            self.end(told=False)
        elif self.told_by is None and self.frozen_s <= first_s:
            entry.update(succeeded=True, reason="")
        else:
            entry["reason"] = "TimedOut"
            return self.cut_off(limit_s, now_s)
        return first_s

    def cut_off(self, since_s: float, now_s: float, grace_s: float = GRACE_S) -> float | None:
        """End it after a moment in which it may thaw; return when it is gone, None until then."""
        self.tell(self.runner, since_s)
        ended_s = min(self.ends_s, since_s + grace_s)
        if now_s < ended_s:
            return None
        self.end(told=self.ends_s <= ended_s)
        return ended_s

    def thawed(self, entry: Json, runner: Runner, limit_s: float, now_s: float) -> float | None:
        """Complete after's entry for a script that this runner has told, and return when it ended; None until then."""
        ended_s = min(self.ends_s, limit_s)
        if now_s < ended_s:
            return None
        self.end(told=self.ends_s <= limit_s)
        if self.ends_s > limit_s:
            entry["reason"] = "TimedOut"
        elif self.runner is not runner:
            entry["reason"] = "Unheard"
        else:
            reason = "ExitCode" if self.exit_code else ""
            entry.update(succeeded=not reason, exitCode=self.exit_code, reason=reason)
        return ended_s


def release(holder: Holder | None, state: Json, runner: Runner, now_s: float) -> bool:
    """Tell a session script to thaw; where there is none to tell, say so in the entries, and return False."""
    if holder is not None and not holder.gone and holder.ends_s > now_s:
        holder.tell(runner, now_s)
        return True
    if holder is not None:
        holder.end(told=False)
    if state["before"]["succeeded"]:
        code = holder.exit_code if holder is not None and holder.runner is runner else None
        state["before"].update(succeeded=False, reason="EndedEarly", exitCode=code)
    state["after"].update(argument="0", succeeded=True, reason="NotHeld")
    return False
