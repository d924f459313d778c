"""Which recovery points go into the archive of EBS, and whether that costs less than it saves. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from quiesce.points.tier import RESTORE_HOURS
from quiesce.policy.archive import PAID_DOLLARS, Archive, shortest_stays
from quiesce.policy.keep import Retention
from quiesce.policy.policy import Policy
from quiesce.prices import ARCHIVE_DAYS, ARCHIVED_GIB_DOLLARS, RESTORED_GIB_DOLLARS, STORED_GIB_DOLLARS
from quiesce.retention.decision import Decision, Point
from quiesce.retention.gather import Existing, Known

GIB = 2**30
MONTHS = 12
# What stays for these reasons alone may be slow to recover.
SLOW = ("monthly ", "yearly ")
# Where a look said that the archive costs more, the next one comes so much later: others may have gone meanwhile.
WEIGHED_FOR = timedelta(days=7)


@dataclass(frozen=True)
class Due:
    """A recovery point that is old enough for the archive, and until which local day it stays by the rule at least."""

    point: Point
    stays_until: date


@dataclass(frozen=True)
class Size:
    """How large a snapshot is in full, and how much of that no snapshot but those of its recovery point holds."""

    full_bytes: int
    own_bytes: int


@dataclass(frozen=True)
class Weighed:
    """Whether the archive costs less than the standard tier, and both in dollars."""

    is_cheaper: bool
    because: str


def due(
    decisions: Sequence[Decision], known: Mapping[str, Known], rule: Retention, archive: Archive, now: datetime
) -> list[Due]:
    """Return the recovery points that are to be archived, the oldest first.

    Only ``Successful`` ones, whose run has verified them, that stay by months or years and nothing else: neither the
    newest ones, nor what a person, a recovery, an image or another account has. Ages count from the newest generation,
    so that a server that was off has its last recovery points at hand.

    Args:
        decisions: of one plan, newest first.
        known: what the table says of them, by run id; what is archived, or was found to cost more there, is left out.
        rule: the one in force.
        archive: the policy's.
        now: in UTC.
    """
    newest = next((each.point.at.astimezone(rule.zone).date() for each in decisions if "newest" in each.because), None)
    if newest is None:
        return []
    today = max(newest, now.astimezone(rule.zone).date())
    found = []
    for decision in reversed(decisions):
        point, kept = decision.point, decision.because
        slow = decision.keep and all(reason.startswith(SLOW) for reason in kept)
        if not slow or point.status != "Successful" or point.removing or _is_settled(known[point.run_id], now):
            continue
        age = newest - point.at.astimezone(rule.zone).date()
        until = max(_stays_until(reason, newest) for reason in kept)
        if age.days >= archive.after_days and (until - today).days >= archive.keep_days:
            found.append(Due(point, until))
    return found


def weigh(sizes: Sequence[Size]) -> Weighed:
    """Compare what a recovery point costs a month in the archive with what it costs in the standard tier.

    Args:
        sizes: of all of its snapshots.
    """
    full, own = (sum(getattr(size, name) for size in sizes) / GIB for name in ("full_bytes", "own_bytes"))
    archived, stored = full * ARCHIVED_GIB_DOLLARS, own * STORED_GIB_DOLLARS
    because = (
        f"{full:,.2f} GiB in full are ${archived:,.4f} a month in the archive, and of these {own:,.2f} GiB that "
        f"nothing else holds are ${stored:,.4f} in the standard tier"
    )
    return Weighed(archived < stored, because)


def neighbours(snapshot_id: str, snapshot: Existing, others: Mapping[str, Existing]) -> tuple[str, str]:
    """Return the snapshots of a volume right before and right after one of it, with which it may share data.

    What is archived shares nothing any more, and is left out; an id is empty where there is none.
    """
    near = {
        i: each.started_at
        for i, each in others.items()
        if i != snapshot_id and each.volume_id == snapshot.volume_id and not each.archived and each.state == "completed"
    }
    before = max((i for i in near if near[i] < snapshot.started_at), key=near.__getitem__, default="")
    after = min((i for i in near if near[i] >= snapshot.started_at), key=near.__getitem__, default="")
    return before, after


def archive_remark(policy: Policy) -> str:
    """Say what a policy's ``archive`` costs, what it needs, and what it never takes; empty without one."""
    archive, rule = policy.archive, policy.retention
    if archive is None or rule is None:
        return ""
    stays = shortest_stays(rule.keep)
    short = [part for part, days in stays.items() if days < archive.after_days + archive.keep_days]
    never = f"; {short[0]} ones go too early by 'keep', and stay in the standard tier" if short else ""
    return (
        f"'archive' takes monthly and yearly recovery points {archive.after_days} days older than the newest, each of "
        f"its snapshots in full, for ${ARCHIVED_GIB_DOLLARS} a GiB and month and at least {ARCHIVE_DAYS} days "
        f"(${PAID_DOLLARS:.4f} a GiB): only where that is less than what it holds alone costs in the standard tier "
        f"(${STORED_GIB_DOLLARS:.2f}), which is more than a quarter of it. To recover one takes up to {RESTORE_HOURS} "
        f"h more, and ${RESTORED_GIB_DOLLARS} a GiB{never}"
    )


def _is_settled(known: Known, now: datetime) -> bool:
    """Say whether nothing is to be done about a recovery point now; what was begun is finished."""
    weighed = known.weighed_at is not None and now < known.weighed_at + WEIGHED_FOR
    return known.archived_at is not None or (weighed and not known.archiving)


def _stays_until(reason: str, newest: date) -> date:
    """Return the first day on which a rule may let a recovery point go, by its reason, such as ``monthly 3 of 12``.

    It goes once so many newer months have a generation; the first of them begins after that of the newest one.
    """
    name, number, _, count = reason.split()
    left = int(count) - int(number) + 1
    months = newest.year * MONTHS + newest.month - 1 + left if name == "monthly" else (newest.year + left) * MONTHS
    year, month = divmod(months, MONTHS)
    return date(year, month + 1, 1) if year <= date.max.year else date.max
