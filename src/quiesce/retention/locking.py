"""For how long a recovery point is locked, and what locks cost beyond a policy's rule. Pure."""

import math
from datetime import datetime, timedelta

from quiesce.policy.lock import Lock
from quiesce.policy.policy import Policy
from quiesce.prices import DAYS_OF_A_MONTH, STORED_GIB_DOLLARS


def days_left(lock: Lock, ended_at: datetime, now: datetime) -> int:
    """Return for how many whole days a recovery point is to be locked now, 0 if its time is over.

    The days count from the end of its run, so that a lock which comes late, or again, is not longer for it.
    """
    left = math.ceil((ended_at + timedelta(days=lock.days) - now) / timedelta(days=1))
    return min(lock.days, max(0, left))


def lock_remark(policy: Policy) -> str:
    """Say what a policy's lock holds longer than its rule, with the price; empty if it holds nothing longer."""
    lock, rule = policy.lock, policy.retention
    if lock is None or rule is None:
        return ""
    # Weeks, months and years keep only some: the others stay as long as these say, with one a day.
    within = rule.keep.within_days
    kept = max(rule.at_least, rule.keep.last, rule.keep.daily, within + 1 if within else 0)
    longer = lock.days - kept
    if longer <= 0:
        return ""
    dollars = longer / DAYS_OF_A_MONTH * STORED_GIB_DOLLARS
    return (
        f"'lock' holds each recovery point for {lock.days} days, and by 'keep' some would go after {kept}, at one a "
        f"day: they stay {longer} days longer, and each GiB that only they hold costs ${dollars:.2f} more "
        f"(${STORED_GIB_DOLLARS:.2f} a month)"
    )
