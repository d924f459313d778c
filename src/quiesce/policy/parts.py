"""The parts of a policy: volumes, scripts and the initial AMI, each with its bounds."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Strict,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from quiesce.executions import STARTER_PATTERN
from quiesce.validation import Form

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}"
INSTANCE_ID_PATTERN = r"i-(?:[0-9a-f]{17}|[0-9a-f]{8})"
SELECTOR = re.compile(
    r"root|vol-(?:[0-9a-f]{17}|[0-9a-f]{8})|tag:[^=]{1,128}=.{0,256}|/dev/[a-z0-9/]{1,60}|xvd[a-z]{1,2}"
)


def tidy_id(value: Any) -> Any:
    """Return what a person typed for a server without blanks around it, and an instance id in lower case."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    return text.lower() if re.fullmatch(INSTANCE_ID_PATTERN, text.lower()) else text


# Of a policy: its name, its file, its key in the bucket, or its s3:// URL.
POLICY_PLACE = re.compile(r"(?:(?:s3://[^/]+/)?policies/)?(?P<name>[^/]+?)(?:\.ya?ml)?")


def tidy_policy(value: Any) -> Any:
    """Return the name of a policy that a person typed with blanks around it, or as its file, its key or its URL."""
    found = POLICY_PLACE.fullmatch(value.strip()) if isinstance(value, str) else None
    return found["name"] if found else value


def server_or_name(value: str) -> str:
    """Return an instance id, or what may be a Name tag: anything that does not look like an id."""
    if re.fullmatch(r"(?i)i-[0-9a-f]*", value) and not re.fullmatch(INSTANCE_ID_PATTERN, value):
        raise ValueError("must be the id of a server, such as i-0123456789abcdef0, or its Name tag")
    return value


# Lambda ends a function after 900 s; what a function waits for must fit, with time left to answer.
FUNCTION_LIMIT_S = 840
# How long a command may take to reach the server and its session to start.
DELIVERY_S = 120
STARTER = Form(STARTER_PATTERN, "the ARN of a user, a role or its session: the command line sets it")
NAME = Form(NAME_PATTERN, "1 to 40 letters, digits, '-' and '_', of which the first is a letter or a digit")
INSTANCE_ID = Form(INSTANCE_ID_PATTERN, "the id of an EC2 instance, such as i-0123456789abcdef0")
StarterArn = Annotated[str, Strict(), AfterValidator(STARTER)]
Name = Annotated[str, Strict(), AfterValidator(NAME)]
InstanceId = Annotated[str, Strict(), BeforeValidator(tidy_id), AfterValidator(INSTANCE_ID)]
# EC2 takes tags of up to 256 characters.
ServerName = Annotated[
    str,
    Strict(),
    StringConstraints(min_length=1, max_length=256, strip_whitespace=True),
    BeforeValidator(tidy_id),
    AfterValidator(server_or_name),
]
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128, strict=True)]
TagValue = Annotated[str, StringConstraints(max_length=256, strict=True)]
ScriptLimit = Annotated[int, Field(ge=1, le=600, strict=True)]


class PolicyModel(BaseModel):
    """The base of all parts of a policy: frozen, and an unknown field is an error."""

    # By alias: the state document then has settings in the form that a person writes, and is read like a policy.
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


