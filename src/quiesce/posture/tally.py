"""What a server's list of recovery points comes to, policy by policy: bounded, however long the list is."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from quiesce.points.listed import ListedPoint
from quiesce.policy.alert import AlertLevel
from quiesce.policy.policy import Policy
from quiesce.retention.decision import FUTURE


@dataclass(frozen=True)
class Counts:
    """What counts as a good recovery point of a policy."""

    level: AlertLevel = "crash"
    partial: bool = False

    def is_good(self, point: ListedPoint) -> bool:
        """Whether a recovery point's record makes it a good one; whether EC2 still has it is another question."""
        whole = point.status == "Successful" or (self.partial and point.status == "PartiallySuccessful")
        return whole and point.level in ("application", self.level)


@dataclass(frozen=True)
class Tally:
    """The recovery points of a server and policy.

    Attributes:
        points: how many there are.
        newest_at: when the newest one was taken, good or not, in UTC.
        newest: the newest good one, None if there is none.
        lost: newer ones that would be good, and whose snapshots EC2 no longer has, by run id.
    """

    points: int
    newest_at: datetime
    newest: ListedPoint | None = None
    lost: tuple[str, ...] = ()


def counts_of(policy: Policy) -> Counts:
    """Return what counts as a good recovery point of a policy; without ``alert`` any whole one."""
    return Counts(policy.alert.level if policy.alert else "crash", policy.partial_counts)


def tally(
    points: Iterable[ListedPoint], counts: Mapping[str, Counts], now: datetime, gone: Collection[str] = ()
) -> dict[str, Tally]:
    """Count a server's recovery points, and find the newest good one of each policy.

    Args:
        points: all of one server, oldest first.
        counts: what counts as good, by policy; of a policy that is not there, any whole one.
        now: in UTC; a recovery point of the future is nobody's newest.
        gone: the run ids of those whose snapshots EC2 no longer has.
    """
    found: dict[str, Tally] = {}
    for point in points:
        last = found.get(point.policy, Tally(0, point.at))
        newest, lost = last.newest, last.lost
        if counts.get(point.policy, Counts()).is_good(point) and point.at <= now + FUTURE:
            newest, lost = (newest, (*lost, point.run_id)) if point.run_id in gone else (point, ())
        found[point.policy] = Tally(last.points + 1, max(last.newest_at, point.at), newest, lost)
    return found
