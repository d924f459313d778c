"""What has to change in EventBridge Scheduler, so that it holds what the policies' files say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from quiesce.schedules.wanted import AT, Definition

# A one-time schedule in the past may be starting its target still; Scheduler deletes it.
ENDING = timedelta(days=1)
MINUTES = {"minute": 1, "hour": 60, "day": 1440}
# What Scheduler has for a field that was left out (API reference, CreateSchedule).
DEFAULTS = {"ScheduleExpressionTimezone": "UTC", "State": "ENABLED", "ActionAfterCompletion": "NONE", "Description": ""}


@dataclass(frozen=True)
class Changes:
    """The changes, by name.

    New ones come before old ones go, so that a policy that is changed is never without a schedule.
    ``words`` says of each what and why, but for the one-time schedules that a change of clocks needs.
    """

    create: dict[str, Definition] = field(default_factory=dict)
    update: dict[str, Definition] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)


def changes(wanted: Mapping[str, Definition], present: Mapping[str, Definition], now: datetime) -> Changes:
    """Compare every field of the schedules that have to be there with those that are."""
    found = Changes()
    for name, definition in wanted.items():
        if name not in present:
            found.create[name] = definition
            if not definition["ScheduleExpression"].startswith("at("):
                found.words.append(f"{name} made ({definition['Description']})")
        elif differing := _differing(definition, present[name], now):
            found.update[name] = definition
            found.words.append(f"{name} set back in {', '.join(differing)} ({definition['Description']})")
    for name, definition in present.items():
        if name not in wanted and not _may_be_starting(definition, now):
            found.delete.append(name)
            found.words.append(f"{name} deleted ({definition.get('Description') or 'it has no description'})")
    return found


def _differing(wanted: Definition, present: Definition, now: datetime) -> list[str]:
    """Return the fields that are not as they have to be."""
    there = {**DEFAULTS, **{name: value for name, value in present.items() if value is not None}}
    begins = there.pop("StartDate", None)
    fields = sorted((wanted.keys() | there.keys()) - {"StartDate"})
    differing = [name for name in fields if wanted.get(name) != there.get(name)]
    if not _same_start(wanted, begins, now):
        differing.append("StartDate")
    return differing


def _same_start(wanted: Definition, begins: datetime | None, now: datetime) -> bool:
    """Say whether a schedule runs at the same times as if its start were the wanted one."""
    start: datetime | None = wanted.get("StartDate")
    rate = re.fullmatch(r"rate\(([0-9]+) (minute|hour|day)s?\)", wanted["ScheduleExpression"])
    if rate and start and begins:
        interval = timedelta(minutes=int(rate[1]) * MINUTES[rate[2]])
        return begins <= start and (start - begins) % interval == timedelta()
    return start == begins or (start is None and begins is not None and begins <= now)


def _may_be_starting(definition: Definition, now: datetime) -> bool:
    once = re.fullmatch(r"at\((.*)\)", definition["ScheduleExpression"])
    if not once or definition.get("ScheduleExpressionTimezone", "UTC") != "UTC":
        return False
    try:
        at = datetime.strptime(once[1], AT).replace(tzinfo=UTC)
    except ValueError:
        return False
    return at <= now < at + ENDING
