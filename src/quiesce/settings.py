"""The settings that the template gives the functions, read once at import: the only reader of the environment."""

import os
from dataclasses import dataclass, fields
from typing import Self


@dataclass(frozen=True)
class Settings:
    """Names of the stack's own resources, and the zone of times that are written without one, for every function."""

    stack_name: str
    table_name: str
    bucket_name: str
    topic_arn: str
    look_document: str
    act_document: str
    timezone: str

    @classmethod
    def from_env(cls) -> Self:
        """Read the settings, or fail with the name of the variable that is missing."""
        values = {field.name: os.environ.get(field.name.upper(), "") for field in fields(cls)}  # noqa: TID251
        missing = [name.upper() for name, value in values.items() if not value]
        if missing:
            raise RuntimeError(f"the function's environment lacks {', '.join(missing)}: deploy the template unchanged")
        return cls(**values)


@dataclass(frozen=True)
class ScheduleSettings(Settings):
    """What the function that makes schedules gets beside them: the group, and what the schedules start, in which role.

    ``missed_queue_arn`` gets the starts that failed.
    """

    schedule_group: str
    machine_arn: str
    schedule_role_arn: str
    missed_queue_arn: str


@dataclass(frozen=True)
class FreezeSettings(Settings):
    """What Freeze gets beside them: the functions that run while the application is held."""

    snapshot_function: str
    snapshot_by_aws_function: str
    thaw_function: str


@dataclass(frozen=True)
class DoctorSettings(Settings):
    """What the doctor gets beside them: the value of the tag on servers that may be changed, and the stack's profile.

    ``server_profile`` is the ARN of the instance profile, ``none`` if the stack has none.
    """

    may_be_changed: str
    server_profile: str

    @property
    def profile(self) -> str:
        """The ARN of the stack's instance profile, empty if it has none."""
        return "" if self.server_profile == "none" else self.server_profile


@dataclass(frozen=True)
class MendSettings(DoctorSettings):
    """What the function that mends servers gets beside them: the documents that change something there."""

    mend_document: str
    update_document: str
    components_document: str
