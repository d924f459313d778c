"""The doctor machine's input and state document, and what it tells at the end."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from quiesce.doctor.diagnosis import Diagnosis
from quiesce.doctor.findings import Level, Ready
from quiesce.doctor.fix import Next
from quiesce.errors import DoctorRefused
from quiesce.executions import Crossing, Execution, Failure
from quiesce.policy.parts import InstanceId, Name, TagKey, TagValue
from quiesce.policy.selection import MAX_TAGS
from quiesce.policy.target import TargetSettings
from quiesce.validation import Advice, validated

Step = Literal["list", "examine", "give_up", "tell"]
MendingStep = Literal["mend", "give_back", "hold"]
# By this Step Functions' console links an execution with the one that started it.
STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"
# The name of the execution that has fixed something, as Step Functions allows it.
FixId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,80}$")]


class DoctorRequest(Crossing):
    """Which servers to examine: one by id, those with all of ``tags``, a policy's, or without any, all policies'.

    ``fix`` also changes on them what keeps them from a backup, where their owners allow it. ``undo`` is the id of a
    fix, on whose servers everything becomes again what it was.
    """

    instance_id: InstanceId | None = None
    tags: Annotated[dict[TagKey, TagValue], Field(min_length=1, max_length=MAX_TAGS)] | None = None
    policy: Name | None = None
    fix: Annotated[bool, Field(strict=True)] = False
    undo: FixId | None = None

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        given = [name for name in ("instance_id", "tags", "policy", "undo") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"has '{given[0]}' and '{given[1]}'; start an execution for each")
        if self.fix and self.undo:
            raise ValueError("has 'fix' and 'undo'; start an execution for each")
        if self.fix and not given:
            raise ValueError("has 'fix' and names no servers; add 'instance_id', 'tags' or 'policy'")
        return self

    @property
    def words(self) -> str:
        """What was asked for, as a person reads it."""
        if self.tags:
            return f"tags {', '.join(f'{key}={value}' for key, value in sorted(self.tags.items()))}"
        if self.undo:
            return f"fix {self.undo}"
        return self.instance_id or (f"policy {self.policy}" if self.policy else "all policies")


ADVICE = Advice(name="input", home=DoctorRequest, missing="add it", otherwise="correct it; see docs/operate/ready.md")


def read_doctor_request(data: Any) -> DoctorRequest:
    """Read the machine's input.

    Raises:
        DoctorRefused: with the field, what is wrong with it and what to write instead; not retried.
    """
    typed = {name: value for name, value in data.items() if name != STARTED_BY} if isinstance(data, dict) else data
    return validated(DoctorRequest, typed, "", ADVICE, DoctorRefused)


def wanted_level(settings: TargetSettings) -> Level:
    """Return the level that a policy's settings ask of a server."""
    if not settings.freezes:
        return "crash"
    if settings.aws_vss:
        return "aws-vss"
    return "vss" if settings.disk_shadow else "scripts"


class Item(Crossing):
    """A server to examine; ``wants`` is the level that each policy asks of it."""

    server: str
    wants: dict[str, Level] = {}


class Listed(Crossing):
    """How many servers are examined, where the list of them lies, and which policies could not be read."""

    servers: int
    items: str
    unread: list[str] = []


class Summary(Crossing):
    """The newest diagnosis of a server in short; ``lacks`` names for each level the checks that keep it from it.

    ``changes`` are what a fix would change, in words, which it may if ``may_be_changed``.
    """

    instance_id: str
    name: str
    at: datetime
    execution: str
    best: str
    ready: dict[Level, Ready]
    lacks: dict[Level, list[str]]
    changes: list[str] = []
    may_be_changed: bool = False

    @classmethod
    def of(cls, diagnosis: Diagnosis) -> Self:
        """Return the summary of a diagnosis."""
        return cls(
            instance_id=diagnosis.instance_id,
            name=diagnosis.name,
            at=diagnosis.at,
            execution=diagnosis.execution,
            best=diagnosis.best,
            ready={each.level: each.ready for each in diagnosis.levels},
            lacks={each.level: [*each.lacks, *each.unknown] for each in diagnosis.levels},
            changes=[change.words for change in diagnosis.changes],
            may_be_changed=diagnosis.may_be_changed,
        )


class Latest(Crossing):
    """``doctor/latest.json``: the newest summary of each server, by id."""

    at: datetime
    servers: list[Summary]


class Told(Crossing):
    """The execution's output: how many servers are ready for each level, which are below their policy's, and where.

    ``diagnosis`` is there if one server was asked for by its id; ``problems`` names what was not examined: servers, or
    policies with theirs. ``fix`` is the id of what this execution has changed or given back, empty for nothing, and
    ``changes`` say what.
    """

    servers: int
    ready: dict[Level, int]
    below: list[str]
    problems: list[str]
    place: str
    diagnosis: Diagnosis | None = None
    fix: str = ""
    changes: list[str] = []


class Examined(Crossing):
    """What becomes of one server in the Map: nothing but its best level goes back."""

    best: str


class Document(Crossing):
    """The state document of the machine, or of one server within its Map."""

    execution: Execution
    input: Any
    list: Listed | None = None
    server: str = ""
    failure: Failure | None = None
    mend: Next | None = None

    @property
    def fix_id(self) -> str:
        """The id of what this execution changes, or gives back; empty for one that only looks."""
        return self.request.undo or (self.execution.name if self.request.fix else "")

    @property
    def request(self) -> DoctorRequest:
        """What was asked for."""
        return read_doctor_request(self.input)


class DoctorState(Document):
    """A state that looks at servers, or tells of them."""

    step: Step


class MendState(Document):
    """A state that changes something on a server."""

    step: MendingStep
