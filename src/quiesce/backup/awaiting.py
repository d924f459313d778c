"""AwaitSnapshots' decision: what is known of the snapshots, whether the wait is over, and when to look again."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from quiesce.backup.state import Awaited, RunState
from quiesce.errors import SnapshotLimitReached, SnapshotLimitWhileFrozen, SnapshotRefused, SnapshotTooSoon
from quiesce.points.parts import Snapshot

# If the answer of CreateSnapshots was lost, its set is found by tag, perhaps late: EC2's lists lag behind.
ADOPTION_S, ADOPTION_WAIT_S = 30, 5
# EC2 may take this long to list a snapshot that it has just created.
VANISHED_AFTER_S = 300
# Below the machine's own limit, so that Report judges the run before Step Functions ends it.
SNAPSHOT_LIMIT_S = 24 * 3600
# So much later than planned the next look may come, and does not renew the lease for that.
LEASE_SLACK_S = 60
SHORTEST_WAIT_S, LONGEST_WAIT_S = 10, 900
# The snapshots are expected to take as long as the last run's and a tenth more, at least 5 s. The first wait has a
# limit of its own: a server's first snapshots copy all blocks, those after them only what has changed.
SLACK_S, SLACK_ONE_IN, FIRST_WAIT_S = 5, 10, 300
# After these errors of Snapshot no snapshot can exist: only the first try to send the request can end in them.
# After any other, AwaitSnapshots looks for the run's tag: an earlier try may have sent the request and died.
NOTHING_CREATED = frozenset(
    error.__name__ for error in (SnapshotRefused, SnapshotTooSoon, SnapshotLimitReached, SnapshotLimitWhileFrozen)
)
GOOD_SO_FAR = frozenset({"pending", "completed"})


def known_snapshots(state: RunState) -> list[Snapshot]:
    """Return the run's known snapshots, as last seen; empty if the answer of CreateSnapshots was lost."""
    if state.await_snapshots and state.await_snapshots.snapshots:
        return state.await_snapshots.snapshots
    if state.snapshot:
        return state.snapshot.snapshots
    return state.snapshot_by_aws.snapshots if state.snapshot_by_aws else []


def one_set(found: Sequence[Snapshot]) -> list[Snapshot]:
    """Return one set of the snapshots that a run's tags find: if there are several of a volume, the first whole set.

    The SSM agent runs a command again after it was restarted, and then AWS's document makes another set. EC2 gives all
    snapshots of a set one time.
    """
    if len({snapshot.volume_id for snapshot in found}) == len(found):
        return list(found)
    sets = Counter(snapshot.started_at for snapshot in found)
    first = min(at for at, size in sets.items() if size == max(sets.values()))
    return [snapshot for snapshot in found if snapshot.started_at == first]


def may_exist(state: RunState) -> bool:
    """Say whether snapshots of this run exist or may exist."""
    if state.freeze_failure is not None or (state.plan and state.plan.skipped):
        return False
    freeze = state.freeze
    if freeze is not None and not freeze.go_on and not (state.retry_failure and freeze.crash_allowed):
        return False
    failure = state.snapshot_failure
    return failure is None or failure.Error not in NOTHING_CREATED


def answer(state: RunState, found: Sequence[Snapshot], now: datetime) -> Awaited:
    """Return AwaitSnapshots' answer after one look.

    Args:
        state: with the plan, and the answer of the last look if there was one.
        found: what EC2 listed: by id where the snapshots are known, else by the run's tag.
        now: in UTC.

    Returns:
        Done when all snapshots are completed, one is bad, none can exist, or ``SNAPSHOT_LIMIT_S`` has passed.
    """
    before = state.await_snapshots
    looking_since = before.looking_since if before else now
    known = known_snapshots(state)
    adopted = before.adopted if before else False
    if not known and may_exist(state):
        if not covers_plan(state, found) and now - looking_since < timedelta(seconds=ADOPTION_S):
            return _awaited(before, looking_since, wait_s=ADOPTION_WAIT_S)
        known, adopted = one_set(found), bool(found)
    snapshots = _refreshed(known, found, now)
    elapsed_s = max((now - s.started_at).total_seconds() for s in snapshots) if snapshots else 0.0
    timed_out = elapsed_s >= SNAPSHOT_LIMIT_S
    states = _planned_states(state, snapshots)
    bad = any(seen not in GOOD_SO_FAR for seen in states)
    pending = "pending" in states
    wait_s = growing_wait_s(elapsed_s) if pending and not bad and not timed_out else 0
    answered = _awaited(before, looking_since, wait_s=wait_s)
    return answered.model_copy(update={"snapshots": snapshots, "adopted": adopted, "timed_out": timed_out and pending})


def is_open(state: RunState) -> bool:
    """Say whether the run ends without AwaitSnapshots' last word on snapshots that exist or may exist."""
    said = state.await_snapshots is not None and state.await_snapshots.done
    return state.plan is not None and not said and (bool(known_snapshots(state)) or may_exist(state))


