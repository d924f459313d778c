"""A plan to remove recovery points: its id, what a changed rule still keeps, its daily limit, and when none is made."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from quiesce.policy.keep import PERIODS, Retention
from quiesce.retention.decision import Decision, Point, decide

DAY = timedelta(hours=24)
# So long a changed rule removes nothing that the former one keeps: nobody may have looked yet.
CHANGE = timedelta(days=3)
CLOCK = timedelta(minutes=5)
# In 24 hours, beside one for each new generation: so many recovery points, or this share of a group, may go.
FREE_REMOVALS, FREE_SHARE = 5, 0.2


@dataclass(frozen=True)
class Group:
    """What a rule is applied to: the recovery points of one server by one policy, both as the records name them."""

    instance_id: str
    policy: str


@dataclass(frozen=True)
class Former:
    """The rule that was in force before, None if every recovery point stayed, and since when it no longer is."""

    rule: Retention | None
    changed_at: datetime


@dataclass(frozen=True)
class Plan:
    """What stays and what goes of a group.

    Attributes:
        plan_id: the same as long as group, rule, recovery points and what keeps them are the same.
        decisions: newest first.
        problem: why nothing may be removed by it until a person confirms its id; empty if it may be carried out.
    """

    group: Group
    plan_id: str
    decisions: list[Decision]
    problem: str

    @property
    def removals(self) -> list[Decision]:
        """What goes."""
        return [decision for decision in self.decisions if not decision.keep]


def make_plan(  # noqa: PLR0913 - a plan is made of exactly these
    group: Group,
    points: Sequence[Point],
    rule: Retention,
    now: datetime,
    *,
    formers: Sequence[Former] = (),
    removed: Sequence[datetime] = (),
    confirmed: str = "",
) -> Plan:
    """Make the plan for one group.

    Args:
        group: whose points these are.
        points: all of the group that have snapshots.
        rule: the one in force.
        now: in UTC.
        formers: the rules before; for three days what one keeps stays, too, unless a person confirmed the plan.
        removed: when recovery points of this group were removed or their removal began, by whomever.
        confirmed: the id of the plan that a person confirmed; it counts for this very plan only.
    """
    plan_id = _id(group, points, rule)
    decisions = decide(points, rule, now)
    if confirmed == plan_id:
        return Plan(group, plan_id, decisions, "")
    for former in formers:
        if now < former.changed_at + CHANGE:
            decisions = _with_former(decisions, points, former, now)
    return Plan(group, plan_id, decisions, _limit_problem(decisions, removed, now))


def clock_problem(ours: datetime, theirs: datetime) -> str:
    """Say why nothing may be removed by this machine's clock; empty if it agrees with AWS's.

    Args:
        ours: the function's clock, in UTC.
        theirs: the Date of an answer that AWS has just given.
    """
    if abs(ours - theirs) <= CLOCK:
        return ""
    return (
        f"the function's clock says {ours:%Y-%m-%d %H:%M:%S} UTC and AWS's {theirs:%Y-%m-%d %H:%M:%S} UTC: nothing is "
        "removed while they differ by more than 5 minutes; the next run looks again"
    )


def idle_parts(decisions: Sequence[Decision], rule: Retention) -> list[str]:
    """Return the parts of ``keep`` that keep nothing of their own: without one of them the same points would stay."""
    given = [name for name in ("last", *PERIODS) if getattr(rule.keep, name)]
    given += ["within"] if rule.keep.within else []

    def decides(part: str) -> bool:
        kept = (decision.because for decision in decisions if decision.keep)
        return any(all(reason.startswith(f"{part} ") for reason in because) for because in kept)

    return [part for part in given if not decides(part)]


def _with_former(
    decisions: Sequence[Decision], points: Sequence[Point], former: Former, now: datetime
) -> list[Decision]:
    said = f"the former rule, until {former.changed_at + CHANGE:%Y-%m-%d %H:%M} UTC: "
    kept: dict[str, tuple[str, ...]]
    if former.rule is None:
        kept = {point.run_id: ("every one stays",) for point in points if not point.removing}
    else:
        kept = {d.point.run_id: d.because for d in decide(points, former.rule, now) if d.keep}
    return [
        replace(decision, keep=True, because=tuple(said + reason for reason in kept[decision.point.run_id]))
        if not decision.keep and decision.point.run_id in kept
        else decision
        for decision in decisions
    ]


def _limit_problem(decisions: Sequence[Decision], removed: Sequence[datetime], now: datetime) -> str:
    # What has begun was counted when it began, and has to be finished.
    new = [decision for decision in decisions if not decision.keep and not decision.point.removing]
    recent = [at for at in removed if now - DAY < at <= now]
    generations = [d for d in decisions if d.point.status == "Successful" and now - DAY < d.point.ended_at <= now]
    limit = len(generations) + max(FREE_REMOVALS, int(len(decisions) * FREE_SHARE))
    if len(new) + len(recent) <= limit:
        return ""
    gone = f" after {len(recent)} of the last 24 hours" if recent else ""
    return (
        f"{len(new)} of {len(decisions)} recovery points would go{gone}; more than {limit} in 24 hours go only with a "
        "person's word. Nothing is removed: look at the plan, then confirm it, or correct the rule"
    )


def _id(group: Group, points: Sequence[Point], rule: Retention) -> str:
    known = [
        [point.run_id, point.at.isoformat(), point.status, point.application, sorted(point.kept_for), point.removing]
        for point in sorted(points, key=lambda point: point.order)
    ]
    of = [group.instance_id, group.policy, rule.model_dump(), known]
    return hashlib.sha256(json.dumps(of, separators=(",", ":")).encode()).hexdigest()[:16]
