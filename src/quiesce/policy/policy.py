"""The policy: what to back up and how, as a person writes it.

A policy's ``defaults`` hold for all its targets, a target's own settings stand over them, field by field.
"""

import re
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from quiesce.tags import MAX_POLICY_TAGS, PREFIX
from quiesce.vss.script import GUID_PATTERN, MAX_EXCLUDED_WRITERS

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}"
INSTANCE_ID_PATTERN = r"i-(?:[0-9a-f]{17}|[0-9a-f]{8})"
SELECTOR = re.compile(
    r"root|vol-(?:[0-9a-f]{17}|[0-9a-f]{8})|tag:[^=]{1,128}=.{0,256}|/dev/[a-z0-9/]{1,60}|xvd[a-z]{1,2}"
)

# Lambda ends a function after 900 s; what a function waits for must fit, with time left to answer.
FUNCTION_LIMIT_S = 840
# How long a command may take to reach the server and its session to start.
DELIVERY_S = 120
# What must fit between the end of the before script and the thaw, each at its longest without anything going wrong:
# the answer's way through SSM until AWS knows that the application is held (it looks every 0.3 s, and a look may hang);
KNOWN_S = 5
# one try of Snapshot, as its TimeoutSeconds in the state machine has it;
SNAPSHOT_S = 45
# Thaw's start, and its command's way to the server.
THAW_S = 10
SHORTEST_FREEZE_S = KNOWN_S + SNAPSHOT_S + THAW_S
# How long the server may need to tell the writers that the backup is complete, and to delete the shadow copies.
ENDING_S = 180

Name = Annotated[str, StringConstraints(pattern=f"^{NAME_PATTERN}$", strict=True)]
InstanceId = Annotated[str, StringConstraints(pattern=f"^{INSTANCE_ID_PATTERN}$", strict=True)]
TagKey = Annotated[str, StringConstraints(min_length=1, max_length=128, strict=True)]
TagValue = Annotated[str, StringConstraints(max_length=256, strict=True)]
WriterId = Annotated[str, StringConstraints(pattern=f"^{GUID_PATTERN}$", to_lower=True, strict=True)]
ScriptLimit = Annotated[int, Field(ge=1, le=600, strict=True)]


class PolicyModel(BaseModel):
    """What all parts of a policy share: frozen, and a field that nobody knows is an error."""

    # By alias: settings go through the state machine as JSON, and are read there as a person writes them.
    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)


