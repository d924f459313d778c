"""The settings of one target, their time limits, and their contradictions."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator

from quiesce.policy.parts import (
    DELIVERY_S,
    FUNCTION_LIMIT_S,
    ImageRenewal,
    InitialImage,
    PolicyModel,
    Scripts,
    ScriptsOrOff,
    VolumeChoice,
)
from quiesce.policy.vss import AwsVss, Vss, VssOrOff

# These must fit between the end of the before script and the thaw, each at its longest while nothing fails:
# SSM's delivery of the answer that the application is frozen (Freeze looks every 0.3 s, and a look may hang);
KNOWN_S = 5
# one try of Snapshot, by its TimeoutSeconds in the state machine;
SNAPSHOT_S = 45
# Thaw's start, and SSM's delivery of its command.
THAW_S = 10
SHORTEST_FREEZE_S = KNOWN_S + SNAPSHOT_S + THAW_S
# How long the server may need to tell the writers that the backup is complete, and to delete the shadow copies.
ENDING_S = 180
# By AWS's document, besides its own limit: the time in which it must begin on the server (SSM takes no shorter one),
DOCUMENT_DELIVERY_S = 30
# and the time in which EC2 must list its snapshots, before they count as not made.
DOCUMENT_LISTED_S = 30


class SessionLimits(NamedTuple):
    """How long each part of a session may take on the server, in seconds; a part that is off ends at once."""

    before_s: int
    create_s: int
    after_s: int
    ending_s: int
    complete_s: int


class Contradiction(NamedTuple):
    """A field that makes no sense beside another one."""

    field: str
    problem: str
    remedy: str


class TargetSettings(PolicyModel):
    """Settings that ``defaults`` and each target may have.

    ``role``: of a failover cluster's nodes, which one to back up. Plan asks the server, which is backed up all the same
    if its role is not known.

    ``consistency``: ``application-or-crash`` freezes the application, and backs up crash-consistently if that fails;
    ``application`` does not back up then; ``crash`` does not freeze.

    ``evidence``: shadow copies that Verify looked for in the snapshots and did not find never count. If Verify can't
    look, ``optional`` trusts the server, and ``required`` does not.

    ``revert``: when volumes are built as of their shadow copies: by each recovery, right after the backup, or never.
    ``buildable``: what Verify says of that. ``optional`` records it; with ``required`` a recovery point that can't be
    built, or of which it is not known, is not application-consistent.

    ``freeze_limit_s``: the server thaws itself this many seconds after the before script has ended, asked or not.
    At least 60, the sum that is ``SHORTEST_FREEZE_S``; with VSS its ``create_limit_s`` must fit in as well, and by
    AWS's document another 60. The default of 240 also allows for three of the 16 s pauses that Snapshot makes when EBS
    wants time between two snapshots.
    At most 900: an application that is frozen for longer is down.

    ``initial_image``: the AMI that a recovery launches from. ``once`` makes one for a server that has none.
    """

    role: Literal["any", "primary-only", "secondary-only"] = "any"
    volumes: VolumeChoice = VolumeChoice()
    agent: Literal["ssm", "none"] = "ssm"
    scripts: ScriptsOrOff = "off"
    consistency: Literal["application-or-crash", "application", "crash"] = "application-or-crash"
    vss: VssOrOff = Vss()
    evidence: Literal["optional", "required"] = "optional"
    revert: Literal["at-recovery", "at-backup", "off"] = "at-recovery"
    buildable: Literal["optional", "required"] = "optional"
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
        if value != "off" and not isinstance(value, dict | Vss | AwsVss):
            raise ValueError("must be 'off', or an object, as in {backup_type: full}")
        return value

    @field_validator("initial_image", mode="before")
    @classmethod
    def _word_or_renewal(cls, value: Any) -> Any:
        if value not in ("once", "off") and not isinstance(value, dict | ImageRenewal):
            raise ValueError("must be 'once' or 'off', or an object, as in {every_days: 90}")
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
        """Whether the policy has the application frozen."""
        return self.agent == "ssm" and self.consistency != "crash" and not (self.scripts == self.vss == "off")

    @property
    def disk_shadow(self) -> Vss | None:
        """What the policy says of shadow copies by DiskShadow; None if it wants none."""
        return self.vss if isinstance(self.vss, Vss) else None

    @property
    def aws_vss(self) -> AwsVss | None:
        """What the policy says of snapshots by AWS's own VSS components; None if it wants none."""
        return self.vss if isinstance(self.vss, AwsVss) else None

    @property
    def limits(self) -> SessionLimits:
        """How long each part of a session may take."""
        before_s = after_s = complete_s = 1
        if self.scripts != "off":
            scripts = self.scripts
            before_s, after_s, complete_s = scripts.before_limit_s, scripts.after_limit_s, scripts.complete_limit_s
        if self.disk_shadow is None:
            # AWS's document is a command of its own beside the session.
            return SessionLimits(before_s, 0, after_s, 0, complete_s)
        return SessionLimits(before_s, self.disk_shadow.create_limit_s, after_s, ENDING_S, complete_s)

    def contradiction(self) -> Contradiction | None:
        """Return the first contradiction, or None; for a target's settings over the defaults, not for either alone."""
        if self.scripts != "off" and self.agent == "none":
            return Contradiction("scripts", "they can't run: agent is 'none'", "set agent to ssm, or scripts to off")
        if self.scripts != "off" and self.consistency == "crash":
            remedy = "set consistency to application-or-crash, or scripts to off"
            return Contradiction("scripts", "they can't run: consistency is 'crash'", remedy)
        if self.consistency == "application" and not self.freezes:
            problem = "'application' needs VSS or scripts to freeze the application, and there is neither"
            remedy = "set agent to ssm and leave VSS on, add scripts, or set consistency to application-or-crash"
            return Contradiction("consistency", problem, remedy)
        if self.role != "any" and not self.freezes:
            remedy = "set it to any, or let VSS or scripts freeze the server, with agent ssm"
            return Contradiction("role", "only a server that is to be frozen is asked for its role", remedy)
        return (
            self._aws_contradiction()
            or self._shadow_contradiction()
            or self._writer_contradiction()
            or (self._limit_contradiction() if self.freezes else None)
        )

    def _aws_contradiction(self) -> Contradiction | None:
        """Return the contradiction of what AWS's document can't do."""
        if self.aws_vss is None:
            return None
        diskshadow = "or vss.engine to diskshadow"
        if not self.freezes:
            problem = "AWS's document would never be sent: agent is 'none', or consistency is 'crash'"
            return Contradiction("vss.engine", problem, "set agent to ssm and consistency to application-or-crash")
        if self.volumes.include is not None or self.volumes.exclude not in (None, ["root"]):
            problem = "AWS's document takes all volumes, but for the root if that is left out"
            return Contradiction("volumes", problem, f"set it to all or to {{exclude: [root]}}, {diskshadow}")
        if self.revert != "off":
            problem = "the snapshots of AWS's document hold no shadow copies to build volumes from, and need none"
            return Contradiction("revert", problem, f"set it to off, {diskshadow}")
        for field, value in (("evidence", self.evidence), ("buildable", self.buildable)):
            if value == "required":
                problem = "the snapshots of AWS's document hold no shadow copies to look for"
                return Contradiction(field, problem, f"set it to optional, {diskshadow}")
        return None

    def _shadow_contradiction(self) -> Contradiction | None:
        """Return the contradiction of what needs shadow copies where there would be none."""
        vss_on = "leave VSS on, with agent ssm and consistency application-or-crash"
        none = self.vss == "off" or not self.freezes
        if self.evidence == "required" and none:
            remedy = f"{vss_on}, or set evidence to optional"
            return Contradiction("evidence", "there would be no shadow copies to look for", remedy)
        if self.buildable == "required" and self.revert == "off":
            remedy = "set revert to at-recovery, or buildable to optional"
            return Contradiction("buildable", "revert is 'off': nobody would look whether volumes can be built", remedy)
        if self.buildable == "required" and none:
            remedy = f"{vss_on}, or set buildable to optional"
            return Contradiction("buildable", "there would be no shadow copies to build from", remedy)
        if self.revert == "at-backup" and none:
            remedy = f"{vss_on}, or set revert to at-recovery"
            return Contradiction("revert", "there would be no shadow copies to build from", remedy)
        return None

    def _writer_contradiction(self) -> Contradiction | None:
        """Return the contradiction of writers that the policy both excludes and requires."""
        if self.disk_shadow is None:
            return None
        vss = self.disk_shadow
        remedy = "name it in one of the two lists only"
        if vss.exclude_writers == "all":
            if vss.require_writers:
                return Contradiction("vss.require_writers", "exclude_writers is 'all'", "remove one of the two")
            if self.consistency == "application":
                problem = "vss.exclude_writers is 'all', so that VSS freezes no application"
                return Contradiction("consistency", problem, "set it to application-or-crash, or name some writers")
            return None
        both = sorted({*vss.exclude_writers} & {*vss.require_writers})
        if not both:
            return None
        return Contradiction("vss.require_writers", f"{', '.join(both)} is excluded, too", remedy)

    def _limit_contradiction(self) -> Contradiction | None:
        """Return the contradiction of time limits that do not fit together."""
        limits = self.limits
        document_s = self.aws_vss.create_limit_s + DOCUMENT_DELIVERY_S + DOCUMENT_LISTED_S if self.aws_vss else 0
        if document_s + SHORTEST_FREEZE_S > self.freeze_limit_s:
            problem = (
                f"{DOCUMENT_DELIVERY_S} until AWS's document has begun + {document_s - 60} for vss.create_limit_s + "
                f"{DOCUMENT_LISTED_S} until EC2 lists its snapshots + {SHORTEST_FREEZE_S} for the rest do not fit in"
            )
            remedy = "make it longer, or vss.create_limit_s shorter"
            return Contradiction("freeze_limit_s", f"{problem} {self.freeze_limit_s} s", remedy)
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
