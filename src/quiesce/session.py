"""What the server says of a session: the one line of JSON that every verb ends with, and the truth in it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from quiesce.errors import AnswerUnreadable, GuestRefused

Phase = Literal["created", "before", "frozen", "after", "thawed", "complete", "ended"]
PHASES: tuple[Phase, ...] = ("created", "before", "frozen", "after", "thawed", "complete", "ended")


class GuestModel(BaseModel):
    """What all parts of an answer share: camelCase there, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class ScriptResult(GuestModel):
    """One script of the customer: times in milliseconds since 1970, by the server's clock; no reason on success."""

    succeeded: bool
    reason: str
    exit_code: int | None
    argument: str
    process_id: int
    started_ms: int
    ended_ms: int


class Session(GuestModel):
    """One attempt's session, as its state file on the server has it."""

    run: str
    attempt: int
    instance: str
    phase: Phase
    auto_thawed: bool
    created_ms: int
    frozen_ms: int
    ended_ms: int
    before: ScriptResult | None
    after: ScriptResult | None
    complete: ScriptResult | None

    def reached(self, phase: Phase) -> bool:
        """Say whether the session is in this phase or past it."""
        return PHASES.index(self.phase) >= PHASES.index(phase)


class Answer(GuestModel):
    """The line: ``error`` is empty if ``ok``; ``staged`` is stage's manifest, ``session`` the other verbs' state."""

    quiesce: Literal[1]
    verb: str = ""
    run: str = ""
    attempt: str = ""
    ok: bool
    error: str = ""
    staged: dict[str, object] | None = None
    session: Session | None = None


def read_answer(stdout: str) -> Answer:
    """Read a command's output: exactly one line of ours must be in it.

    Raises:
        AnswerUnreadable: there is none, more than one, or it is not what the guest writes.
    """
    lines = [line for line in stdout.splitlines() if line.startswith('{"quiesce":')]
    if len(lines) != 1:
        raise AnswerUnreadable(f"the server's answer has {len(lines)} result lines instead of one: {stdout[:300]!r}")
    try:
        return Answer.model_validate_json(lines[0])
    except ValidationError as error:
        raise AnswerUnreadable(f"the server's answer is not what quiesce.ps1 writes: {error}") from error


def session_of(answer: Answer) -> Session:
    """Return the session of a good answer.

    Raises:
        GuestRefused: the server said no; the message has its words.
        AnswerUnreadable: a good answer without a session.
    """
    if not answer.ok:
        raise GuestRefused(answer.error, answer.session)
    if answer.session is None:
        raise AnswerUnreadable("the server's good answer has no session")
    return answer.session
