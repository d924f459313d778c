"""The posture in a few lines, for the table and for whoever calls the function."""

from datetime import datetime, timedelta

from quiesce.posture.state import Goal, PolicyPosture, PolicyStanding, Posture, PosturePart

# An item of DynamoDB has at most 400 KB, and a policy here some 250 bytes.
MOST_POLICIES = 1000
# Each may have 2,000 characters.
MOST_UNKNOWN = 20


class PolicySummary(PosturePart):
    """A policy's posture without its servers."""

    policy: str
    goal: Goal | None
    scheduled: bool
    standing: PolicyStanding
    oldest_age_s: int | None
    points: int
    servers: int
    behind: int


class PostureSummary(PosturePart):
    """The posture in numbers: ``policies`` has the worst first, and ``more`` are left out.

    ``unknown`` has the first 20.
    """

    stack: str
    looked_at: datetime
    unknown: list[str]
    windows_servers: int
    covered: int
    unprotected: int
    left: int
    unproven: int
    policies: list[PolicySummary]
    more: int


def summary_of(posture: Posture) -> PostureSummary:
    """Return the posture in numbers."""
    order = sorted(posture.policies, key=lambda each: (-each.behind, each.policy))
    return PostureSummary(
        stack=posture.stack,
        looked_at=posture.looked_at,
        unknown=posture.unknown[:MOST_UNKNOWN],
        windows_servers=posture.windows_servers,
        covered=posture.covered,
        unprotected=len(posture.unprotected),
        left=len(posture.left),
        unproven=len(posture.unproven),
        policies=[_policy(each) for each in order[:MOST_POLICIES]],
        more=len(order[MOST_POLICIES:]),
    )


def _policy(policy: PolicyPosture) -> PolicySummary:
    return PolicySummary(
        policy=policy.policy,
        goal=policy.goal,
        scheduled=policy.scheduled,
        standing=policy.standing,
        oldest_age_s=policy.oldest_age_s,
        points=policy.points,
        servers=len(policy.servers),
        behind=policy.behind,
    )


def goal_words(policy: PolicyPosture | None) -> str:
    """Return a policy's goal in words, empty if it has none."""
    if policy is None or policy.goal is None:
        return ""
    span = timedelta(seconds=policy.goal.no_good_point_for_s)
    hours, minutes = divmod(int(span.total_seconds()) // 60, 60)
    level = "an application-consistent" if policy.goal.level == "application" else "a good"
    return f"{level} recovery point of each server in the last {hours} h{f' {minutes} min' if minutes else ''}"
