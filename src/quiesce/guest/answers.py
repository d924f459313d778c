"""The server's answer: the one line of JSON that every verb ends with, and the session in it."""

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Literal, TypeVar

from pydantic import Field

from quiesce.errors import AnswerUnreadable, GuestRefused
from quiesce.guest.manifest import Staged
from quiesce.guest.sessions import GuestModel, Session

# The name of the error with which a server says that it can't report its inventory.
INVENTORY_UNREADABLE = "InventoryUnreadable"
# What the agent puts at the end of an output that it has cut, at 24,000 characters (appconfig/constants.go).
CUT_MARK = "--output truncated--"
# More than any real answer unpacks to: a larger one was crafted.
MAX_DATA_BYTES = 16 * 1024 * 1024
# How many characters of each stream an error quotes if there is no answer in it.
MAX_QUOTED = 300

Part = TypeVar("Part")


class Line(GuestModel):
    """The one line of JSON that a server writes; ``data`` is JSON, gzipped, in base64: the answer's other parts.

    A server whose PowerShell is in constrained language mode can write no more than ``error``.
    """

    quiesce: Literal[1]
    verb: str = ""
    run: str = ""
    attempt: str = ""
    ok: bool
    error: str = ""
    data: str = ""


class Answer(GuestModel):
    """An answer; ``error`` is empty if ``ok``, else ``<name>: <words>`` or the name alone; each verb has its own part.

    ``was`` is what a setting was before ``set``.
    ``disk_shadow_log`` has a character for each byte of DiskShadow's log; ``cut`` says that it is only the end of it.
    """

    quiesce: Literal[1]
    verb: str = ""
    run: str = ""
    attempt: str = ""
    ok: bool
    error: str = ""
    staged: Staged | None = None
    nonce: str | None = Field(None, repr=False)
    inventory: dict[str, object] | None = None
    examined: dict[str, object] | None = None
    collected: dict[str, object] | None = None
    disk_shadow_log: str | None = None
    disk_shadow_log_cut: bool = False
    session: Session | None = None
    recovered: list[Session] | None = None
    was: str | None = None

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
    if is_cut(stdout):
        raise AnswerUnreadable(f"the agent has cut the server's answer at {len(stdout)} characters")
    try:
        answer = _unpacked(Line.model_validate_json(lines[0], strict=True, by_alias=True, by_name=False))
    except (ValueError, zlib.error) as error:
        raise AnswerUnreadable(f"the server's answer is not what the guest writes: {error}") from error
    if other := _other_than(question, answer):
        asked = f"{question.verb} of run {question.run}, attempt {question.attempt}, on {question.instance}"
        raise AnswerUnreadable(f"asked for {asked}, the server answers {other}")
    return answer


def is_cut(stdout: str) -> bool:
    """Say whether the agent has cut an output, because it was too long."""
    return stdout.endswith(CUT_MARK)


def _unpacked(line: Line) -> Answer:
    """Return the answer in a line; raise ValueError or zlib.error if its data is not what the guest packs."""
    parts: object = {}
    if line.data:
        unpacker = zlib.decompressobj(wbits=31)
        data = unpacker.decompress(base64.b64decode(line.data, validate=True), MAX_DATA_BYTES)
        if not unpacker.eof:
            raise ValueError("its data is damaged")
        parts = json.loads(data)
    if not isinstance(parts, dict):
        raise ValueError("its data has no parts")
    text = json.dumps(parts | line.model_dump(exclude={"data"}))
    return Answer.model_validate_json(text, strict=True, by_alias=True, by_name=False)


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


def recovered_of(answer: Answer) -> list[Session]:
    """Return the run's sessions as a clone has them by now, by attempt; none if the run is not on its disk.

    Raises as ``session_of`` does. They are the sessions of the server that was backed up: ``session.instance`` names
    it, and ``session.cloned`` the clone.
    """
    return _needed(answer, answer.recovered, "sessions")


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
    if others := sorted({*map(_run_of, answer.recovered or [])} - {question.run}):
        return f"with sessions of run {', '.join(others)}"
    return ""


def _run_of(session: Session) -> str:
    return session.run
