"""The state document of the recover machine, which the states pass on."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from quiesce.executions import Crossing, Execution, Failure
from quiesce.recovery.plan import RecoveryPlan

Step = Literal["plan", "launch", "stop", "make_volumes", "swap", "start", "await_online", "finish", "account"]


class Planned(Crossing):
    """The plan, with its steps in words; ``problems`` are what EC2 would refuse now: only a dry run may have any."""

    plan: RecoveryPlan
    possible: bool
    steps: list[str]
    problems: list[str]


class Launched(Crossing):
    """The server that the recovery made."""

    instance_id: str


class RecoveryState(BaseModel):
    """The step to take, and the state document: the input, and what earlier steps left."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    step: Step
    execution: Execution
    input: Any
    plan: Planned | None = None
    launch: Launched | None = None
    await_online: Launched | None = None
    failure: Failure | None = None

    def needed_plan(self) -> RecoveryPlan:
        """Return the plan; a state that comes after Plan has one."""
        if self.plan is None:
            raise ValueError("the state document has no plan: start the recover machine, not a state of it")
        return self.plan.plan

    def needed_server(self) -> str:
        """Return the server's id; a state that comes after Launch has one."""
        if self.launch is None:
            raise ValueError("the state document has no server: start the recover machine, not a state of it")
        return self.launch.instance_id
