"""When a policy's schedules start it next, as ``quiesce policy next`` answers. Pure."""

from collections.abc import Mapping
from datetime import datetime

from quiesce.policy import coming as schedules
from quiesce.policy.policy import Policy
from quiesce_cli.answers.shapes import NextRun


def coming(policy: Policy, starts: Mapping[str, datetime], now: datetime, count: int) -> list[NextRun]:
    """Return the next starts of a policy, those among them at which it backs up nothing.

    Args:
        policy: in force.
        starts: when each interval (``every``) first ran, by its schedule's key; without one it begins now.
        now: in UTC.
        count: how many at most.
    """
    return [
        NextRun(
            policy=policy.name,
            at=start.at,
            zone=start.zone,
            clock=f"{start.local:%a %Y-%m-%d %H:%M}",
            schedule=start.schedule,
            moved=start.moved,
            left_out=start.left_out,
        )
        for start in schedules.coming(policy, starts, now, count)
    ]
