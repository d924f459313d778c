"""The policy: what to back up and how, as a person writes it.

A policy's ``defaults`` apply to all its targets; a target's own settings override them, field by field.
"""

from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from quiesce.policy.alert import Alert
from quiesce.policy.archive import Archive
from quiesce.policy.blackout import Blackout, read_blackout
from quiesce.policy.keep import KeepSettings
from quiesce.policy.local_times import local_time_text, read_span
from quiesce.policy.lock import Lock
from quiesce.policy.parts import Name, TagKey, TagValue
from quiesce.policy.schedule import Schedule
from quiesce.policy.selection import Candidate, Selector, meaning
from quiesce.policy.target import TargetSettings
from quiesce.tags import MAX_POLICY_TAGS, PREFIX
from quiesce.vss.aws_document import RESERVED, tag_problem

# Scheduler gives up on a start that is older, and takes 60 s to a day (API reference, RetryPolicy).
MIN_LATEST, MAX_LATEST = timedelta(minutes=1), timedelta(days=1)
# YAML makes a date of 2026-12-24.
BlackoutText = Annotated[
    str, BeforeValidator(lambda given: given if isinstance(given, str) else local_time_text(given))
]


class Target(Selector, TargetSettings):
    """One server, or all that have certain tags, with the settings that they have."""