class VolumeChoice(PolicyModel):
    """Which of a server's EBS volumes to back up: ``all``, or those of ``include``, or all but those of ``exclude``.

    A selector is ``root``, a volume id, a device as EC2 names it (``xvdf``, ``/dev/sda1``) or ``tag:Key=Value``.
    """

    include: Annotated[list[str], Field(min_length=1, max_length=128)] | None = None
    exclude: Annotated[list[str], Field(min_length=1, max_length=128)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _all_is_no_choice(cls, value: Any) -> Any:
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
    def _one_of_both(self) -> Self:
        if self.include is not None and self.exclude is not None:
            raise ValueError("has both 'include' and 'exclude'; one of them says it all")
        return self


class Scripts(PolicyModel):
    """The customer's before, after and complete scripts: where they come from, and how long each may run, in seconds.

    ``bucket`` is ``scripts/<owner>/<instance id>/`` and then ``scripts/<owner>/`` in the stack's bucket (PowerShell);
    ``server`` is the scripts folder on the server itself (any executable).
    """

    source: Literal["bucket", "server"] = Field("bucket", alias="from")
    before_limit_s: ScriptLimit = 60
    after_limit_s: ScriptLimit = 60
    complete_limit_s: ScriptLimit = 300
    collect_output: Annotated[bool, Field(strict=True)] = True

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


# The tags keep Pydantic from trying both and complaining of both.
ScriptsOrOff = Annotated[
    Annotated[Scripts, Tag("scripts-on")] | Annotated[Literal["off"], Tag("scripts-off")],
    Discriminator(lambda value: "scripts-off" if value == "off" else "scripts-on"),
]


class Vss(PolicyModel):
    """Shadow copies by VSS: the server's applications write down what they have, while the volumes stand still.

    ``backup_type``: after a ``full`` backup applications may truncate their logs and count from here; a ``copy`` leaves
    their own history of backups alone.
    ``create_limit_s``: how long making the shadow copies may take, with all writers.
    ``retries``, ``retry_wait_s``: Microsoft's advice is to wait ten minutes and try again, up to three times
    (IVssBackupComponents::DoSnapshotSet).
    ``retry_on``: ``vss-timeout`` tries again where VSS itself says that waiting helps; ``any-failure`` also after a
    before script that failed and snapshots that EC2 refused.
    ``exclude_writers`` are left out, by id, and their applications are not at rest; ``require_writers`` must have taken
    part, or the shadow copies count as failed.
    """

    backup_type: Literal["full", "copy"] = "full"
    create_limit_s: ScriptLimit = 120
    retries: Annotated[int, Field(ge=0, le=5, strict=True)] = 3
    retry_wait_s: Annotated[int, Field(ge=1, le=1800, strict=True)] = 600
    retry_on: Literal["vss-timeout", "any-failure"] = "vss-timeout"
    exclude_writers: Annotated[list[WriterId], Field(max_length=MAX_EXCLUDED_WRITERS)] = []
    require_writers: Annotated[list[WriterId], Field(max_length=20)] = []


VssOrOff = Annotated[
    Annotated[Vss, Tag("vss-on")] | Annotated[Literal["off"], Tag("vss-off")],
    Discriminator(lambda value: "vss-off" if value == "off" else "vss-on"),
]


class ImageRenewal(PolicyModel):
    """A new initial AMI as soon as the latest one is so many days old."""

    every_days: Annotated[int, Field(ge=1, le=365, strict=True)]


InitialImage = Annotated[
    Annotated[ImageRenewal, Tag("image-renewed")] | Annotated[Literal["once", "off"], Tag("image-word")],
    Discriminator(lambda value: "image-word" if isinstance(value, str) else "image-renewed"),
]


class SessionLimits(NamedTuple):
    """How long each part of a session may take on the server, in seconds; a part that is off ends at once."""

    before_s: int
    create_s: int
    after_s: int
    ending_s: int
    complete_s: int


class Contradiction(NamedTuple):
    """A field that another one leaves without a meaning."""

    field: str
    problem: str
    remedy: str


class TargetSettings(PolicyModel):
    """Settings that ``defaults`` and each target may hold.

    ``consistency``: ``application-or-crash`` asks the application and takes a crash-consistent backup where that fails;
    ``application`` takes none then; ``crash`` does not ask.

    ``evidence``: shadow copies that were looked for in the snapshots, and are not there, never count. Where they could
    not be looked for, ``optional`` believes the server, and ``required`` does not.

    ``freeze_limit_s``: the server thaws by itself so long after the before script has ended, whoever asks or not.
    At least 60: what must fit in it is the sum of ``SHORTEST_FREEZE_S``, and with VSS its ``create_limit_s``, too. The
    default of 240 also bears three of the pauses of 16 s that Snapshot makes when EBS wants time between two snapshots.
    At most 900: an application that is held for longer is one that is down.

    ``initial_image``: a recovery launches from it. ``once`` makes one for a server that has none.
    """

    volumes: VolumeChoice = VolumeChoice()
    agent: Literal["ssm", "none"] = "ssm"
    scripts: ScriptsOrOff = "off"
    consistency: Literal["application-or-crash", "application", "crash"] = "application-or-crash"
    vss: VssOrOff = Vss()
    evidence: Literal["optional", "required"] = "optional"
    freeze_limit_s: Annotated[int, Field(le=900, strict=True)] = 240
    initial_image: InitialImage = "once"

    @field_validator("scripts", mode="before")
    @classmethod
    def _off_or_scripts(cls, value: Any) -> Any:
        if value != "off" and not isinstance(value, dict | Scripts):
            raise ValueError("must be 'off', or an object, as in {from: bucket}")
        return value

    @field_validator("vss", mode="before")
    @classmethod
    def _off_or_vss(cls, value: Any) -> Any:
        if value != "off" and not isinstance(value, dict | Vss):
            raise ValueError("must be 'off', or an object, as in {backup_type: full}")
        return value

    @field_validator("freeze_limit_s")
    @classmethod
    def _holds_what_must_fit(cls, value: int) -> int:
        if value < SHORTEST_FREEZE_S:
            raise ValueError(
                f"{KNOWN_S} until AWS knows of the freeze + {SNAPSHOT_S} for CreateSnapshots + {THAW_S} for the thaw's "
                f"delivery = {SHORTEST_FREEZE_S} s must fit in it"
            )
        return value

    @property
    def freezes(self) -> bool:
        """Say whether the policy wants the application to be asked."""
        return self.agent == "ssm" and self.consistency != "crash" and not (self.scripts == self.vss == "off")

    @property
    def limits(self) -> SessionLimits:
        """How long each part of a session may take."""
        before_s = after_s = complete_s = 1
        if self.scripts != "off":
            scripts = self.scripts
            before_s, after_s, complete_s = scripts.before_limit_s, scripts.after_limit_s, scripts.complete_limit_s
        if self.vss == "off":
            return SessionLimits(before_s, 0, after_s, 0, complete_s)
        return SessionLimits(before_s, self.vss.create_limit_s, after_s, ENDING_S, complete_s)

    def contradiction(self) -> Contradiction | None:
        """Return what makes no sense together, or None; of a target's settings over the defaults, not of a part."""
        if self.scripts != "off" and self.agent == "none":
            return Contradiction("scripts", "nobody runs them: agent is 'none'", "set agent to ssm, or scripts to off")
        if self.scripts != "off" and self.consistency == "crash":
            remedy = "set consistency to application-or-crash, or scripts to off"
            return Contradiction("scripts", "nobody runs them: consistency is 'crash'", remedy)
        if self.consistency == "application" and not self.freezes:
            problem = "'application' needs VSS or scripts that hold the application, and there is neither"
            remedy = "set agent to ssm and leave VSS on, add scripts, or set consistency to application-or-crash"
            return Contradiction("consistency", problem, remedy)
        if self.evidence == "required" and (self.vss == "off" or not self.freezes):
            remedy = "leave VSS on, with agent ssm and consistency application-or-crash, or set evidence to optional"
            return Contradiction("evidence", "no shadow copies are made that could be looked for", remedy)
        return self._of_writers() or (self._of_limits() if self.freezes else None)

    def _of_writers(self) -> Contradiction | None:
        """Return writers that the policy wants both out and in."""
        both = [] if self.vss == "off" else sorted({*self.vss.exclude_writers} & {*self.vss.require_writers})
        if not both:
            return None
        problem = f"{', '.join(both)} is excluded, too"
        return Contradiction("vss.require_writers", problem, "name it in one of the two lists only")

    def _of_limits(self) -> Contradiction | None:
        """Return a time limit that another one does not leave enough room for."""
        limits = self.limits
        if limits.create_s + SHORTEST_FREEZE_S > self.freeze_limit_s:
            problem = f"{limits.create_s} for vss.create_limit_s + {SHORTEST_FREEZE_S} for the snapshots do not fit in"
            remedy = "make it longer, or vss.create_limit_s shorter"
            return Contradiction("freeze_limit_s", f"{problem} {self.freeze_limit_s} s", remedy)
        if sum(limits) + DELIVERY_S > FUNCTION_LIMIT_S:
            parts = " + ".join(map(str, limits))
            problem = f"before + create + after + ending + complete + delivery = {parts} + {DELIVERY_S}"
            remedy = "make a script's limit or vss.create_limit_s shorter"
            words = f"{problem} = {sum(limits) + DELIVERY_S} s, more than the {FUNCTION_LIMIT_S} s of a function"
            return Contradiction("vss.create_limit_s", words, remedy)
        return None


class Target(TargetSettings):
    """One server."""

    instance_id: InstanceId


class Policy(PolicyModel):
    """What to back up: its ``targets``, with ``defaults`` for all of them, and ``tags`` to put on their snapshots."""

    name: Name
    owner: Name = "admin"
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=MAX_POLICY_TAGS)] = {}
    defaults: TargetSettings = TargetSettings()
    targets: Annotated[list[Target], Field(min_length=1, max_length=100)]

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
        ids = [target.instance_id for target in targets]
        if repeated := sorted({i for i in ids if ids.count(i) > 1}):
            raise ValueError(f"{', '.join(repeated)} stands there more than once")
        return targets

    def settings_for(self, instance_id: str) -> TargetSettings | None:
        """Return the settings that hold for one server, or None if it is no target of this policy."""
        for target in self.targets:
            if target.instance_id == instance_id:
                own = {name: getattr(target, name) for name in target.model_fields_set - {"instance_id"}}
                return self.defaults.model_copy(update=own)
        return None
