"""A recovery's input, as a person writes it: which recovery point, what to do with it, and what to change."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_validator,
)

from quiesce.errors import RecoveryRefused
from quiesce.executions import Crossing
from quiesce.policy.parts import ServerName, StarterArn
from quiesce.recovery.typed import WORDS, tidied, typed
from quiesce.tags import PREFIX
from quiesce.validation import Advice, Form, validated

EXAMPLE = '{"instance_id": "i-0123456789abcdef0", "at": "latest whole"}'
# What tags, keys of the table and names of security groups all accept.
ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}"
# EC2 takes 50 tags a resource, a recovery's own among them.
MAX_TAGS = 40

ID = Form(ID_PATTERN, "1 to 80 letters, digits, '-' and '_', of which the first is a letter or a digit")
ZONE = Form(r"(?=.{1,40}$)[a-z]+(-[a-z0-9]+){2,}", "an availability zone, such as eu-central-1a")
INSTANCE_TYPE = Form(r"[a-z0-9-]{2,20}\.[a-z0-9-]{2,20}", "an instance type, such as m7i.large")
PROFILE = Form(r"(arn:[^:]+:iam::[0-9]{12}:instance-profile/.+)?", "the ARN of an instance profile, or '' for none")
PRIVATE_IP = Form(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", "a private IPv4 address, such as 10.0.1.17")

Word = Literal["latest", "latest whole", "latest application"]
Id = Annotated[str, Strict(), AfterValidator(ID)]
POINT = Form(ID_PATTERN, "the id of a recovery point, the beginning of one, or the key or s3:// URL of its record")
PointId = Annotated[str, Strict(), AfterValidator(POINT)]


def resource_id(prefix: str) -> Any:
    """Return the type of an EC2 id, such as ``subnet-0123456789abcdef0``."""
    form = Form(rf"{prefix}-(?:[0-9a-f]{{17}}|[0-9a-f]{{8}})", f"an id of EC2, such as {prefix}-0123456789abcdef0")
    return Annotated[str, Strict(), AfterValidator(form)]


def _moment(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """Read a time, or one of the words that select one; a number is none, although it could be seconds since 1970."""
    words = "must be 'latest', 'latest whole', 'latest application', or a time with its zone"
    problem = f"{words}, such as 2026-03-14T01:30:00Z"
    if value is not None and not isinstance(value, str | datetime):
        raise ValueError(problem)
    try:
        return value if value in WORDS else read(value)
    except ValidationError as error:
        raise ValueError(problem) from error


class VolumeOverride(Crossing):
    """What to change in one volume; IOPS and MiB/s within EBS's own bounds for the type."""

    volume_type: Literal["gp2", "gp3", "io1", "io2", "st1", "sc1", "standard"] | None = None
    iops: Annotated[int, Field(ge=100, le=256_000, strict=True)] | None = None
    throughput_mibps: Annotated[int, Field(ge=125, le=2000, strict=True)] | None = None


class Overrides(Crossing):
    """What to change from the server that was backed up; ``zone`` alone selects the VPC's subnet there.

    An empty ``key_name`` or ``instance_profile_arn`` gives the server none.
    """

    zone: Annotated[str, AfterValidator(ZONE)] | None = None
    subnet_id: resource_id("subnet") | None = None  # type: ignore[valid-type]
    security_group_ids: Annotated[list[resource_id("sg")], Field(min_length=1, max_length=16)] | None = None  # type: ignore[valid-type]
    instance_type: Annotated[str, AfterValidator(INSTANCE_TYPE)] | None = None
    key_name: Annotated[str, StringConstraints(max_length=255)] | None = None
    instance_profile_arn: Annotated[str, AfterValidator(PROFILE)] | None = None
    private_ip: Annotated[str, AfterValidator(PRIVATE_IP)] | None = None
    tags: Annotated[dict[str, str], Field(max_length=MAX_TAGS)] = {}
    volumes: dict[str, VolumeOverride] = {}
    initialization_rate_mibps: Annotated[int, Field(ge=100, le=300, strict=True)] | None = None
    kms_key_id: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = None

    @field_validator("tags")
    @classmethod
    def _tags_are_not_reserved(cls, tags: dict[str, str]) -> dict[str, str]:
        if reserved := [key for key in tags if key.startswith((PREFIX, "aws:"))]:
            raise ValueError(f"the tag {reserved[0]} is reserved")
        return tags


class RecoveryRequest(Crossing):
    """The execution's input; ``recovery_id`` is the execution's name if it is left out.

    ``recovery_point`` is a run's id or its beginning; it needs ``instance_id`` only where two servers share it.
    ``instance_id`` is a server's id, or the Name tag of one.
    ``started_by`` is set by the command line, for the account.
    ``revert`` says whether volumes are built as of their shadow copies; None follows the policy of the backup.
    ``thaw_after_recovery`` lets the after script run on the new server, where the snapshots had found it owed.
    """

    recovery_point: PointId | None = None
    instance_id: ServerName | None = None
    at: Annotated[Word | AwareDatetime | None, WrapValidator(_moment)] = None
    recovery_id: Id | None = None
    mode: Literal["instance", "dry-run"] = "instance"
    on_failure: Literal["keep", "clean-up"] = "keep"
    agent: Literal["ssm", "none"] = "ssm"
    revert: Literal["yes", "where-possible", "off"] | None = None
    image_id: resource_id("ami") | None = None  # type: ignore[valid-type]
    overrides: Overrides = Overrides()
    beside_the_old_one: Annotated[bool, Strict()] = False
    thaw_after_recovery: Annotated[bool, Strict()] = False
    started_by: StarterArn | None = None

    @model_validator(mode="after")
    def _selects_one_point(self) -> Self:
        if (self.recovery_point is None) == (self.at is None):
            raise ValueError("give either recovery_point, or instance_id and at")
        if self.at is not None and self.instance_id is None:
            raise ValueError("at needs instance_id: the server that was backed up")
        return self

    @property
    def moment(self) -> datetime | None:
        """The time in ``at``, None if it is a word."""
        return None if self.at is None or isinstance(self.at, str) else self.at


REMEDY = f"write it as docs/use/recover.md shows, for example {EXAMPLE}"
ADVICE = Advice(name="input", home=RecoveryRequest, missing=REMEDY, otherwise=REMEDY)


def read_recovery_request(raw: Any, schedule_zone: str) -> RecoveryRequest:
    """Read an execution's input.

    Args:
        raw: as the person wrote it.
        schedule_zone: IANA zone of the stack's schedule, for what a time without a zone may mean.

    Raises:
        RecoveryRefused: with the field, what is wrong with it and what to write instead.
    """
    return validated(RecoveryRequest, typed(raw, schedule_zone), "", ADVICE, RecoveryRefused)


def id_of(raw: Any, execution_name: str) -> str:
    """Return a recovery's id: from its input, even if that is refused, else the execution's name."""
    given = tidied("recovery_id", raw.get("recovery_id")) if isinstance(raw, dict) else None
    return given if isinstance(given, str) and re.fullmatch(ID_PATTERN, given) else execution_name


def is_dry_run(raw: Any) -> bool:
    """Say whether an input, even if it is refused, asks for a dry run."""
    return isinstance(raw, dict) and tidied("mode", raw.get("mode")) == "dry-run"
