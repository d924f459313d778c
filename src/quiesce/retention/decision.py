"""Decide for each recovery point of one server and policy whether it stays, with every reason."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from quiesce.points.record import Status
from quiesce.policy.keep import Retention

# A recovery point this much newer than now was made by a clock that is wrong, or is judged by one.
FUTURE = timedelta(hours=1)
NO_RULE = "no rule keeps it"
BEGUN = "its removal has begun"
# Weeks are those of ISO 8601, which belong to one year even if they begin in another.
PERIOD_OF: dict[str, Callable[[date], Hashable]] = {
    "daily": lambda day: day,
    "weekly": lambda day: day.isocalendar()[:2],
    "monthly": lambda day: (day.year, day.month),
    "yearly": lambda day: day.year,
}


@dataclass(frozen=True)
class Point:
    """A recovery point with snapshots, as retention sees it.

    Attributes:
        at: when EC2 began its snapshots, in UTC.
        ended_at: when its run ended, in UTC.
        status: of its run; None if its record can't be read.
        application: whether it is application-consistent.
        kept_for: what keeps it whatever the rule says, such as ``held`` or ``in use by ami-0123456789abcdef0``.
        removing: whether its removal has begun; what is left of it is no recovery point.
        archived: whether the archive of EBS has some of its snapshots; it decides nothing.
    """

    run_id: str
    at: datetime
    ended_at: datetime
    status: Status | None
    application: bool
    kept_for: tuple[str, ...] = ()
    removing: bool = False
    archived: bool = False

    @property
    def order(self) -> tuple[datetime, str]:
        """What recovery points are ordered by: two of the same second by their run's id."""
        return self.at, self.run_id


@dataclass(frozen=True)
class Decision:
    """Whether a recovery point stays, and all the reasons for it."""

    point: Point
    keep: bool
    because: tuple[str, ...]


@dataclass
class _Reasons:
    """The reasons to keep each recovery point, by run id, in the order in which they are given."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, point: Point | None, reason: str) -> None:
        if point is not None:
            self.found.setdefault(point.run_id, []).append(reason)

    def of(self, point: Point) -> list[str]:
        return self.found.get(point.run_id, [])


def decide(points: Sequence[Point], rule: Retention, now: datetime) -> list[Decision]:
    """Decide for all recovery points of one server and policy which stay.

    Nothing depends on a recovery point's age from now, and what keeps a point whatever the rule says (``kept_for``)
    changes no other point's fate: the rule is applied as if it were not there.

    Args:
        points: in any order; no two have the same run id.
        rule: the policy's.
        now: in UTC; only recovery points of the future are told by it.

    Returns:
        A decision for each point, newest first.
    """
    ordered = sorted(points, key=lambda point: point.order, reverse=True)
    judged = [point for point in ordered if point.at <= now + FUTURE and point.status and not point.removing]
    whole = [point for point in judged if is_whole(point, rule)]
    reasons = _Reasons()
    _protect(whole, rule, reasons)
    _apply(whole, rule, reasons)
    last_resort = next((point for point in judged if point.application and point.status != "Failed"), None)

    def decided(point: Point) -> Decision:
        kept = [*(["future"] if point.at > now + FUTURE else []), *([] if point.status else ["unreadable"])]
        kept += [*point.kept_for, *reasons.of(point)]
        if kept:
            return Decision(point, keep=True, because=tuple(kept))
        if point.removing:
            return Decision(point, keep=False, because=(BEGUN,))
        if is_whole(point, rule):
            return Decision(point, keep=False, because=(NO_RULE,))
        return _not_whole(point, whole, rule, last_resort)

    return [decided(point) for point in ordered]


def is_whole(point: Point, rule: Retention) -> bool:
    """Whether a recovery point is a generation: only these take the places of a rule."""
    return point.status == "Successful" or (rule.partial_counts and point.status == "PartiallySuccessful")


def _protect(whole: Sequence[Point], rule: Retention, reasons: _Reasons) -> None:
    """Give the reasons that no rule can take away; ``whole`` is newest first."""
    reasons.add(next(iter(whole), None), "newest")
    reasons.add(next((point for point in whole if point.status == "Successful"), None), "newest successful")
    reasons.add(next((point for point in whole if point.application), None), "newest application")
    for number, point in enumerate(whole[: rule.at_least], start=1):
        reasons.add(point, f"at_least {number} of {rule.at_least}")


def _apply(whole: Sequence[Point], rule: Retention, reasons: _Reasons) -> None:
    """Give the reasons of ``keep``: of each period that has a whole point, the newest one stands for it."""
    keep = rule.keep
    days = {point.run_id: point.at.astimezone(rule.zone).date() for point in whole}
    for number, point in enumerate(whole[: keep.last], start=1):
        reasons.add(point, f"last {number} of {keep.last}")
    for name, count in keep.periods.items():
        seen: set[Hashable] = set()
        for point in whole:
            period = PERIOD_OF[name](days[point.run_id])
            if period not in seen and len(seen) < count:
                seen.add(period)
                reasons.add(point, f"{name} {len(seen)} of {count}")
    if keep.within_days is not None:
        for point in whole:
            if (days[whole[0].run_id] - days[point.run_id]).days <= keep.within_days:
                reasons.add(point, f"within {keep.within}")


def _not_whole(point: Point, whole: Sequence[Point], rule: Retention, last_resort: Point | None) -> Decision:
    days = rule.keep_partial_days
    day = point.at.astimezone(rule.zone).date()
    if not whole or (whole[0].at.astimezone(rule.zone).date() - day).days < days:
        return Decision(point, keep=True, because=(f"not whole, and no whole one is {days} days newer",))
    if point is last_resort:
        return Decision(point, keep=True, because=("not whole, but the newest application-consistent one",))
    return Decision(point, keep=False, because=(f"not whole, and {whole[0].run_id} is {days} days newer",))
