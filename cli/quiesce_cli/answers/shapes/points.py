"""Recovery points, why they are not better, which would go, what they cost."""

from datetime import datetime
from typing import Annotated

from quiesce_cli.answers.shapes.base import Shape, field


class PointShape(Shape):
    """A recovery point, or a run that left none."""

    run_id: Annotated[str, field("the run's id, which is the recovery point's")]
    instance_id: Annotated[str, field("the server")]
    name: Annotated[str, field("the server's name at that time")]
    policy: Annotated[str, field("the policy")]
    at: Annotated[datetime, field("the point in time of the snapshots, or the run's start if there are none")]
    status: Annotated[str, field("`Successful`, `PartiallySuccessful`, `Failed` or `Skipped`")]
    reason: Annotated[str, field("why, in words")]
    consistency: Annotated[str, field("`application`, `crash` or `none`")]
    whole: Annotated[bool, field("whether its run was Successful: `latest whole` chooses from these")]
    root: Annotated[bool, field("whether it holds the volume that Windows boots from")]
    snapshots: Annotated[int, field("how many snapshots it has")]
    size_gib: Annotated[int, field("the sizes of their volumes together")]
    built: Annotated[bool, field("whether the backup has built its volumes as of their shadow copies")]
    there: Annotated[bool, field("whether a server can be recovered from it now, as far as its snapshots tell")]
    archived: Annotated[int, field("how many of its snapshots are in the archive: a recovery restores them first")]
    flaw: Annotated[str, field("why not, in words; empty if one can")]
    recommended: Annotated[bool, field("whether `latest whole` would choose it, of the server's newest")]
    recover: Annotated[str, field("the command that recovers from it; empty if none can")]


class Points(Shape):
    """`quiesce points`."""

    points: Annotated[list[PointShape], field("the newest first")]
    more: Annotated[int, field("how many older records were not looked at")]
    left_out: Annotated[int, field("how many runs of this page left no recovery point; `--all` shows them")]
    problems: Annotated[list[str], field("records that can't be read, with the reason")]


class Why(Shape):
    """One cause, where it is said, and what to do about it."""

    what: Annotated[str, field("what happened")]
    source: Annotated[str, field("which field of the record, or which file of the session, says so")]
    do: Annotated[str, field("what to do")]
    page: Annotated[str, field("where it is explained")]


class Explained(Shape):
    """`quiesce explain`."""

    run_id: Annotated[str, field("the run's id")]
    good: Annotated[bool, field("whether it was Successful and application-consistent")]
    status: Annotated[str, field("the run's")]
    consistency: Annotated[str, field("of its recovery point")]
    reason: Annotated[str, field("the consistency's reason")]
    causes: Annotated[list[Why], field("why it is not better, the first cause first; empty if nothing is wrong")]


class WriterShape(Shape):
    """A VSS writer, as Windows listed it while the shadow copies were held."""

    name: Annotated[str, field("its name, which its application chooses")]
    writer_id: Annotated[str, field("its id, as `vss.require_writers` and `exclude_writers` take it")]
    part: Annotated[str, field("`whole`, `some` or `none` of its components were in the backup, or `excluded`")]
    state: Annotated[str, field("VSS's word for its state, such as `STABLE`")]
    error: Annotated[str, field("the error that it reported; empty if none")]


class ServerWriters(Shape):
    """The writers of a server."""

    instance_id: Annotated[str, field("the server")]
    name: Annotated[str, field("its name at that time")]
    run_id: Annotated[str, field("the run that they are from: the server's newest that asked VSS")]
    at: Annotated[datetime, field("when that run ended")]
    writers: Annotated[list[WriterShape], field("all that Windows listed")]


class Writers(Shape):
    """`quiesce writers`."""

    servers: Annotated[list[ServerWriters], field("in the order of their newest runs")]
    more: Annotated[int, field("how many older records were not looked at")]
    problems: Annotated[list[str], field("records that can't be read, with the reason")]


class Pruned(Shape):
    """`quiesce prune --dry-run`."""

    servers: Annotated[int, field("how many servers were looked at")]
    would_go: Annotated[int, field("how many recovery points would go")]
    plans: Annotated[list[str], field("the plans in words, with the place of each")]
    problems: Annotated[list[str], field("what a person has to look at")]
    execution: Annotated[str, field("the execution's ARN")]


class Held(Shape):
    """`quiesce hold` and `release`."""

    run_id: Annotated[str, field("the recovery point")]
    instance_id: Annotated[str, field("its server")]
    held: Annotated[bool, field("whether it is held now")]
    why: Annotated[str, field("what the hold says")]
    snapshots: Annotated[list[str], field("the snapshots that carry the hold, or carried it")]


class Cost(Shape):
    """What one thing costs."""

    what: Annotated[str, field("what is paid for")]
    count: Annotated[float, field("how much of it")]
    unit: Annotated[str, field("in which unit")]
    dollars: Annotated[float, field("what that costs")]


class Costs(Shape):
    """`quiesce cost`."""

    prices_of: Annotated[str, field("the date of the prices, and their Region")]
    stored: Annotated[list[Cost], field("what is stored, for a month: each volume once, in full")]
    runs: Annotated[list[Cost], field("the calls of the newest runs")]
    runs_counted: Annotated[int, field("how many runs those are")]
    stored_dollars: Annotated[float, field("all of that together")]
    runs_dollars: Annotated[float, field("all calls of these runs")]
    not_counted: Annotated[list[str], field("what is not in these sums")]
