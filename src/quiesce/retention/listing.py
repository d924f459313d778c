"""A plan as a person reads it: a line for each recovery point, with all reasons."""

from collections.abc import Sequence

from quiesce.policy.keep import Retention
from quiesce.retention.archiving import Due
from quiesce.retention.plan import Plan, idle_parts


def describe(plan: Plan, rule: Retention, to_archive: Sequence[Due] = ()) -> str:
    """Return a plan as text: its recovery points, newest first, what would go, and what of the rule does nothing.

    Args:
        plan: what stays and what goes.
        rule: by which it was made.
        to_archive: what is old enough for the archive of EBS.
    """
    group, going = plan.group, plan.removals
    rows = [
        (
            f"{decision.point.at.astimezone(rule.zone):%Y-%m-%d %H:%M}",
            decision.point.run_id,
            decision.point.status or "unreadable",
            "application" if decision.point.application else "-",
            ("keep" if decision.keep else "remove") + (", archived" if decision.point.archived else ""),
            ", ".join(decision.because),
        )
        for decision in plan.decisions
    ]
    heads = (f"time ({rule.timezone})", "recovery point", "status", "consistency", "", "because")
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in [heads, *rows]]
    words = [
        f"policy {group.policy}, server {group.instance_id}: {len(plan.decisions)} recovery points, "
        f"{len(going)} would go (plan {plan.plan_id})",
        *table,
    ]
    if idle := idle_parts(plan.decisions, rule):
        words.append(f"Nothing stays by {' or '.join(idle)} alone: other parts of the rule keep the same ones.")
    words += [
        f"{each.point.run_id} goes into the archive, if that costs less than what it holds alone: it stays until "
        f"{each.stays_until:%Y-%m-%d} at least."
        for each in to_archive
    ]
    if plan.problem:
        words.append(f"Not without a person's word: {plan.problem}.")
    return "\n".join(words) + "\n"
