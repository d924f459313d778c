"""A recovery's input, as a person writes it: which recovery point, what to do with it, and what to change."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from quiesce.errors import RecoveryRefused
from quiesce.executions import Crossing
from quiesce.policy.parts import INSTANCE_ID_PATTERN
from quiesce.tags import PREFIX

EXAMPLE = '{"instance_id": "i-0123456789abcdef0", "at": "latest whole"}'
# What tags, keys of the table and names of security groups all accept.
ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}"
# EC2 takes 50 tags a resource, a recovery's own among them.
MAX_TAGS = 40

Id = Annotated[str, StringConstraints(pattern=f"^{ID_PATTERN}$", strict=True)]


def resource_id(prefix: str) -> Any:
    """Return the type of an EC2 id, such as ``subnet-0123456789abcdef0``."""
    return Annotated[str, StringConstraints(pattern=f"^{prefix}-(?:[0-9a-f]{{17}}|[0-9a-f]{{8}})$", strict=True)]


class VolumeOverride(Crossing):
    """What to change in one volume; IOPS and MiB/s within EBS's own bounds for the type."""

    volume_type: Literal["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"] | None = None
    iops: Annotated[int, Field(ge=100, le=256_000, strict=True)] | None = None
    throughput_mibps: Annotated[int, Field(ge=125, le=2000, strict=True)] | None = None


class Overrides(Crossing):
    """What to change from the server that was backed up; ``zone`` alone selects the VPC's subnet there."""

    zone: Annotated[str, StringConstraints(pattern=r"^[a-z]+(-[a-z0-9]+){2,}$", max_length=40)] | None = None
    subnet_id: resource_id("subnet") | None = None  # type: ignore[valid-type]
    security_group_ids: Annotated[list[resource_id("sg")], Field(min_length=1, max_length=16)] | None = None  # type: ignore[valid-type]
    instance_type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{2,20}\.[a-z0-9-]{2,20}$")] | None = None
    key_name: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    instance_profile_arn: (
        Annotated[str, StringConstraints(pattern=r"^arn:[^:]+:iam::\d{12}:instance-profile/.+$")] | None
    ) = None
    private_ip: Annotated[str, StringConstraints(pattern=r"^\d{1,3}(\.\d{1,3}){3}$")] | None = None
    tags: Annotated[dict[str, str], Field(max_length=MAX_TAGS)] = {}
    volumes: dict[str, VolumeOverride] = {}
    initialization_rate_mibps: Annotated[int, Field(ge=100, le=300, strict=True)] | None = None
    kms_key_id: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = None

    @model_validator(mode="after")
    def _tags_are_not_reserved(self) -> Self:
        if reserved := [key for key in self.tags if key.startswith((PREFIX, "aws:"))]:
            raise ValueError(f"the tag {reserved[0]} is reserved")
        return self


class RecoveryRequest(Crossing):
    """The execution's input; ``recovery_id`` is the execution's name if it is left out."""

    recovery_point: Id | None = None
    instance_id: Annotated[str, StringConstraints(pattern=f"^{INSTANCE_ID_PATTERN}$", strict=True)] | None = None
    at: Literal["latest", "latest whole"] | AwareDatetime | None = None
    recovery_id: Id | None = None
    mode: Literal["instance", "dry-run"] = "instance"
    on_failure: Literal["keep", "clean-up"] = "keep"
    agent: Literal["ssm", "none"] = "ssm"
    image_id: resource_id("ami") | None = None  # type: ignore[valid-type]
    overrides: Overrides = Overrides()

    @model_validator(mode="after")
    def _selects_one_point(self) -> Self:
        if (self.recovery_point is None) == (self.instance_id is None):
            raise ValueError("give either recovery_point, or instance_id and at")
        if (self.instance_id is None) != (self.at is None):
            raise ValueError("instance_id and at belong together")
        return self

    @property
    def moment(self) -> datetime | None:
        """The time in ``at``, None for ``latest`` and ``latest whole``."""
        return None if self.at is None or isinstance(self.at, str) else self.at


def read_recovery_request(raw: Any) -> RecoveryRequest:
    """Read an execution's input.

    Raises:
        RecoveryRefused: with the field, what is wrong with it and an example.
    """
    try:
        return RecoveryRequest.model_validate(raw)
    except ValidationError as error:
        # A misspelled field leaves another one missing, too: the misspelled name says more.
        first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        names = [str(part) for part in first["loc"] if not str(part).startswith(("literal", "function", "constrained"))]
        problem = "is not a field that quiesce knows" if first["type"] == "extra_forbidden" else first["msg"]
        problem = problem.removeprefix("Value error, ")
        remedy = f"write it as docs/use/recover.md shows, for example {EXAMPLE}"
        raise RecoveryRefused(".".join(names) or "input", problem[0].lower() + problem[1:], remedy) from error


def id_of(raw: Any, execution_name: str) -> str:
    """Return a recovery's id: from its input, even if that is refused, else the execution's name."""
    given = raw.get("recovery_id") if isinstance(raw, dict) else None
    return given if isinstance(given, str) and re.fullmatch(ID_PATTERN, given) else execution_name


def is_dry_run(raw: Any) -> bool:
    """Say whether an input, even if it is refused, asks for a dry run."""
    return isinstance(raw, dict) and raw.get("mode") == "dry-run"
