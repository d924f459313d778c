"""What holds for one server: the settings of a target, their time limits, and what makes no sense together."""

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, field_validator

from quiesce.policy.parts import (
    DELIVERY_S,
    FUNCTION_LIMIT_S,
    InitialImage,
    PolicyModel,
    Scripts,
    ScriptsOrOff,
    VolumeChoice,
    Vss,
    VssOrOff,
)

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
        return self._writer_contradiction() or (self._limit_contradiction() if self.freezes else None)

    def _writer_contradiction(self) -> Contradiction | None:
        """Return writers that the policy wants both out and in."""
        both = [] if self.vss == "off" else sorted({*self.vss.exclude_writers} & {*self.vss.require_writers})
        if not both:
            return None
        problem = f"{', '.join(both)} is excluded, too"
        return Contradiction("vss.require_writers", problem, "name it in one of the two lists only")

    def _limit_contradiction(self) -> Contradiction | None:
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
