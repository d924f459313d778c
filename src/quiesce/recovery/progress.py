"""How far a recovery is, and how long each of its states took in past recoveries of the stack. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from quiesce.executions import Crossing
from quiesce.recovery.account import Account

# The states that take time, in their order; Weigh takes none, and counts with Look.
MOVES = ("Launch", "MakeVolumes", "Stop", "Swap", "Start", "AwaitOnline", "EndSession", "Finish")
STATES = ("Plan", "Restore", "Look", "Revert", *MOVES)
# So many of the latest recoveries say how long a state takes: what an older one took says less of today's servers.
PAST_RECOVERIES = 20
MINUTE_S, HOUR_S = 60, 3600
# Up to here a time is said in the smaller unit.
SECONDS_UP_TO_S, MINUTES_UP_TO_S = 90, 90 * MINUTE_S
NO_PAST = "not known: no recovery of this stack has ended yet"


class PastState(Crossing):
    """How long a state took in past recoveries: the median in seconds, and of how many recoveries."""

    median_s: float
    count: int


Past = Mapping[str, PastState]
"""By state; a state through which no past recovery went is missing."""


@dataclass(frozen=True)
class Progress:
    """A recovery that goes on.

    ``done`` has the states that are over, with their seconds; ``said`` is what the present state says of how far it is,
    empty if it has said nothing yet.
    """

    recovery: str
    execution: str
    done: Mapping[str, float]
    state: str
    since: datetime
    said: str
    to_come: Sequence[str]
    past: Past
    written_at: datetime

    @property
    def text(self) -> str:
        """What a person reads while it runs."""
        for_s = (self.written_at - self.since).total_seconds()
        number, total = len(self.done) + 1, len(self.done) + 1 + len(self.to_come)
        before = self.past.get(self.state)
        usual = f" (median of {_recoveries(before.count)}: {length(before.median_s)})" if before else ""
        lines = [
            f"Recovery:  {self.recovery}",
            f"Now:       {self.state}, state {number} of {total}, for {length(for_s)}{usual}",
            *([f"           {self.said}"] if self.said else []),
            f"Done:      {took_words(self.done, self.past) or 'nothing yet'}",
            f"To come:   {', '.join(_usual(name, self.past) for name in self.to_come) or 'nothing'}",
            f"Left:      {self._left(for_s)}",
            f"As of:     {self.written_at:%Y-%m-%d %H:%M:%S} UTC",
            f"Execution: {self.execution}",
        ]
        return "\n".join(lines) + "\n"

    def _left(self, for_s: float) -> str:
        states = (self.state, *self.to_come)
        if unknown := _unknown(states, self.past):
            return unknown
        now_s, *others = (self.past[name].median_s for name in states)
        return f"about {length(max(now_s - for_s, 0) + sum(others))}, by the medians of past recoveries of this stack"


def ended_text(account: Account) -> str:
    """Return what stands in the place of the progress once an execution of the recovery has ended."""
    lines = [
        f"Recovery:  {account.recovery_id}",
        f"Ended:     {account.status}, {account.ended_at:%Y-%m-%d %H:%M:%S} UTC",
        f"           {account.reason}",
        f"Took:      {account.took or 'not known'}",
        f"Account:   {account.account}",
        f"Execution: {account.execution}",
    ]
    return "\n".join(lines) + "\n"


def past_of(recoveries: Sequence[Mapping[str, float]]) -> dict[str, PastState]:
    """Return how long each state took, by the seconds of each state in each past recovery."""
    by_state = {name: [each[name] for each in recoveries if name in each] for name in STATES}
    return {name: PastState(median_s=median(took), count=len(took)) for name, took in by_state.items() if took}


def states_ahead(*, restore: bool = False, look: bool, build: bool) -> list[str]:
    """Return the states that come after Plan, by whether the machine restores, looks what can be built, and builds."""
    return [
        *(["Restore"] if restore else []),
        *(["Look"] if look else []),
        *(["Revert"] if look or build else []),
        *MOVES,
    ]


def seconds_of(started_at: datetime, ends: Iterable[tuple[str, datetime | None]]) -> dict[str, float]:
    """Return how long each state took that has ended, from the end of the one before it to its own.

    Args:
        started_at: when the first began.
        ends: states in their order, with when they ended.
    """
    took: dict[str, float] = {}
    for name, ended_at in ends:
        if ended_at is not None:
            took[name] = round((ended_at - started_at).total_seconds(), 1)
            started_at = ended_at
    return took


def how_long(states: Sequence[str], past: Past) -> str:
    """Say how long a recovery through these states takes, by past ones."""
    if unknown := _unknown(states, past):
        return unknown
    each = ", ".join(f"{name} {length(past[name].median_s)}" for name in states)
    number = min(past[name].count for name in states)
    total = length(sum(past[name].median_s for name in states))
    return f"about {total}, by {_recoveries(number)} of this stack, of each state the median: {each}"


def took_words(took: Mapping[str, float], past: Past) -> str:
    """Say how long each state took, and in brackets the median of past recoveries."""
    each = []
    for name, seconds in took.items():
        before = past.get(name)
        each.append(f"{name} {length(seconds)}" + (f" ({length(before.median_s)})" if before else ""))
    usual = "; in brackets the median of past recoveries" if set(took) & set(past) else ""
    return ", ".join(each) + usual


def length(seconds: float) -> str:
    """Write a duration for a person: whole seconds, minutes, or hours with a decimal."""
    if seconds < SECONDS_UP_TO_S:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < MINUTES_UP_TO_S else f"{seconds / HOUR_S:.1f} h"


def _unknown(states: Sequence[str], past: Past) -> str:
    missing = [name for name in states if name not in past]
    if not past:
        return NO_PAST
    return f"not known: no past recovery of this stack went through {', '.join(missing)}" if missing else ""


def _usual(name: str, past: Past) -> str:
    return f"{name} ({length(past[name].median_s)})" if name in past else name


def _recoveries(number: int) -> str:
    return "1 past recovery" if number == 1 else f"{number} past recoveries"
