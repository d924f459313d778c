"""What a fix has changed on one server, and what it was before: kept before anything is changed, so that it comes back.

Pure: each step returns the fix as it is then.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal, Self

from quiesce.doctor.changes import Change
from quiesce.executions import Crossing

# ``planned``: kept, and perhaps done. ``failed``: not done, for the reason in ``words``. ``given back``: as it was
# before the fix. ``left``: somebody has changed it since, or it could not be given back.
Outcome = Literal["planned", "done", "failed", "given back", "left"]
# An agent registers some minutes after its server got a profile, and an update of it takes one.
LONGEST_S = 3600
# How often a fix goes through a server at most: profile, agent, what Windows says then, and what failed once more.
MOST_ROUNDS = 8
SOON_S, LATER_S = 5, 60


class Made(Crossing):
    """One change of a fix; ``words`` say why it is not done or not given back."""

    change: Change
    outcome: Outcome
    words: str = ""

    @property
    def told(self) -> str:
        """What a person reads of it."""
        why = f", {self.words}" if self.words else ""
        return f"{self.change.words}: {self.outcome}{why}"


class Fix(Crossing):
    """A fix of one server; ``id`` is that of all servers which the same execution has changed.

    ``held`` says why nothing more was changed, empty where nothing kept it from it.
    """

    id: str
    instance_id: str
    execution: str
    begun_at: datetime
    rounds: int = 0
    made: list[Made] = []
    held: str = ""

    def planning(self, changes: Iterable[Change]) -> Self:
        """Return it with these changes planned: of one that it has already, what it was at first stays."""
        known = {each.change.key: each for each in self.made}
        for change in changes:
            first = known[change.key].change if change.key in known else change
            known[change.key] = Made(change=first.model_copy(update={"to": change.to}), outcome="planned")
        return self.model_copy(update={"made": [*known.values()], "rounds": self.rounds + 1, "held": ""})

    def with_outcome(self, change: Change, outcome: Outcome, words: str = "") -> Self:
        """Return it with how one change has turned out."""
        made = [
            Made(change=each.change, outcome=outcome, words=words) if each.change.key == change.key else each
            for each in self.made
        ]
        return self.model_copy(update={"made": made})

    def holding(self, why: str) -> Self:
        """Return it with why nothing more is changed."""
        return self.model_copy(update={"held": why})

    @property
    def to_give_back(self) -> list[Change]:
        """What may have been changed, the last first: of one that is only planned, or failed, nobody can be sure."""
        return [each.change for each in reversed(self.made) if each.outcome != "given back"]

    @property
    def given_profile(self) -> bool:
        """Whether the server got an instance profile, with which its agent has yet to register."""
        return any(each.change.setting == "instance profile" and each.outcome == "done" for each in self.made)

    @property
    def told(self) -> list[str]:
        """What a person reads of it, a line for each change."""
        lines = [f"{self.instance_id}: {each.told}" for each in self.made]
        return [*lines, *([f"{self.instance_id}: {self.held}"] if self.held else [])]


class Next(Crossing):
    """Whether the machine examines the server again, and after how many seconds."""

    again: bool
    wait_s: int = SOON_S


def next_of(fix: Fix, changes: Sequence[Change], *, online: bool, now: datetime) -> Next:
    """Decide how a fix goes on after it has made these changes.

    Args:
        fix: with how they turned out.
        changes: that were made now; none if there was nothing left to change.
        online: whether the server's agent is connected.
        now: UTC.
    """
    if now - fix.begun_at > timedelta(seconds=LONGEST_S) or (changes and fix.rounds >= MOST_ROUNDS):
        return Next(again=False)
    if changes:
        done = {each.change.key for each in fix.made if each.outcome == "done"}
        return Next(again=any(change.key in done for change in changes))
    return Next(again=fix.given_profile and not online, wait_s=LATER_S)
