"""The retention machine's input and state document."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Strict, model_validator

from quiesce.errors import RetentionRefused
from quiesce.executions import Crossing, Execution, Failure
from quiesce.policy.parts import InstanceId, Name
from quiesce.validation import Advice, Form, validated

Step = Literal["list", "plan", "lock", "mark", "finish", "archive", "give_up", "tell"]
PLAN_ID = Form(r"[0-9a-f]{16}|[A-Za-z0-9][A-Za-z0-9_-]{0,79}", "the id of a plan, or of the recovery point to remove")
POLICY_RUN = Form(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}", "the id of a policy run")
# By this Step Functions' console links an execution with the one that started it.
STARTED_BY = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"


class RetentionRequest(Crossing):
    """What a person or the daily schedule asks for.

    Attributes:
        mode: ``dry-run`` shows the plans, and removes nothing.
        instance_id: one server; all if it is left out.
        policy: whose plan ``confirm`` confirms.
        confirm: the id of the plan that a person has looked at, or of the recovery point in ``remove``.
        remove: one recovery point to remove, whatever the rule says.
        policy_run: set by the policy machine: only the servers of that policy run are looked after, by its ``policy``.
    """

    mode: Literal["prune", "dry-run"] = "prune"
    instance_id: InstanceId | None = None
    policy: Name | None = None
    confirm: Annotated[str, Strict(), AfterValidator(PLAN_ID)] | None = None
    remove: Annotated[str, Strict(), AfterValidator(PLAN_ID)] | None = None
    policy_run: Annotated[str, Strict(), AfterValidator(POLICY_RUN)] | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.remove and not self.instance_id:
            raise ValueError("'remove' needs the 'instance_id' of its server")
        if self.remove and self.confirm != self.remove:
            raise ValueError(f"'remove' deletes for good: repeat the id, as 'confirm': '{self.remove}'")
        if self.confirm and not self.remove and not (self.instance_id and self.policy):
            raise ValueError("'confirm' needs the 'instance_id' and the 'policy' that the plan is of")
        if self.policy_run and not self.policy:
            raise ValueError("'policy_run' needs the 'policy' that it is of; the policy machine gives both")
        return self


ADVICE = Advice(
    name="input", home=RetentionRequest, missing="add it", otherwise="correct it; see docs/use/retention.md"
)


def read_retention_request(data: Any) -> RetentionRequest:
    """Read the machine's input.

    Raises:
        RetentionRefused: with the field, what is wrong with it and what to write instead; not retried.
    """
    typed = {name: value for name, value in data.items() if name != STARTED_BY} if isinstance(data, dict) else data
    return validated(RetentionRequest, typed, "", ADVICE, RetentionRefused)


class GroupPlan(Crossing):
    """The plan of one server and policy; ``going`` recovery points are removed by it unless there is a ``problem``."""

    policy: str
    plan_id: str
    points: int
    going: int
    problem: str
    place: str


class ServerPlan(Crossing):
    """The plans of one server; ``execution`` is whose dry run they are of, if the table keeps them.

    ``archives`` says whether there is something to archive.
    """

    execution: str = ""
    instance_id: str
    groups: list[GroupPlan]
    text: str = ""
    archives: bool = False


class Servers(Crossing):
    """How many servers are looked after, where the list of them lies, and whether nothing is to be removed."""

    servers: int
    items: str
    dry_run: bool


class Locked(Crossing):
    """The recovery points that are locked since now, and why some are not."""

    locked: list[str]
    problems: list[str]


class Marked(Crossing):
    """The recovery points whose removal has begun now, and why some did not."""

    marked: list[str]
    problems: list[str]


class Finished(Crossing):
    """What an execution locked, removed and archived of one server until ``at``, in UTC, and what it could not."""

    execution: str
    at: datetime
    instance_id: str
    locked: list[str] = []
    removed: list[str]
    archived: list[str] = []
    images: list[str]
    notes: list[str]
    problems: list[str]


class Told(Crossing):
    """The whole execution in a few lines: its output."""

    servers: int
    locked: int
    removed: int
    archived: int
    would_go: int
    problems: list[str]
    notes: list[str]
    plans: list[str]


class RetentionState(Crossing):
    """The state document of the machine, or of one server within its Map."""

    step: Step
    execution: Execution
    input: Any
    list: Servers | None = None
    server: str = ""
    plan: ServerPlan | None = None
    lock: Locked | None = None
    mark: Marked | None = None
    finish: Finished | None = None
    failure: Failure | None = None

    @property
    def needed_finish(self) -> Finished:
        """What Finish answered; a state that comes after it has that."""
        if self.finish is None:
            raise ValueError("the state document has nothing of Finish: start the retention machine, not a state of it")
        return self.finish

    @property
    def request(self) -> RetentionRequest:
        """What was asked for."""
        return read_retention_request(self.input)
