"""The state document of the recover machine, which the states pass on."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from quiesce.executions import Crossing, Execution, Failure
from quiesce.recovery.leftovers import Leftovers
from quiesce.recovery.plan import RecoveryPlan, with_children
from quiesce.recovery.progress import PastState, seconds_of
from quiesce.revert.built import Reverted
from quiesce.revert.look import Looked

Step = Literal[
    "plan",
    "restore",
    "weigh",
    "launch",
    "make_volumes",
    "stop",
    "swap",
    "start",
    "await_online",
    "end_session",
    "finish",
    "account",
]


class Planned(Crossing):
    """The plan, with its steps in words; ``problems`` are what EC2 would refuse now: only a dry run may have any.

    ``consistency`` is what the recovery gives, in the words of account and mail; ``passed_over`` names the recovery
    points that were nearer to what was asked for, and why they were not taken; ``notes`` is what to know beforehand.
    ``volumes`` says of each as of which instant it will be. The machine restores what is archived if ``to_restore``,
    looks what can be built if ``to_look``, and builds it if ``to_build``. ``how_long`` says how long it takes, by
    ``past``; ``planned_at`` and ``weighed_at`` are when Plan and Weigh ended, in UTC. ``goes_on`` if another execution,
    or an earlier try of Plan, made the plan.
    """

    plan: RecoveryPlan
    consistency: str = ""
    passed_over: list[str] = []
    volumes: list[str] = []
    to_restore: bool = False
    to_look: bool = False
    to_build: bool = False
    notes: list[str] = []
    possible: bool
    steps: list[str]
    problems: list[str]
    how_long: str = ""
    past: dict[str, PastState] = {}
    planned_at: datetime | None = None
    weighed_at: datetime | None = None
    goes_on: bool = False


class Restored(Crossing):
    """The snapshots that can be used, and when the state ended that answers this, in UTC."""

    snapshots: list[str]
    ended_at: datetime


class Launched(Crossing):
    """The server that the recovery made, and when the state ended that answers this, in UTC."""

    instance_id: str
    ended_at: datetime | None = None


class SessionEnded(Crossing):
    """What the server has left of the backup's session, and when the state ended that answers this, in UTC."""

    leftovers: Leftovers
    ended_at: datetime


def is_healthy(checks: Mapping[str, str]) -> bool:
    """Say whether a server passes both of EC2's status checks, given by name."""
    return set(checks.values()) == {"ok"}


class RecoveryState(BaseModel):
    """The step to take, and the state document: the input, and what earlier steps left."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    step: Step
    execution: Execution
    input: Any
    plan: Planned | None = None
    restore: Restored | None = None
    look: Looked | None = None
    revert: Reverted | None = None
    launch: Launched | None = None
    make_volumes: Launched | None = None
    stop: Launched | None = None
    swap: Launched | None = None
    start: Launched | None = None
    await_online: Launched | None = None
    end_session: SessionEnded | None = None
    end_session_failure: Failure | None = None
    failure: Failure | None = None

    @property
    def needed_planned(self) -> Planned:
        """What Plan or Weigh answered; a state that comes after Plan has it."""
        if self.plan is None:
            raise ValueError("the state document has no plan: start the recover machine, not a state of it")
        return self.plan

    def needed_plan(self) -> RecoveryPlan:
        """Return the plan, with what was built; a state that comes after Plan has one."""
        return with_children(self.needed_planned.plan, self.revert.built.children if self.revert else [])

    def needed_server(self) -> str:
        """Return the server's id; a state that comes after Launch has one."""
        if self.launch is None:
            raise ValueError("the state document has no server: start the recover machine, not a state of it")
        return self.launch.instance_id

    def took(self, finished_at: datetime | None = None) -> dict[str, float]:
        """Return how many seconds each state of this execution took that has ended, Finish only if its end is given."""
        moves = {
            "Launch": self.launch,
            "MakeVolumes": self.make_volumes,
            "Stop": self.stop,
            "Swap": self.swap,
            "Start": self.start,
            "AwaitOnline": self.await_online,
        }
        ends: dict[str, datetime | None] = {
            "Plan": self.plan.planned_at if self.plan else None,
            "Restore": self.restore.ended_at if self.restore else None,
            "Look": self.plan.weighed_at if self.plan else None,
            "Revert": self.revert.built.finished_at if self.revert else None,
            **{name: move.ended_at if move else None for name, move in moves.items()},
            "EndSession": self.end_session.ended_at if self.end_session else None,
            "Finish": finished_at,
        }
        return seconds_of(self.execution.started_at, ends.items())
