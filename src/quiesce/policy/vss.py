"""What a policy says of VSS: who asks it, of which volumes and writers, and how often it is tried."""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Strict,
    Tag,
    field_validator,
    model_validator,
)

from quiesce.policy.parts import PolicyModel, ScriptLimit
from quiesce.validation import Form
from quiesce.vss.known_writers import ids_of, like
from quiesce.vss.script import GUID_PATTERN, MAX_NAMED_WRITERS, MAX_VOLUMES

# A drive letter or the folder in which a volume is mounted, without its last backslash.
DRIVE = Form(
    r"[A-Z]:(?:\\[^\\/:*?\"<>|]+)*", "a drive letter with its colon, as in 'D:', or the folder of a mount point"
)


def writer_id(value: str) -> str:
    """Return the id of a writer, which a person may also have named, in lower case."""
    if re.fullmatch(GUID_PATTERN, value):
        return value.lower()
    near = f"; the name that is most like it is {like(value)!r}" if like(value) else ""
    words = "must be the id of a writer, such as {a65faa63-5ea8-4ebc-9dbd-a0c4db26912a}, or a name that"
    raise ValueError(f"{words} docs/reference/writers.md has{near}")


def with_ids(value: Any) -> Any:
    """Return a list of writers with ids in place of known names; of some names there are two."""
    if not isinstance(value, list):
        return value
    return [each for given in value for each in ((ids_of(given) if isinstance(given, str) else ()) or (given,))]


WriterId = Annotated[str, Strict(), AfterValidator(writer_id)]
WriterIds = Annotated[list[WriterId], Field(max_length=MAX_NAMED_WRITERS), BeforeValidator(with_ids)]
# With tags Pydantic tries, and reports, only the form that the value has.
WriterIdsOrAll = Annotated[
    Annotated[WriterIds, Tag("writers-listed")] | Annotated[Literal["all"], Tag("writers-all")],
    Discriminator(lambda value: "writers-all" if value == "all" else "writers-listed"),
]


def tidy_drive(value: Any) -> Any:
    """Return a volume as a person typed it with its letter in upper case, and without blanks or a last backslash."""
    if isinstance(value, dict) and len(value) == 1 and [*value.values()] == [None]:
        raise ValueError(f'YAML reads the colon as its own: write "{next(iter(value))}:", in double quotes')
    if not isinstance(value, str):
        return value
    text = value.strip()
    text = text.rstrip("\\") if re.match("[A-Za-z]:", text) else text
    return text[:1].upper() + text[1:]


DriveName = Annotated[str, Strict(), BeforeValidator(tidy_drive), AfterValidator(DRIVE)]
# With tags Pydantic tries, and reports, only the form that the value has.
Drives = Annotated[
    Annotated[list[DriveName], Field(min_length=1, max_length=MAX_VOLUMES), Tag("drives-listed")]
    | Annotated[Literal["all"], Tag("drives-all")],
    Discriminator(lambda value: "drives-all" if value == "all" else "drives-listed"),
]


