"""The schedules that EventBridge Scheduler has to hold for a policy, each with every field, as CreateSchedule takes it.

UpdateSchedule sets each field that is left out back to its default (API reference), so none is.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

from quiesce.policy.local_times import instant_of
from quiesce.policy.policy import Policy
from quiesce.policy.schedule import Schedule
from quiesce.policy.zones import remark_on, zone_of

Definition = Mapping[str, Any]
"""The parameters of CreateSchedule and UpdateSchedule, but for name and group."""

SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
RETRIES = 30
# The daily pass looks so far ahead for runs that a change of clocks skips: two passes see each, should one be missed.
AHEAD = timedelta(days=2)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
AT = "%Y-%m-%dT%H:%M:%S"


@dataclass(frozen=True)
class Target:
    """What schedules start: the machine's ARN, the role to start it in, and the queue for starts that failed."""

    machine: str
    role: str
    queue: str


@dataclass(frozen=True)
class Wanted:
    """The schedules of a policy by their names, and what a person should know about those that are left out."""

    schedules: dict[str, Definition]
    notes: list[str]


def first_starts(policy: Policy, now: datetime) -> dict[str, datetime]:
    """Return when each ``every`` without a ``from`` first runs if it is new, by the key of its schedule."""
    minute = now.replace(second=0, microsecond=0) + MINUTE
    return {
        schedule.key(policy.zone_name(schedule)): minute + schedule.interval
        for schedule in policy.schedules
        if schedule.every and not schedule.begins
    }


def wanted(
    policy: Policy, starts: Mapping[str, datetime], target: Target, now: datetime, *, paused: bool = False
) -> Wanted:
    """Return the schedules of a policy as they have to be now.

    Args:
        policy: as its file says.
        starts: the first run of each ``every`` without a ``from``, by the key of its schedule.
        target: what they start.
        now: in UTC.
        paused: whether all are off.
    """
    found: dict[str, Definition] = {}
    notes = []
    for number, schedule in enumerate(policy.schedules):
        name, zone = policy.schedule_name(schedule), zone_of(policy.zone_name(schedule))
        notes += [f"schedules[{number}]: {remark}" for remark in [remark_on(zone.key)] if remark]
        start = starts.get(schedule.key(policy.zone_name(schedule)), now)
        start = instant_of(schedule.begins, zone) if schedule.begins else start
        following = next(schedule.runs(zone, start, now), None)
        if following is None:
            notes.append(f"schedules[{number}] ({schedule.words(zone.key)}) never runs again, and is left out")
            continue
        common = _Common(policy, name, target, on=schedule.enabled and not paused)
        found[name] = common.definition(
            expression=_expression(schedule),
            zone=zone.key,
            words=schedule.words(zone.key),
            # A rate without a start calls its target as soon as it is made (User Guide, "Schedule types").
            begins=following.at if schedule.every else (start if schedule.begins and start > now else None),
            ends=instant_of(schedule.until, zone, ends=True) if schedule.until else None,
        )
        for at in _skipped(schedule, policy, start, now):
            words = f"{schedule.words(zone.key)}, whose time the clock skips on {at.astimezone(zone):%Y-%m-%d}"
            found[f"{name}.{at.astimezone(zone):%Y%m%d}"] = common.definition(
                expression=f"at({at.astimezone(UTC).strftime(AT)})", zone="UTC", words=words, once=True
            )
    return Wanted(found, notes)


def _skipped(schedule: Schedule, policy: Policy, start: datetime, now: datetime) -> Iterator[datetime]:
    """Yield the runs of the next days that Scheduler skips, since the clock has no such time."""
    runs = schedule.runs(zone_of(policy.zone_name(schedule)), start, now) if schedule.cron else iter(())
    return (run.at for run in takewhile(lambda run: run.at <= now + AHEAD, runs) if run.moved)


def _expression(schedule: Schedule) -> str:
    if schedule.cron:
        return f"cron({schedule.cron})"
    minutes = schedule.interval // MINUTE
    for unit, size in (("day", 1440), ("hour", 60), ("minute", 1)):
        if minutes % size == 0:
            count = minutes // size
            return f"rate({count} {unit}{'' if count == 1 else 's'})"
    raise AssertionError("an interval is whole minutes")


@dataclass(frozen=True)
class _Common:
    """What the schedules of one entry of a policy have in common."""

    policy: Policy
    name: str
    target: Target
    on: bool

    def definition(
        self,
        *,
        expression: str,
        zone: str,
        words: str,
        begins: datetime | None = None,
        ends: datetime | None = None,
        once: bool = False,
    ) -> Definition:
        given = {"policy": self.policy.name, "scheduled_time": SCHEDULED_TIME, "schedule": self.name}
        return {
            "ScheduleExpression": expression,
            "ScheduleExpressionTimezone": zone,
            "State": "ENABLED" if self.on else "DISABLED",
            "Description": f"policy {self.policy.name}: {words}",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "ActionAfterCompletion": "DELETE" if once else "NONE",
            **({"StartDate": begins} if begins else {}),
            **({"EndDate": ends} if ends else {}),
            "Target": {
                "Arn": self.target.machine,
                "RoleArn": self.target.role,
                "Input": json.dumps(given),
                "DeadLetterConfig": {"Arn": self.target.queue},
                # A start that comes later is left out anyhow.
                "RetryPolicy": {
                    "MaximumEventAgeInSeconds": int(self.policy.latest.total_seconds()),
                    "MaximumRetryAttempts": RETRIES,
                },
            },
        }
