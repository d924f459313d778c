"""How the stack and its servers stand."""

from datetime import datetime
from typing import Annotated

from quiesce_cli.answers.shapes.base import Shape, field


class RunBrief(Shape):
    """A run in a line."""

    run_id: Annotated[str, field("the run's id, which is its recovery point's")]
    at: Annotated[datetime, field("when its snapshots were taken, or it started if there are none")]
    status: Annotated[str, field("`Successful`, `PartiallySuccessful`, `Failed` or `Skipped`")]
    reason: Annotated[str, field("why, in words")]
    consistency: Annotated[str, field("`application`, `crash` or `none`")]


class ServerStatus(Shape):
    """How one server stands in one policy."""

    instance_id: Annotated[str, field("the server")]
    name: Annotated[str, field("its tag Name, without one that of its newest run; empty if there is neither")]
    policy: Annotated[str, field("the policy that names it")]
    good: Annotated[bool, field("whether its newest run was Successful, or another node of its cluster is backed up")]
    newest: Annotated[RunBrief | None, field("its newest run; null before the first")]
    newest_good: Annotated[RunBrief | None, field("its newest Successful run among those that were looked at")]
    problem: Annotated[str, field("what is not good, in words; empty if all is")]
    since: Annotated[
        datetime | None, field("when the first run ended of those in a row that are not good; null without one")
    ] = None
    do: Annotated[str, field("what to do about the newest run; empty if it is good, or there is none")] = ""


class AlarmStatus(Shape):
    """One of the stack's alarms that is not at rest."""

    name: Annotated[str, field("its name")]
    state: Annotated[str, field("CloudWatch's: `ALARM`")]
    about: Annotated[str, field("what it says, with the chapter of the runbook")]
    since: Annotated[datetime, field("since when")]


class RunningRun(Shape):
    """An execution that has not ended."""

    kind: Annotated[str, field("`backup`, `policy` (all servers of one) or `recovery`")]
    name: Annotated[str, field("the execution's name")]
    execution: Annotated[str, field("its ARN")]
    started_at: Annotated[datetime, field("when it started")]


class Status(Shape):
    """`quiesce status`."""

    stack: Annotated[str, field("the stack's name")]
    region: Annotated[str, field("its Region")]
    checked_at: Annotated[datetime, field("when AWS was asked")]
    good: Annotated[bool, field("whether nothing below is wrong")]
    servers: Annotated[list[ServerStatus], field("each server of each policy, what is wrong first")]
    alarms: Annotated[list[AlarmStatus], field("the stack's alarms that are on")]
    running: Annotated[list[RunningRun], field("what runs now")]
    problems: Annotated[list[str], field("policies and records that can't be read, with the reason")]


class UnprotectedServer(Shape):
    """A Windows server that no policy covers."""

    instance_id: Annotated[str, field("the server")]
    name: Annotated[str, field("its tag Name; empty without one")]
    state: Annotated[str, field("EC2's: `running`, `stopped` or another")]
    reason: Annotated[str, field("why no policy covers it, in words")]
    newest_at: Annotated[datetime | None, field("when its newest recovery point was taken; null without one")]


class LeftPoints(Shape):
    """Recovery points of a server and policy that no run adds to any more; nothing of them is removed."""

    instance_id: Annotated[str, field("the server")]
    name: Annotated[str, field("its tag Name; empty without one, or if it is gone")]
    policy: Annotated[str, field("the policy that made them")]
    kind: Annotated[
        str, field("`left` (the policy no longer means it), `no policy` (deleted or renamed) or `gone` (the server)")
    ]
    reason: Annotated[str, field("the same in words")]
    points: Annotated[int, field("how many there are")]
    newest_at: Annotated[datetime, field("when the newest one was taken")]


class UnprotectedServers(Shape):
    """`quiesce unprotected`."""

    looked_at: Annotated[datetime, field("when the stack looked last, once an hour: everything is as of then")]
    good: Annotated[bool, field("whether every Windows server is covered, as far as a look of the last 3 hours knows")]
    windows_servers: Annotated[int, field("how many Windows servers the account has in the Region")]
    covered: Annotated[int, field("how many of them a policy means")]
    servers: Annotated[list[UnprotectedServer], field("the others, by their ids")]
    left: Annotated[
        list[LeftPoints], field("servers whose tags changed out of a policy, that are gone, or lost a policy")
    ]
    problems: Annotated[list[str], field("what the look could not know, or that it is too old")]


class Serving(Shape):
    """`quiesce serve`, before it answers."""

    stack: Annotated[str, field("the stack's name")]
    region: Annotated[str, field("its Region")]
    url: Annotated[str, field("the address to open; nobody else knows it")]
    starts: Annotated[bool, field("whether backups can be started there")]


class Check(Shape):
    """One thing that doctor looked at."""

    name: Annotated[str, field("what was looked at")]
    good: Annotated[bool, field("whether it is as it should be")]
    words: Annotated[str, field("what was found")]
    remedy: Annotated[str, field("what to do; empty if it is good")]
    fix: Annotated[str, field("what `--fix` does about it, or has done; empty where it can't do anything")] = ""
    fixed: Annotated[bool, field("whether `--fix` has done that")] = False


class Health(Shape):
    """`quiesce doctor`."""

    good: Annotated[bool, field("whether every check is good")]
    checks: Annotated[list[Check], field("the checks in their order")]


class Reported(Shape):
    """`quiesce report`."""

    good: Annotated[bool, field("whether nothing on the page is wrong")]
    page: Annotated[str, field("the file: the overview, or the run's page")]
    pages: Annotated[int, field("how many files were written, the pages of runs among them")]
    opened: Annotated[bool, field("whether a browser was asked to open it")]
