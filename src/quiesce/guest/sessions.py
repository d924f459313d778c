"""A session as its state file on the server has it: its phase, its scripts, its shadow copies."""

import zlib
from base64 import b64decode, b64encode
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

Phase = Literal["created", "before", "frozen", "after", "thawed", "complete", "ended"]


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
    started_ticks: int
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

    ``created_ms`` is 0 unless DiskShadow reached the hold. ``copies`` and ``storage`` are what Windows says after the
    after script, None if it does not, or was not asked: nothing is asked of it while the application is held.
    ``deleted`` is whether none is left, None if the server did not try. ``started_ticks`` tells DiskShadow's process
    from a later one with its number.
    """

    reason: str
    process_id: int
    started_ticks: int
    exit_code: int | None
    started_ms: int
    created_ms: int
    ended_ms: int
    set_id: str | None
    copies: list[GuestShadowCopy] | None
    storage: list[ShadowStorage] | None
    deleted: bool | None


class Listing(GuestModel):
    """What Windows says of a session's shadow copies, as ``Shadow`` has it."""

    copies: list[GuestShadowCopy] | None
    storage: list[ShadowStorage] | None


class RunnerProcess(GuestModel):
    """The process that runs a session: its number, and when it started, in the server's ticks of 100 ns."""

    process_id: int
    started_ticks: int


class Cloned(GuestModel):
    """On which server a session was ended that a recovery point had found open, and in which phase it was by then."""

    instance: str
    phase: Phase


class Session(GuestModel):
    """One attempt's session, as its state file on the server has it.

    ``cloned`` is None but on a server that was launched from a recovery point, where the session was still open: there
    it has ended, without complete, and without after unless that was asked for.
    ``alive`` names what the server could not end, and what may therefore still run beside what came after it:
    ``runner``, a stage, ``session``, ``diskshadow``, ``the deletion``.
    ``holds``: a session script is before and after; it held the application only while it ran.
    """

    run: str
    attempt: int
    instance: str
    phase: Phase
    auto_thawed: bool
    runner_lost: bool
    runner: RunnerProcess | None = None
    alive: list[str] = []
    cloned: Cloned | None = None
    created_ms: int
    frozen_ms: int
    ended_ms: int
    before: ScriptResult | None
    after: ScriptResult | None
    complete: ScriptResult | None
    holds: bool = False
    shadow: Shadow | None


def owes_after(session: Session) -> bool:
    """Say whether before has succeeded, and after has not begun: on a clone it runs only where it is asked for.

    A session script holds nothing there: its process did not come along.
    """
    ended = session.before is not None and session.before.succeeded and session.after is None
    return ended and not session.holds


def without_listing(session: Session) -> tuple[Session, str]:
    """Take out what Windows says of the shadow copies, and pack it: with 64 volumes it has 40 KB.

    Returns:
        The session, and its listing as JSON, by zlib, in base64; empty if Windows was not asked.
    """
    shadow = session.shadow
    if shadow is None or (shadow.copies is None and shadow.storage is None):
        return session, ""
    listing = Listing(copies=shadow.copies, storage=shadow.storage).model_dump_json().encode()
    bare = shadow.model_copy(update={"copies": None, "storage": None})
    return session.model_copy(update={"shadow": bare}), b64encode(zlib.compress(listing)).decode()


def with_listing(session: Session, listing: str) -> Session:
    """Put back what ``without_listing`` has taken out; a session with a listing of its own keeps that."""
    if not listing or session.shadow is None or session.shadow.copies is not None:
        return session
    listed = Listing.model_validate_json(zlib.decompress(b64decode(listing)))
    shadow = session.shadow.model_copy(update={"copies": listed.copies, "storage": listed.storage})
    return session.model_copy(update={"shadow": shadow})
