"""A schedule of a policy: when EventBridge Scheduler starts it."""

import hashlib
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, Strict, field_validator, model_validator

from quiesce.policy.cron import BOUNDS, Cron, read_cron
from quiesce.policy.local_times import instant_of, local_time_text, read_span
from quiesce.policy.next_runs import Run, cron_runs, rate_runs
from quiesce.policy.parts import PolicyModel
from quiesce.policy.zones import zone_of

MIN_EVERY, MAX_EVERY = timedelta(minutes=5), timedelta(days=366)
FIRST_DAY = date(BOUNDS["year"][0], 1, 1)
DIGITS = 8
LocalTime = Annotated[str, BeforeValidator(local_time_text)]


class Schedule(PolicyModel):
    """When a policy runs: by a ``cron`` expression on the clock of ``timezone``, or ``every`` so often.

    ``from``, ``until``: the first and the last time, on the clock of ``timezone``; a date alone is its first or last
    minute. ``enabled``: false keeps it without a run. ``timezone`` is the policy's unless it has its own.
    """

    cron: Annotated[str, Strict()] | None = None
    every: str | None = None
    timezone: Annotated[str, Strict()] | None = None
    begins: LocalTime | None = Field(None, alias="from")
    until: LocalTime | None = None
    enabled: Annotated[bool, Field(strict=True)] = True

    @model_validator(mode="before")
    @classmethod
    def _was_not_cut(cls, value: Any) -> Any:
        """Refuse what YAML made of a cron expression without quotes."""
        if isinstance(value, str):
            raise ValueError("has to begin with 'cron:' or 'every:', such as {cron: \"0 2 * * ? *\"}")
        cut = [key for key in value if not re.fullmatch(r"\w+", str(key))] if isinstance(value, dict) else []
        if cut:
            raise ValueError(
                f"in {{ }} a comma begins a new field, here {str(cut[0])!r}; put the cron in double quotes"
            )
        return value

    @field_validator("cron")
    @classmethod
    def _cron_is_due_some_day(cls, text: str | None) -> str | None:
        if text is None:
            return None
        if text.startswith(("cron(", "rate(", "at(")):
            raise ValueError("write the fields alone, such as \"0 2 * * ? *\"; 'every' takes the place of rate(...)")
        if next(read_cron(text).days(FIRST_DAY), None) is None:
            raise ValueError("never runs: there is no such day until 2199")
        return " ".join(text.split())

    @field_validator("every", mode="before")
    @classmethod
    def _every_has_bounds(cls, value: Any) -> Any:
        if value is None:
            return None
        if not MIN_EVERY <= read_span(value) <= MAX_EVERY:
            raise ValueError("must be from 5m to 366d")
        return value

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, name: str | None) -> str | None:
        return None if name is None else zone_of(name).key

    @model_validator(mode="after")
    def _has_one_rule(self) -> Self:
        if (self.cron is None) == (self.every is None):
            raise ValueError("needs either 'cron' or 'every'")
        if self.begins and self.until:
            # In any zone: the same clock shows both.
            zone = zone_of("UTC")
            if instant_of(self.until, zone, ends=True) < instant_of(self.begins, zone):
                raise ValueError(f"'until' {self.until} is before 'from' {self.begins}")
        return self

    @property
    def interval(self) -> timedelta:
        """The span of ``every``; only where there is one."""
        return read_span(self.every)

    @property
    def expression(self) -> Cron:
        """The cron expression; only where there is one."""
        return read_cron(self.cron or "")

    def words(self, timezone: str) -> str:
        """Return the rule as a person wrote it, with its zone."""
        return f"cron {self.cron} in {timezone}" if self.cron else f"every {self.every}"

    def key(self, timezone: str) -> str:
        """Return what tells this schedule from the policy's others: its rule and, for a cron, its zone."""
        return hashlib.sha256(self.words(timezone).encode()).hexdigest()[:DIGITS]

    def runs(self, zone: ZoneInfo, start: datetime, after: datetime) -> Iterator[Run]:
        """Yield the runs after an instant, ascending, whether it is enabled or not.

        Args:
            zone: the schedule's.
            start: the first run of ``every``, in UTC.
            after: in UTC.
        """
        begins = instant_of(self.begins, zone) if self.begins else None
        found = cron_runs(self.expression, zone, after) if self.cron else rate_runs(self.interval, start, after)
        last = instant_of(self.until, zone, ends=True) if self.until else None
        until = takewhile(lambda run: last is None or run.at <= last, found)
        return (run for run in until if begins is None or run.at >= begins)