class Policy(KeepSettings):
    """What to back up: its ``targets``, with ``defaults`` for all of them, and ``tags`` to put on their snapshots.

    ``schedules``: when EventBridge Scheduler starts it; none means by hand alone. ``except``: times at which they start
    nothing. ``latest_start``: a start that comes later than this after its time is left out.
    With ``keep``, older recovery points go; ``timezone`` is the whole policy's. With ``lock``, EBS keeps whole ones;
    with ``archive``, monthly and yearly ones go into its archive where that costs less.
    With ``alert``, people are told of each server that has no good recovery point for too long.

    ``exclude``: servers that are left out, whatever ``targets`` says. ``missing``: what is done about targets that
    can't be backed up, such as one that is gone: ``note`` writes it into the policy run's summary, ``alert`` mails it.
    ``max_concurrency``: how many servers are backed up at the same time.
    """

    name: Name
    owner: Name = "admin"
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=MAX_POLICY_TAGS)] = {}
    defaults: TargetSettings = TargetSettings()
    targets: Annotated[list[Target], Field(min_length=1, max_length=100)]
    exclude: Annotated[list[Selector], Field(max_length=100)] = []
    missing: Literal["note", "alert"] = "note"
    max_concurrency: Annotated[int, Field(ge=1, le=1000, strict=True)] = 20
    schedules: Annotated[list[Schedule], Field(max_length=20)] = []
    blackouts: Annotated[list[BlackoutText], Field(max_length=100)] = Field([], alias="except")
    latest_start: str = "1h"
    alert: Alert | None = None
    lock: Lock | None = None
    archive: Archive | None = None

    @field_validator("tags")
    @classmethod
    def _tags_are_free(cls, tags: dict[str, str]) -> dict[str, str]:
        for key in tags:
            if key.lower().startswith(("aws:", PREFIX)):
                raise ValueError(f"the key {key!r} is reserved; keys may not begin with 'aws:' or '{PREFIX}'")
        return tags

    @field_validator("targets")
    @classmethod
    def _targets_differ(cls, targets: list[Target]) -> list[Target]:
        ids = [target.instance_id for target in targets if target.instance_id]
        if repeated := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"{', '.join(repeated)} is named more than once")
        alike = [target.words for target in targets if not target.instance_id]
        if repeated := sorted({words for words in alike if alike.count(words) > 1}):
            raise ValueError(f"two entries have {repeated[0]}; make one of them")
        return targets

    @model_validator(mode="after")
    def _excludes_no_target(self) -> Self:
        both = {entry.words for entry in self.exclude} & {target.words for target in self.targets}
        if both:
            raise ValueError(f"'exclude' has {min(both)}, and so has 'targets'; keep one of the two")
        return self

    @model_validator(mode="after")
    def _alert_can_end(self) -> Self:
        if self.alert is None or self.alert.level == "crash":
            return self
        for number in range(len(self.targets)):
            if not self.settings_of(number).freezes:
                raise ValueError(
                    f"'alert' asks for application-consistent recovery points, and targets[{number}] makes none: "
                    "nothing freezes its servers; set alert.level to crash, or let VSS or scripts freeze them"
                )
        return self

    @model_validator(mode="after")
    def _tags_fit_awss_document(self) -> Self:
        if not any(self.settings_of(number).aws_vss for number in range(len(self.targets))):
            return self
        if len(self.tags) > (most := MAX_POLICY_TAGS - len(RESERVED)):
            words = f"'tags' has {len(self.tags)}, and beside those of AWS's document there is room for {most}"
            raise ValueError(f"{words}; leave some out, or set vss.engine to diskshadow")
        if wrong := next(filter(None, (tag_problem(key, value) for key, value in self.tags.items())), ""):
            raise ValueError(f"'tags': {wrong}; change it, or set vss.engine to diskshadow")
        return self

    @model_validator(mode="after")
    def _archive_is_of_use(self) -> Self:
        if self.archive and (problem := self.archive.problem(self.keep)):
            raise ValueError(problem)
        return self

    @field_validator("blackouts")
    @classmethod
    def _blackouts_are_times(cls, texts: list[str]) -> list[str]:
        for text in texts:
            read_blackout(text)
        return texts

    @field_validator("latest_start", mode="before")
    @classmethod
    def _latest_start_has_bounds(cls, value: Any) -> Any:
        if not MIN_LATEST <= read_span(value) <= MAX_LATEST:
            raise ValueError("must be from 1m to 24h")
        return value

    @field_validator("schedules")
    @classmethod
    def _schedules_differ(cls, schedules: list[Schedule], given: ValidationInfo) -> list[Schedule]:
        seen: dict[str, int] = {}
        for number, schedule in enumerate(schedules):
            first = seen.setdefault(schedule.key(schedule.timezone or given.data.get("timezone", "")), number)
            if first != number:
                raise ValueError(f"schedules[{number}] is schedules[{first}] again; remove one of them")
        return schedules

    def zone_name(self, schedule: Schedule) -> str:
        """Return the zone of one of this policy's schedules."""
        return schedule.timezone or self.timezone

    def schedule_name(self, schedule: Schedule) -> str:
        """Return the name that one of this policy's schedules has in EventBridge Scheduler."""
        return f"{self.name}.{schedule.key(self.zone_name(schedule))}"

    def schedule_named(self, name: str) -> Schedule | None:
        """Return the schedule that has a name in EventBridge Scheduler, None if the policy has it no more."""
        return next((each for each in self.schedules if self.schedule_name(each) == name), None)

    @property
    def latest(self) -> timedelta:
        """How long after its time a scheduled run may still start."""
        return read_span(self.latest_start)

    @property
    def closed(self) -> list[Blackout]:
        """When schedules start nothing."""
        return [read_blackout(text) for text in self.blackouts]

    def settings_of(self, number: int) -> TargetSettings:
        """Return the settings that apply to the servers of one entry of ``targets``."""
        target = self.targets[number]
        own = {name: getattr(target, name) for name in target.model_fields_set - set(Selector.model_fields)}
        return self.defaults.model_copy(update=own)

    def settings_for(self, instance_id: str) -> TargetSettings | None:
        """Return the settings that apply to one server by its id, or None if no entry has it."""
        found = (number for number, target in enumerate(self.targets) if target.instance_id == instance_id)
        return next(map(self.settings_of, found), None)

    def entries_for(self, candidate: Candidate) -> list[int]:
        """Return the numbers of the entries of ``targets`` that mean a server; it belongs to the first of them."""
        return meaning(self.targets, candidate, self.name)

    def exclusion_of(self, candidate: Candidate) -> int | None:
        """Return the number of the entry of ``exclude`` that leaves a server out, or None."""
        return next(iter(meaning(self.exclude, candidate, self.name)), None)
