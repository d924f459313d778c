"""How many recovery points stay: the rule as a person writes it, with its bounds."""

from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, Strict, field_validator, model_validator

from quiesce.policy.parts import PolicyModel
from quiesce.policy.zones import zone_of
from quiesce.validation import Form

Count = Annotated[int, Field(ge=0, le=10_000, strict=True)]
WITHIN = Form(r"[1-9][0-9]{0,4}d", "a number of days from 1d to 99999d, such as 30d")
PERIODS = ("daily", "weekly", "monthly", "yearly")


class Keep(PolicyModel):
    """Which recovery points stay.

    The newest ``last``; the newest one of each of the newest days, weeks, months and years that have one; and all of
    the ``within`` days before the newest one.
    """

    last: Count = 0
    daily: Count = 0
    weekly: Count = 0
    monthly: Count = 0
    yearly: Count = 0
    within: Annotated[str, Strict(), AfterValidator(WITHIN)] | None = None

    @model_validator(mode="after")
    def _keeps_something(self) -> Self:
        if not any((self.last, *self.periods.values())):
            fields = ", ".join(f"'{name}'" for name in PERIODS)
            raise ValueError(f"keeps nothing by itself; give 'last' or one of {fields} a number above 0")
        return self

    @property
    def periods(self) -> dict[str, int]:
        """How many days, weeks, months and years keep a recovery point, by the field's name."""
        return {"daily": self.daily, "weekly": self.weekly, "monthly": self.monthly, "yearly": self.yearly}

    @property
    def within_days(self) -> int | None:
        """The days of ``within``."""
        return int(self.within[:-1]) if self.within else None


class KeepSettings(PolicyModel):
    """What a policy says of retention; without ``keep`` every recovery point stays.

    ``at_least``: so many of the newest whole recovery points stay whatever ``keep`` says.
    ``partial_counts``: a ``PartiallySuccessful`` recovery point is a generation, too.
    ``keep_partial_days``: what is no generation goes when one is so many days newer.
    ``timezone``: days, weeks, months and years are those of this IANA time zone.
    """

    keep: Keep | None = None
    at_least: Annotated[int, Field(ge=1, le=10_000, strict=True)] = 3
    partial_counts: Annotated[bool, Field(strict=True)] = False
    keep_partial_days: Annotated[int, Field(ge=1, le=3650, strict=True)] = 7
    timezone: Annotated[str, Strict()] = "UTC"

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, name: str) -> str:
        return zone_of(name).key

    @model_validator(mode="after")
    def _has_a_rule_to_change(self) -> Self:
        fields = KeepSettings.model_fields
        given = [
            name
            for name in ("at_least", "partial_counts", "keep_partial_days")
            if getattr(self, name) != fields[name].default
        ]
        if self.keep is None and given:
            raise ValueError(f"'{given[0]}' has no meaning without 'keep': every recovery point stays; add 'keep'")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of days, weeks, months and years."""
        return zone_of(self.timezone)

    @property
    def retention(self) -> "Retention | None":
        """The rule, None if every recovery point stays."""
        return Retention(**{name: getattr(self, name) for name in KeepSettings.model_fields}) if self.keep else None


class Retention(KeepSettings):
    """The whole rule of retention, as ``KeepSettings`` explains it."""

    keep: Keep
