"""Policies, and when they start next."""

from datetime import datetime
from typing import Annotated

from quiesce_cli.answers.shapes.base import Shape, field


class PolicyTarget(Shape):
    """An entry of a policy's targets, and what it does with its servers."""

    servers: Annotated[str, field("which servers it means: an id, or tags")]
    asks: Annotated[bool, field("whether the server's agent is needed")]
    vss: Annotated[bool, field("whether VSS is asked")]
    scripts: Annotated[bool, field("whether scripts are run")]
    consistency: Annotated[str, field("the policy's `consistency`: what the recovery point must be at least")]


class PolicyShape(Shape):
    """A policy, or why its file is none."""

    name: Annotated[str, field("the file's name without `.yaml`")]
    place: Annotated[str, field("the file, in the bucket or on this machine")]
    owner: Annotated[str, field("whose scripts it runs; empty if the file can't be read")]
    good: Annotated[bool, field("whether the file is a policy")]
    problem: Annotated[str, field("what is wrong, and what to write instead; empty if nothing is")]
    targets: Annotated[list[PolicyTarget], field("its entries of targets")]
    remarks: Annotated[list[str], field("what a person should know of a good policy: what its lock costs")] = []


class Policies(Shape):
    """`quiesce policy check`, `put`, `list`, `show` and `remove`."""

    good: Annotated[bool, field("whether all of them are policies")]
    policies: Annotated[list[PolicyShape], field("the policies, by name")]
    put: Annotated[list[str], field("what `put` has written to the bucket")] = []
    removed: Annotated[list[str], field("what `remove` has removed from the bucket")] = []
    text: Annotated[str, field("the file that `show` shows, or that `remove` has removed")] = ""


class NextRun(Shape):
    """A start of a schedule."""

    policy: Annotated[str, field("the policy")]
    at: Annotated[datetime, field("when it is due")]
    zone: Annotated[str, field("the schedule's time zone")]
    clock: Annotated[str, field("the time on that zone's clock")]
    schedule: Annotated[str, field("its rule")]
    moved: Annotated[bool, field("whether clocks are put forward over its own time: it runs at the end of the gap")]
    left_out: Annotated[str, field("why nothing is backed up then; empty if it is")]


class NextRuns(Shape):
    """`quiesce policy next`."""

    runs: Annotated[list[NextRun], field("the next starts, the earliest first")]
    paused: Annotated[bool, field("whether all schedules are paused")]
    remarks: Annotated[list[str], field("what a person should know: a pause, files that are no policies")]
