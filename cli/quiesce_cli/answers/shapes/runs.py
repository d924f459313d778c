"""Runs and recoveries that were started."""

from typing import Annotated

from quiesce_cli.answers.shapes.base import Shape, field


class StateStep(Shape):
    """A state that an execution went through."""

    state: Annotated[str, field("its name in the state machine")]
    after_s: Annotated[float, field("seconds from the start until it was entered")]


class Ran(Shape):
    """`quiesce run` and `quiesce follow`."""

    run_id: Annotated[str, field("the run's id")]
    execution: Annotated[str, field("the execution's ARN")]
    status: Annotated[str, field("the run's, or `Running` with `--detach`")]
    reason: Annotated[str, field("why, in words")]
    consistency: Annotated[str, field("of the recovery point; empty while it runs")]
    states: Annotated[list[StateStep], field("the states in order")]
    record: Annotated[str, field("the record's place in the bucket; empty if there is none")]


class Recovered(Shape):
    """`quiesce recover`."""

    recovery_id: Annotated[str, field("the recovery's id; of the dry run if nothing else was started")]
    status: Annotated[str, field("`Planned`, `Recovered` or `Failed`")]
    possible: Annotated[bool, field("whether the plan has no obstacle")]
    recovery_point: Annotated[str, field("what it recovers from")]
    consistency: Annotated[str, field("what the recovery gives, in words")]
    steps: Annotated[list[str], field("the plan's steps")]
    problems: Annotated[list[str], field("the plan's obstacles, each with its remedy")]
    notes: Annotated[list[str], field("what to know beforehand, or of the end")]
    instance_id: Annotated[str, field("the new server; empty if there is none")]
    reason: Annotated[str, field("how it ended, in words")]
    execution: Annotated[str, field("the execution's ARN")]
    to_do: Annotated[list[str], field("what is left for a person")]
