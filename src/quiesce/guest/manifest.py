"""What stage puts onto a server and finds there: the manifest of a run."""

from typing import Literal

from quiesce.guest.scripts import STAGES, Script, Stage
from quiesce.guest.sessions import GuestModel, Phase


class OverdueSession(GuestModel):
    """A session that was open an hour past its limit; ``created_ms`` since 1970, by the server's clock."""

    run: str
    attempt: int
    phase: Phase
    created_ms: int

    def __str__(self) -> str:
        """Name it."""
        return f"run {self.run}, attempt {self.attempt}"


class StrangeSessions(GuestModel):
    """Sessions that the server cannot go on with, as ``run/attempt``.

    ``unreadable``: their state is lost; ``foreign``: they are of the server that this one is a copy of, which is named.
    """

    unreadable: list[str] = []
    foreign: list[str] = []


class KeptRun(GuestModel):
    """An old run that the server could not remove, and why, in Windows' words."""

    run: str
    why: str


class StagedFile(GuestModel):
    """A file of the run's folder, and the hash that it must have when it is used."""

    name: str
    sha256: str


class Staged(GuestModel):
    """The manifest of what stage put onto the server: a later stage of the same run answers with the first one's.

    ``unsure`` says what the server cannot tell of a script before it runs; ``ignored`` names a file that Windows cannot
    start, where there is no script; ``overdue`` are the sessions that stage has ended; ``strange`` are those that
    another server began, or whose state the server can't read; ``kept`` are old runs that it could not remove;
    ``account`` is the account that Task Scheduler runs the scripts under, tried once by stage; empty for SYSTEM.
    """

    run: str
    instance: str
    policy: str
    source: Literal["off", "bucket", "server"]
    scripts: dict[Script, str]
    files: list[StagedFile]
    shadow: bool
    limit_seconds: dict[str, int]
    unsure: dict[Script, str] = {}
    ignored: dict[Script, str] = {}
    overdue: list[OverdueSession] = []
    strange: StrangeSessions = StrangeSessions()
    kept: list[KeptRun] = []
    account: str = ""

    def missing(self) -> list[Stage]:
        """Return the scripts that the server does not have, and should; a session script is before and after."""
        wanted: tuple[Stage, ...] = ("complete",) if self.scripts.get("session") else STAGES
        return [stage for stage in wanted if not self.scripts.get(stage)]
