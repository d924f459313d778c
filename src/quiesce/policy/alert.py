"""When people must hear that a policy leaves no good recovery points any more."""

from datetime import timedelta
from typing import Any, Literal

from pydantic import field_validator

from quiesce.policy.local_times import read_span
from quiesce.policy.parts import PolicyModel

# The regular look comes once an hour, so a shorter time would be told late.
MIN_SPAN, MAX_SPAN = timedelta(hours=1), timedelta(days=366)
# How consistent a recovery point must be to count as a good one: so, or better.
AlertLevel = Literal["application", "crash"]


class Alert(PolicyModel):
    """A goal for the age of each server's newest good recovery point, and what counts as a good one.

    ``no_good_point_for``: people are told once a server's newest good one is older than this.
    ``level``: ``application`` counts application-consistent ones alone, ``crash`` crash-consistent ones, too.
    """

    no_good_point_for: str
    level: AlertLevel = "application"

    @field_validator("no_good_point_for", mode="before")
    @classmethod
    def _span_has_bounds(cls, value: Any) -> Any:
        if not MIN_SPAN <= read_span(value) <= MAX_SPAN:
            raise ValueError("must be from 1h to 366d")
        return value

    @property
    def within(self) -> timedelta:
        """How old a server's newest good recovery point may be."""
        return read_span(self.no_good_point_for)
