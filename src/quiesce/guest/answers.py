"""The server's answer: the one line of JSON that every verb ends with, and the session in it."""

from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from quiesce.errors import AnswerUnreadable, GuestRefused
from quiesce.guest.scripts import Stage

Phase = Literal["created", "before", "frozen", "after", "thawed", "complete", "ended"]
# The name of the error with which a server says that it can't report its inventory.
INVENTORY_UNREADABLE = "InventoryUnreadable"
# How many characters of each stream an error quotes if there is no answer in it.
MAX_QUOTED = 300

Part = TypeVar("Part")


class GuestModel(BaseModel):
    """The base of all parts of an answer: camelCase in JSON, and an unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class ScriptResult(GuestModel):
    """How one of the customer's scripts ended; times in ms since 1970 by the server's clock, no reason on success."""

    succeeded: bool
    reason: str
    exit_code: int | None
    argument: str
    process_id: int
    started_ms: int
    ended_ms: int


class GuestShadowCopy(GuestModel):
    """One shadow copy of the session's set, as Win32_ShadowCopy reports it; None for what it does not report."""

    id: str
    set_id: str
    volume_guid: str
    device_object: str | None
    provider_id: str | None
    persistent: bool | None
    client_accessible: bool | None
    no_auto_release: bool | None
    no_writers: bool | None


class ShadowStorage(GuestModel):
    """Where a volume's shadow copies keep overwritten blocks; sizes in bytes, None if the server reports none."""

    volume_guid: str
    storage_guid: str
    used_bytes: int | None
    allocated_bytes: int | None
    max_bytes: int | None


class Shadow(GuestModel):
    """What became of a session's shadow copies; ``reason`` is empty while nothing failed.

    ``created_ms`` is 0 unless DiskShadow reached the hold; ``copies_at_thaw`` are the ids that still existed after the
    after script, None if the server did not look; ``deleted`` is whether none is left, None if it did not try.
    """

    reason: str
    process_id: int
    exit_code: int | None
    started_ms: int
    created_ms: int
    ended_ms: int
    set_id: str | None
    copies: list[GuestShadowCopy]
    storage: list[ShadowStorage] | None
    copies_at_thaw: list[str] | None
    storage_at_thaw: list[ShadowStorage] | None
    deleted: bool | None


class Session(GuestModel):
    """One attempt's session, as its state file on the server has it."""

    run: str
    attempt: int
    instance: str
    phase: Phase
    auto_thawed: bool
    runner_lost: bool
    created_ms: int
    frozen_ms: int
    ended_ms: int
    before: ScriptResult | None
    after: ScriptResult | None
    complete: ScriptResult | None
    shadow: Shadow | None


class OverdueSession(GuestModel):
    """A session that was open an hour past its limit; ``created_ms`` since 1970, by the server's clock."""

    run: str
    attempt: int
    phase: Phase
    created_ms: int

    def __str__(self) -> str:
        """Name it."""
        return f"run {self.run}, attempt {self.attempt}"


class StagedFile(GuestModel):
    """A file of the run's folder, and the hash that it must have when it is used."""

    name: str
    sha256: str


class Staged(GuestModel):
    """The manifest of what stage put onto the server: a later stage of the same run answers with the first one's.

    ``unsure`` says what the server cannot tell of a script before it runs; ``ignored`` names a file that Windows cannot
    start, where there is no script; ``overdue`` are the sessions that stage has ended.
    """

    run: str
    instance: str
    policy: str
    source: Literal["off", "bucket", "server"]
    scripts: dict[Stage, str]
    files: list[StagedFile]
    shadow_script: str
    limit_seconds: dict[str, int]
    unsure: dict[Stage, str] = {}
    ignored: dict[Stage, str] = {}
    overdue: list[OverdueSession] = []

    def missing(self) -> list[Stage]:
        """Return the scripts that the server does not have."""
        return [stage for stage, path in self.scripts.items() if not path]


class Answer(GuestModel):
    """The line: ``error`` is empty if ``ok``, else ``<name>: <words>`` or the name alone; each verb fills its own part.

    A server whose PowerShell is in constrained language mode can write no more than ``error``.
    """

    quiesce: Literal[1]
    verb: str = ""
    run: str = ""
    attempt: str = ""
    ok: bool
    error: str = ""
    staged: Staged | None = None
    inventory: dict[str, object] | None = None
    collected: dict[str, object] | None = None
    disk_shadow_log: str | None = None
    disk_shadow_log_cut: bool = False
    session: Session | None = None

    @property
    def error_name(self) -> str:
        """The error's name, by which the callers decide; empty if ``ok``."""
        return self.error.partition(":")[0]


@dataclass(frozen=True)
class Question:
    """The verb, run, attempt and server that an answer must name to be taken for one."""

    verb: str
    run: str
    attempt: str
    instance: str


def has_line(stdout: str) -> bool:
    """Say whether the guest has written a result line, right or wrong."""
    return bool(_lines(stdout))


def read_answer(stdout: str, stderr: str, question: Question) -> Answer:
    """Read a command's output: exactly one line of ours must be in it, and it must answer this question.

    Raises:
        AnswerUnreadable: there is none, more than one, it is not what the guest writes, or it answers something else.
    """
    lines = _lines(stdout)
    if len(lines) != 1:
        quoted = f"{stdout[:MAX_QUOTED]!r}, and on stderr {stderr[:MAX_QUOTED]!r}"
        raise AnswerUnreadable(f"the server's answer has {len(lines)} result lines instead of one: {quoted}")
    try:
        answer = Answer.model_validate_json(lines[0], strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        raise AnswerUnreadable(f"the server's answer is not what quiesce.ps1 writes: {error}") from error
    if other := _other_than(question, answer):
        asked = f"{question.verb} of run {question.run}, attempt {question.attempt}, on {question.instance}"
        raise AnswerUnreadable(f"asked for {asked}, the server answers {other}")
    return answer


def _lines(stdout: str) -> list[str]:
    return [line for line in stdout.splitlines() if line.startswith('{"quiesce":')]


def session_of(answer: Answer) -> Session:
    """Return the session of a successful answer.

    Raises:
        GuestRefused: the server refused the verb; the message is the server's.
        AnswerUnreadable: a successful answer without a session.
    """
    return _needed(answer, answer.session, "session")


def staged_of(answer: Answer) -> Staged:
    """Return the manifest of a successful answer; raises as ``session_of`` does."""
    return _needed(answer, answer.staged, "manifest")


def _needed(answer: Answer, part: Part | None, name: str) -> Part:
    if not answer.ok:
        raise GuestRefused(answer.error)
    if part is None:
        raise AnswerUnreadable(f"the server's successful answer has no {name}")
    return part


def _other_than(question: Question, answer: Answer) -> str:
    """Return what an answer is about if it does not answer the question, else an empty text."""
    asked = (question.run, question.attempt, question.instance)
    named = (answer.verb, answer.run, answer.attempt)
    anonymous = not answer.ok and named == ("", "", "")
    if named != (question.verb, question.run, question.attempt) and not anonymous:
        return f"{answer.verb!r} of run {answer.run!r}, attempt {answer.attempt!r}"
    session, staged = answer.session, answer.staged
    if session and (session.run, str(session.attempt), session.instance) != asked:
        return f"with the session of run {session.run!r}, attempt {session.attempt}, on {session.instance!r}"
    if staged and (staged.run, staged.instance) != (question.run, question.instance):
        return f"with what was staged for run {staged.run!r} on {staged.instance!r}"
    return ""
