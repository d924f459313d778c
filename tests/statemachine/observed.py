"""What really happened on the simulated server and in the simulated EBS, whatever the functions know of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.aws.snapshots import RULES
from sandbox.servers import Server
from sandbox.windows.customer_scripts import CustomerScripts
from sandbox.windows.session import Session
from tests.support.cloud import Cloud


@dataclass(frozen=True)
class Started:
    """A script that really started: whose, with which argument, when by the server's clock, and how it was to end."""

    run_id: str
    attempt: int
    stage: str
    argument: str
    at_s: float
    exit_code: int
    seconds: float


@dataclass(frozen=True)
class Taken:
    """The instant of one CreateSnapshots: what held the application then, and which shadow copies existed."""

    at_s: float
    snapshot_ids: frozenset[str]
    held: bool
    shadow_ids: frozenset[str]


@dataclass
class Observed:
    """The log of a server and its snapshots."""

    cloud: Cloud
    shop: Server
    scripts: list[Started] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)
    _at_work: tuple[Session, float] | None = None

    def plug_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Listen to every script's start, and to every CreateSnapshots."""
        start, run = Session._start, CustomerScripts.run

        def watched_start(session: Session, stage: str, argument: str, now_s: float) -> bool:
            self._at_work = session, now_s
            return start(session, stage, argument, now_s)

        def watched_run(scripts: CustomerScripts, path: str, stage: str, argument: str) -> Any:
            outcome = run(scripts, path, stage, argument)
            if outcome is not None and self._at_work:
                session, now_s = self._at_work
                code = -1 if outcome.exit_code is None else outcome.exit_code
                whose = str(session.state["run"]), session.attempt
                self.scripts.append(Started(*whose, stage, argument, now_s, code, outcome.duration_s))
            return outcome

        monkeypatch.setattr(Session, "_start", watched_start)
        monkeypatch.setattr(CustomerScripts, "run", watched_run)
        RULES.captured.append(self._take)

    def _take(self, instance_id: str, snapshots: Any) -> None:
        if instance_id == self.shop.instance_id:
            busy, vss = self.shop.application, self.shop.windows.guest.vss
            existing = frozenset(copy.shadow_id.lower() for copy in vss.shadow_copies)
            # Without power there is no application that could be held.
            held = busy is not None and busy.held and self.shop.windows.on
            self.taken.append(Taken(RULES.now_s(), frozenset(s.id for s in snapshots), held, existing))

    def scripts_of(self, run_id: str, stage: str = "") -> list[Started]:
        """Return the scripts that a run started on the server, in order."""
        return [s for s in self.scripts if s.run_id == run_id and stage in ("", s.stage)]

    def snapshots_of(self, run_id: str) -> list[Any]:
        """Return what EC2 has of a run, by its tag."""
        tagged = {s["id"] for s in self.cloud.snapshots() if s["tags"].get("quiesce:run") == run_id}
        return [s for s in self.cloud.stored_snapshots() if s.id in tagged]

    def taken_by(self, run_id: str) -> Taken | None:
        """Return the instant of a run's CreateSnapshots, None if there was none."""
        ids = {s.id for s in self.snapshots_of(run_id)}
        return next((taken for taken in self.taken if taken.snapshot_ids & ids), None)

    def is_whole(self, run_id: str) -> bool:
        """Return whether EC2 has a completed snapshot of each of the server's volumes."""
        completed = {s.volume_id for s in self.snapshots_of(run_id) if s.status == "completed"}
        return completed == set(self.shop.volumes.values())

    def holds(self) -> Iterator[tuple[Started, Started | None]]:
        """Yield each script that held the application, and the first that let it go after it."""
        for place, script in enumerate(self.scripts):
            if script.stage == "before" and script.exit_code == 0:
                later = self.scripts[place + 1 :]
                yield script, next((s for s in later if s.stage == "after" and s.exit_code == 0), None)