class VolumeChoice(PolicyModel):
    """Which of a server's EBS volumes to back up: ``all``, or those of ``include``, or all but those of ``exclude``.

    A selector is ``root``, a volume id, a device as EC2 names it (``xvdf``, ``/dev/sda1``) or ``tag:Key=Value``.
    """

    include: Annotated[list[str], Field(min_length=1, max_length=128)] | None = None
    exclude: Annotated[list[str], Field(min_length=1, max_length=128)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _all_or_object(cls, value: Any) -> Any:
        if value == "all":
            return {}
        if not isinstance(value, dict):
            raise ValueError("must be 'all', or have one of 'include' and 'exclude'")
        return value

    @field_validator("include", "exclude")
    @classmethod
    def _selectors_are_known(cls, selectors: list[str] | None) -> list[str] | None:
        for selector in selectors or []:
            if not SELECTOR.fullmatch(selector):
                raise ValueError(
                    f"{selector!r} is not 'root', a volume id, a device (xvdf, /dev/sda1) or 'tag:Key=Value'"
                )
        return selectors

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.include is not None and self.exclude is not None:
            raise ValueError("has both 'include' and 'exclude'; use one of them")
        return self


# NetBIOS names, of a computer or a domain; then the name of an account, where a gMSA's ends with a dollar sign.
ACCOUNT = re.compile(
    r"(?P<domain>\.|[A-Za-z0-9][A-Za-z0-9-]{0,14})\\"
    r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,18}[A-Za-z0-9_-])?(?P<gmsa>\$?)"
)
BUILT_IN = re.compile(
    r"(?i)(?:nt authority|builtin|nt service)\\.*|(?:\.\\)?(?:(?:local ?)?system|(?:local|network) ?service)"
)


def account_problem(name: str) -> str:
    """Return why no script can run under an account of this name; empty if one may, as far as its name tells."""
    if BUILT_IN.fullmatch(name):
        return "leave it out: SYSTEM is the default, and Windows' other accounts of services are for services"
    found = ACCOUNT.fullmatch(name)
    if found is None:
        return (
            r"must be '.\name' or 'SERVER\name' for an account of the server, or 'DOMAIN\name$' for a gMSA, with the "
            "short (NetBIOS) name of server or domain, of letters, digits, '.', '_' and '-'"
        )
    if found["gmsa"] and found["domain"] == ".":
        return r"names a gMSA without its domain: write 'DOMAIN\name$'"
    return ""


class Scripts(PolicyModel):
    r"""The customer's before, after and complete scripts: where they come from, and how long each may run, in seconds.

    ``bucket`` is ``scripts/<owner>/<instance id>/`` and then ``scripts/<owner>/`` in the stack's bucket (PowerShell);
    ``server`` is the scripts folder on the server itself (any executable).

    ``run_as``: the account that they run under instead of SYSTEM, ``.\name`` or ``SERVER\name`` for one of the server
    (which then has no network), ``DOMAIN\name$`` for a gMSA. No password is asked for or kept.
    """

    source: Literal["bucket", "server"] = Field("bucket", alias="from")
    before_limit_s: ScriptLimit = 60
    after_limit_s: ScriptLimit = 60
    complete_limit_s: ScriptLimit = 300
    collect_output: Annotated[bool, Field(strict=True)] = True
    run_as: Annotated[str, Field(strict=True, max_length=37)] | None = None

    @field_validator("run_as")
    @classmethod
    def _is_an_account_without_password(cls, value: str | None) -> str | None:
        if value is not None and (problem := account_problem(value)):
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _fit_a_function(self) -> Self:
        total = self.before_limit_s + self.after_limit_s + self.complete_limit_s + DELIVERY_S
        if total > FUNCTION_LIMIT_S:
            raise ValueError(
                f"before_limit_s {self.before_limit_s} + after_limit_s {self.after_limit_s} + complete_limit_s "
                f"{self.complete_limit_s} + {DELIVERY_S} for delivery = {total} s, more than the {FUNCTION_LIMIT_S} s "
                "that a function may wait"
            )
        return self


# With tags Pydantic tries, and reports, only the form that the value has.
ScriptsOrOff = Annotated[
    Annotated[Scripts, Tag("scripts-on")] | Annotated[Literal["off"], Tag("scripts-off")],
    Discriminator(lambda value: "scripts-off" if value == "off" else "scripts-on"),
]


class ImageRenewal(PolicyModel):
    """A new initial AMI as soon as the latest one is ``every_days`` old."""

    every_days: Annotated[int, Field(ge=1, le=365, strict=True)]


InitialImage = Annotated[
    Annotated[ImageRenewal, Tag("image-renewed")] | Annotated[Literal["once", "off"], Tag("image-word")],
    Discriminator(lambda value: "image-word" if isinstance(value, str) else "image-renewed"),
]