def seen_late(state: RunState, found: Sequence[Snapshot], now: datetime) -> Awaited:
    """Return AwaitSnapshots' last word, from a look at the run's end.

    Args:
        state: for which ``is_open`` is true.
        found: as for ``answer``.
        now: in UTC.

    Returns:
        Done unless a snapshot is still pending, and so it is not known whether it will complete.
    """
    known = known_snapshots(state)
    snapshots = _refreshed(known or one_set(found), found, now)
    late = _awaited(state.await_snapshots, now, wait_s=int("pending" in _planned_states(state, snapshots)))
    return late.model_copy(update={"snapshots": snapshots, "adopted": not known and bool(found), "late": True})


def growing_wait_s(elapsed_s: float) -> int:
    """Return how long to wait before the next look: a third of what has passed, 10 s to 15 min."""
    return int(min(max(elapsed_s / 3, SHORTEST_WAIT_S), LONGEST_WAIT_S))


def expected_wait_s(elapsed_s: float, expected_s: int) -> int:
    """Return how long to wait before the next look, if the last run's snapshots took ``expected_s``.

    Until these should be complete: 10 s at least, 5 min at most at first, later at most as long as has passed, and
    never more than 15 min. If they are late, as ``growing_wait_s``.
    """
    left_s = expected_s + max(SLACK_S, expected_s / SLACK_ONE_IN) - elapsed_s
    if left_s <= 0:
        return growing_wait_s(elapsed_s)
    return int(max(min(left_s, max(FIRST_WAIT_S, elapsed_s), LONGEST_WAIT_S), SHORTEST_WAIT_S))


def expecting(answered: Awaited, expected_s: int | None, now: datetime) -> Awaited:
    """Return the answer of a look with the wait until the snapshots are expected to be complete.

    Args:
        answered: as ``answer`` returned it.
        expected_s: how long the snapshots of the policy's last run on this server took; None if that is not known.
        now: in UTC.

    Returns:
        The same wait if it is over, if nothing is expected, or if it is one for snapshots to adopt.
    """
    if answered.done or expected_s is None:
        return answered
    wait_s = answered.wait_s
    if answered.snapshots:
        elapsed_s = max((now - snapshot.started_at).total_seconds() for snapshot in answered.snapshots)
        wait_s = expected_wait_s(elapsed_s, expected_s)
    return answered.model_copy(update={"expected_s": expected_s, "wait_s": wait_s})


def renewed_lease(answered: Awaited, now: datetime, hold_s: int) -> datetime | None:
    """Return until when to hold the server from now on; None if the lease is lost, or is held for long enough.

    Args:
        answered: of this look.
        now: in UTC.
        hold_s: how long the steps after the next look take at most, in seconds, and ``LEASE_SLACK_S``.
    """
    until = now + timedelta(seconds=answered.wait_s + hold_s)
    slack = timedelta(seconds=LEASE_SLACK_S)
    held = answered.held_until is not None and answered.held_until >= until - slack
    return until if answered.lease_held and not held else None


def covers_plan(state: RunState, found: Sequence[Snapshot]) -> bool:
    """Say whether there is a snapshot of each volume of the plan."""
    planned = {volume.volume_id for volume in state.plan.volumes} if state.plan else set()
    return planned <= {snapshot.volume_id for snapshot in found}


def _planned_states(state: RunState, snapshots: Sequence[Snapshot]) -> list[str]:
    """Return the states of the plan's snapshots: one of a volume that was attached later decides nothing."""
    planned = {volume.volume_id for volume in state.plan.volumes} if state.plan else set()
    return [snapshot.state for snapshot in snapshots if snapshot.volume_id in planned or not planned]


def _refreshed(known: Sequence[Snapshot], found: Sequence[Snapshot], now: datetime) -> list[Snapshot]:
    seen = {snapshot.snapshot_id: snapshot for snapshot in found}
    return [seen.get(s.snapshot_id) or _not_seen(s, now) for s in known]


def _not_seen(snapshot: Snapshot, now: datetime) -> Snapshot:
    if now - snapshot.started_at < timedelta(seconds=VANISHED_AFTER_S):
        return snapshot
    return snapshot.model_copy(update={"state": "vanished"})


def others_of(state: RunState, answered: Awaited, found: Sequence[Snapshot]) -> list[str]:
    """Return the ids of snapshots with the run's tags that are not the recovery point's; empty while it has none."""
    known = {snapshot.snapshot_id for snapshot in answered.snapshots}
    before = state.await_snapshots.others if state.await_snapshots else []
    seen = [snapshot.snapshot_id for snapshot in found if known and snapshot.snapshot_id not in known]
    return sorted({*before, *seen} - known)


def _awaited(before: Awaited | None, looking_since: datetime, *, wait_s: int) -> Awaited:
    return Awaited(
        done=wait_s == 0,
        wait_s=wait_s,
        snapshots=[],
        adopted=False,
        looking_since=looking_since,
        lease_held=before.lease_held if before else True,
        held_until=before.held_until if before else None,
        expected_s=before.expected_s if before else None,
        rounds=(before.rounds if before else 0) + 1,
        calls=before.calls if before else {},
    )