class Vss(PolicyModel):
    """Shadow copies by VSS: the server's applications write their data to disk, then VSS freezes the volumes.

    ``engine``: ``diskshadow`` makes shadow copies that stay in the snapshots; ``aws-vss`` is ``AwsVss``.
    ``volumes``: of which of the server's volumes there are shadow copies: ``all``, or a list of drive letters and of
    folders of mount points. The others are in the backup all the same, as after a power failure.
    ``backup_type``: after a ``full`` backup applications may truncate their logs and count from it; a ``copy`` leaves
    their own history of backups alone.
    ``create_limit_s``: how long making the shadow copies may take, with all writers.
    ``retries``, ``retry_wait_s``: Microsoft's advice is to wait ten minutes and try again, up to three times
    (IVssBackupComponents::DoSnapshotSet).
    ``retry_on``: ``vss-timeout`` tries again after an error of VSS that waiting helps with; ``any-failure`` also after
    the before script failed or EC2 refused the snapshots.
    ``exclude_writers``: writers that take no part, by id or known name, so their applications are not frozen; with
    ``all`` none takes part, and the recovery point is never application-consistent. ``require_writers``: writers that
    must have taken part, or the shadow copies count as failed.
    """

    engine: Literal["diskshadow", "aws-vss"] = "diskshadow"
    volumes: Drives = "all"
    backup_type: Literal["full", "copy"] = "full"
    create_limit_s: ScriptLimit = 120
    retries: Annotated[int, Field(ge=0, le=5, strict=True)] = 3
    retry_wait_s: Annotated[int, Field(ge=1, le=1800, strict=True)] = 600
    retry_on: Literal["vss-timeout", "any-failure"] = "vss-timeout"
    exclude_writers: WriterIdsOrAll = []
    require_writers: WriterIds = []

    @field_validator("volumes", mode="before")
    @classmethod
    def _one_text_or_a_list(cls, value: Any) -> Any:
        if isinstance(value, str) and value.strip().lower() == "all":
            return "all"
        if not isinstance(value, str | list):
            raise ValueError('must be \'all\', or a list of volumes, as in ["D:", "E:"]')
        return [part for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("volumes")
    @classmethod
    def _volumes_differ(cls, volumes: Literal["all"] | list[str]) -> Literal["all"] | list[str]:
        names = [] if volumes == "all" else [volume.casefold() for volume in volumes]
        if repeated := next((volume for volume in volumes if names.count(volume.casefold()) > 1), ""):
            raise ValueError(f"{repeated} is named more than once")
        return volumes


# AWS's document has to make a freeze, the snapshots and their tags in it.
SHORTEST_DOCUMENT_S = 30
# What quiesce can ask of DiskShadow, and AWS's document takes no parameter for.
NOT_BY_AWS = {
    "volumes": "AWS's document takes all volumes, and the root alone can be left out: volumes: {exclude: [root]}",
    "exclude_writers": "AWS's document names no writers",
    "require_writers": "AWS's document does not say which writers took part",
    "retries": "AWS's document is sent once: it can't be told whether a second one is the first one's",
    "retry_wait_s": "AWS's document is sent once",
    "retry_on": "AWS's document is sent once",
}


class AwsVss(PolicyModel):
    """Snapshots by AWS's own VSS components: AWS's document freezes and thaws by itself, between before and after.

    ``backup_type``: as with DiskShadow; ``copy`` is the document's ``CopyOnly``.
    ``create_limit_s``: the document's ``executionTimeout``, 30 seconds or more.
    """

    engine: Literal["aws-vss"]
    backup_type: Literal["full", "copy"] = "full"
    create_limit_s: ScriptLimit = 120

    @field_validator("create_limit_s")
    @classmethod
    def _is_one_to_the_agent(cls, value: int) -> int:
        if value < SHORTEST_DOCUMENT_S:
            raise ValueError(f"must be {SHORTEST_DOCUMENT_S} or more with engine aws-vss")
        return value

    @model_validator(mode="before")
    @classmethod
    def _only_what_the_document_takes(cls, value: Any) -> Any:
        if isinstance(value, dict) and (field := next((name for name in NOT_BY_AWS if name in value), "")):
            raise ValueError(f"'{field}' is not for engine aws-vss: {NOT_BY_AWS[field]}")
        return value


def _engine_of(value: Any) -> str:
    if value == "off":
        return "vss-off"
    engine = value.engine if isinstance(value, Vss | AwsVss) else isinstance(value, dict) and value.get("engine")
    return "vss-by-aws" if engine == "aws-vss" else "vss-on"


VssOrOff = Annotated[
    Annotated[Vss, Tag("vss-on")] | Annotated[AwsVss, Tag("vss-by-aws")] | Annotated[Literal["off"], Tag("vss-off")],
    Discriminator(_engine_of),
]
