"""Whether a start that a schedule made may go on, judged by the time for which it was scheduled."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quiesce.policy.policy import Policy
from quiesce.policy.schedule import Schedule
from quiesce.policy.zones import zone_of

SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Start:
    """What is to be said of a scheduled start.

    ``skipped``: why nothing is backed up, empty if it goes on. ``told``: whether people get a mail of that.
    """

    skipped: str = ""
    told: bool = False
    notes: list[str] = field(default_factory=list)


def judge_start(policy: Policy, schedule_name: str | None, scheduled_time: str, now: datetime) -> Start:
    """Judge a scheduled start.

    Args:
        policy: the one in force.
        schedule_name: as EventBridge Scheduler has it, None if the input names none.
        scheduled_time: in UTC, as Scheduler writes it: ``2026-03-14T01:30:00Z``.
        now: in UTC.
    """
    at = datetime.fromisoformat(scheduled_time).astimezone(UTC)
    schedule = policy.schedule_named(schedule_name) if schedule_name else None
    zone = zone_of(policy.zone_name(schedule) if schedule else policy.timezone)
    local = at.astimezone(zone)
    words = f"scheduled for {local:%Y-%m-%d %H:%M} in {zone.key}"
    if now - at > policy.latest:
        late = str(now - at).partition(".")[0]
        return Start(f"{words} and started {late} later, and latest_start is {policy.latest_start}", told=True)
    for text, blackout in zip(policy.blackouts, policy.closed, strict=True):
        if blackout.covers(local):
            return Start(f"{words}, which 'except' leaves out: {text}")
    return Start(notes=_notes(schedule_name, schedule, policy, at))


def _notes(name: str | None, schedule: Schedule | None, policy: Policy, at: datetime) -> list[str]:
    if name and schedule is None:
        return [f"the policy no longer has the schedule {name} that started it"]
    if schedule is None or schedule.every:
        return []
    zone = zone_of(policy.zone_name(schedule))
    following = next(schedule.runs(zone, at, at - SECOND), None)
    if following and following.at == at:
        return []
    words = schedule.words(zone.key)
    return [f"by quiesce's zone data {words} is not due at {at:%Y-%m-%d %H:%M} UTC, for which Scheduler started it"]
