"""Settle one policy: its file as it is now, the text in force, and the schedules that follow from it."""

from dataclasses import dataclass, replace
from datetime import datetime

from quiesce.aws.policies.policies_in_force import PoliciesInForce
from quiesce.aws.policies.policy_files import PolicyFile, PolicyFiles
from quiesce.aws.policies.schedules import Schedules
from quiesce.errors import PolicyRefused, ScheduleRefused
from quiesce.policy.file import read_policy_file
from quiesce.policy.policy import Policy
from quiesce.retention.archiving import archive_remark
from quiesce.retention.locking import lock_remark
from quiesce.schedules.changes import changes
from quiesce.schedules.outcome import Outcome
from quiesce.schedules.wanted import Definition, Target, Wanted, first_starts, wanted

# Each change of a file has an event of its own, so that another look follows in any case.
MOST_LOOKS = 5


@dataclass(frozen=True)
class _Judged:
    """What a look at a file shows: the policy in force, None if no text is, and the error of a bad file."""

    policy: Policy | None
    refused: str = ""


@dataclass(frozen=True)
class Settling:
    """Where policies are settled; ``now`` is in UTC, and with ``paused`` all schedules are off."""

    files: PolicyFiles
    in_force: PoliciesInForce
    schedules: Schedules
    target: Target
    now: datetime
    paused: bool

    def settle(self, name: str) -> Outcome:
        """Make a policy's schedules what its file says.

        The event that led here only says that there is something to look at: events come twice and out of order. So
        the file is read again afterwards, and once more settled if it has changed meanwhile, perhaps by another call.
        """
        file = self.files.read_file(name)
        for _ in range(MOST_LOOKS):
            outcome = self._settle(name, file)
            after = self.files.read_file(name)
            if _version(after) == _version(file):
                break
            file = after
        return outcome

    def _settle(self, name: str, file: PolicyFile | None) -> Outcome:
        known = self.in_force.version(name), self.in_force.refused_version(name)
        judged = self._judge(name, file)
        seen = Outcome(
            policy=name,
            where=file.where if file else "",
            version=_version(file),
            refused=judged.refused,
            in_force=judged.policy is not None,
            was_refused=bool(known[1]),
            is_new=_version(file) not in known,
        )
        if file and judged.policy is None:
            # Nothing follows from a bad file, and nothing is in force: what is there stays.
            return seen
        return self._schedule(seen, judged.policy)

    def _judge(self, name: str, file: PolicyFile | None) -> _Judged:
        """Put a good file in force, and find out what is in force beside a bad one."""
        if file is None:
            self.in_force.forget(name)
            return _Judged(None)
        try:
            policy = read_policy_file(file.content, name, file.where)
        except PolicyRefused as error:
            return _Judged(self._last_good(name), str(error))
        if self.in_force.version(name) != file.version:
            self.in_force.keep(name, file.content.decode("utf-8-sig"), file.version, self.now)
        return _Judged(policy)

    def _last_good(self, name: str) -> Policy | None:
        text = self.in_force.text(name)
        try:
            return read_policy_file(text.encode(), name, f"the text of {name} in force") if text else None
        except PolicyRefused:
            # An update of the stack may refuse what an older one took.
            return None

    def _schedule(self, seen: Outcome, policy: Policy | None) -> Outcome:
        """Make Scheduler hold what the policy says; what it refuses does not stop the rest."""
        plan = Wanted({}, [])
        if policy:
            starts = self.in_force.starts(policy.name, first_starts(policy, self.now))
            plan = wanted(policy, starts, self.target, self.now, paused=self.paused)
            plan.notes.extend(filter(None, [lock_remark(policy), archive_remark(policy)]))
        names = self.schedules.names(f"{seen.policy}.")
        present = {name: there for name in names if (there := self.schedules.read(name)) is not None}
        found = changes(plan.schedules, present, self.now)
        problems = [
            refused for name, each in {**found.create, **found.update}.items() if (refused := self._put(name, each))
        ]
        for name in found.delete:
            self.schedules.delete(name)
        return replace(seen, changed=found.words, problems=problems, notes=plan.notes)

    def _put(self, name: str, definition: Definition) -> str:
        """Put a schedule; return Scheduler's refusal, empty if it takes it."""
        try:
            self.schedules.put(name, definition)
        except ScheduleRefused as refused:
            return str(refused)
        return ""


def _version(file: PolicyFile | None) -> str:
    return file.version if file else ""
