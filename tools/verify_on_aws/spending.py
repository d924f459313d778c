"""What a verification may cost: upper bounds of ours, counted from when something was created.

AWS's bill is what counts. The prices are those that AWS lists for us-east-1, doubled, because other Regions cost more.
"""

from collections.abc import Callable
from dataclasses import dataclass

SERVER_HOUR = 0.40  # m5.large with a Windows licence
GIB_HOUR = 0.0003  # a gp3 volume or a snapshot
SERVER_GIB = 60
STEP_DOLLARS = 0.05  # functions, state transitions, blocks read, requests


class LimitReached(Exception):
    """The next step would take the verification over its limit in dollars."""


@dataclass
class Spending:
    """What was spent so far, at most; ``now_s`` is a clock, ``servers`` how many run at our cost."""

    limit: float
    now_s: Callable[[], float]
    servers: int = 0
    spent: float = 0.0
    since_s: float = 0.0

    def begin(self, servers: int) -> None:
        """Count from now on, with this many servers."""
        self.settle()
        self.servers = servers

    def settle(self) -> float:
        """Add what the time until now has cost at most, and return all that was spent."""
        now_s = self.now_s()
        if self.since_s:
            hours = (now_s - self.since_s) / 3600
            self.spent += hours * (self.servers * SERVER_HOUR + (self.servers + 1) * SERVER_GIB * GIB_HOUR)
        self.since_s = now_s
        return self.spent

    def check(self, dollars: float = 0.0) -> None:
        """Refuse to go on if what was spent, and ``dollars`` more, is over the limit.

        Raises:
            LimitReached: says how much was spent, and what is left out.
        """
        if (spent := self.settle()) + dollars > self.limit:
            raise LimitReached(f"${spent:.2f} spent at most, and ${dollars:.2f} more is over --limit {self.limit:.2f}")


def estimate(hours: float, servers: int, steps: int) -> float:
    """Return what a verification costs at most: its servers for so many hours, and its steps."""
    return hours * (servers * SERVER_HOUR + (servers + 1) * SERVER_GIB * GIB_HOUR) + steps * STEP_DOLLARS
