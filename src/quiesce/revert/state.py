"""The state document of the revert machine, which its states pass on.

``input`` {request, looked?} -> ``look`` -> ``start`` -> ``build``, a list of parts -> ``complete`` -> ``awaited`` ->
``check``, a list of parts -> the output, a ``Built``.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from quiesce.calls import add_calls
from quiesce.executions import Crossing, Execution, Failure
from quiesce.revert.look import Looked
from quiesce.revert.plan import PlannedChild
from quiesce.revert.request import RevertRequest

Step = Literal["look", "start", "build", "complete", "await", "check", "finish", "abandon", "discard"]


class RevertInput(BaseModel):
    """The machine's input; with what was looked at before, it does not look again, and builds what that plans."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    request: RevertRequest
    looked: Looked | None = None


class PartOf(Crossing):
    """A part of a child, by its number: the next call goes on at ``first``, until it is ``done`` before ``after``."""

    child: int
    first: int
    after: int
    done: bool = False
    calls: dict[str, int] = {}


class Started(Crossing):
    """The children that exist now, in the order of the plan, and their parents; ``parts`` are of all of them."""

    child_ids: list[str]
    parent_ids: list[str]
    parts: list[PartOf]
    calls: dict[str, int] = {}


class Completed(Crossing):
    """How many blocks each child has that its parent has not; ``doubts`` are EBS's words where it refused the call."""

    blocks: list[int]
    doubts: list[str] = []
    calls: dict[str, int] = {}


class Awaited(Crossing):
    """All children are completed."""

    calls: dict[str, int] = {}


class Discarded(Crossing):
    """The children and copied parents that were deleted."""

    deleted: list[str] = []
    calls: dict[str, int] = {}


class RevertState(BaseModel):
    """The step to take, the part of it, and the state document."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    step: Step
    execution: Execution
    input: RevertInput
    part: PartOf | None = None
    look: Looked | None = None
    start: Started | None = None
    build: list[PartOf] = []
    complete: Completed | None = None
    awaited: Awaited | None = None
    check: list[PartOf] = []
    failure: Failure | None = None

    @property
    def looked(self) -> Looked:
        """What is planned: by the input, or by this machine's own look."""
        found = self.input.looked or self.look
        if found is None:
            raise ValueError("the state document has no plan: start the revert machine, not a state of it")
        return found

    @property
    def needed_start(self) -> Started:
        """The children that exist; a state that comes after Start has them."""
        if self.start is None:
            raise ValueError("the state document has no children: start the revert machine, not a state of it")
        return self.start

    @property
    def needed_part(self) -> PartOf:
        """The part to work on."""
        if self.part is None:
            raise ValueError("the step works on a part: start the revert machine, not a state of it")
        return self.part

    @property
    def calls(self) -> dict[str, int]:
        """The calls of all states until now."""
        steps = [self.look, self.input.looked, self.start, *self.build, self.complete, self.awaited, *self.check]
        return add_calls(*(step.calls for step in steps if step))

    @property
    def children(self) -> list[PlannedChild]:
        """The children to build."""
        return self.looked.children
