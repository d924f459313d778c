"""The answers of the commands: what ``--json`` prints and what views show, listed in docs/reference/command-line.md."""

from quiesce_cli.answers.shapes.base import Shape
from quiesce_cli.answers.shapes.points import Cost, Costs, Explained, Held, Points, PointShape, Pruned, Why
from quiesce_cli.answers.shapes.policies import NextRun, NextRuns, Policies, PolicyShape, PolicyTarget
from quiesce_cli.answers.shapes.runs import Ran, Recovered, StateStep
from quiesce_cli.answers.shapes.status import (
    AlarmStatus,
    Check,
    Health,
    LeftPoints,
    Reported,
    RunBrief,
    RunningRun,
    ServerStatus,
    Serving,
    Status,
    UnprotectedServer,
    UnprotectedServers,
)

__all__ = [
    "AlarmStatus",
    "Check",
    "Cost",
    "Costs",
    "Explained",
    "Health",
    "Held",
    "LeftPoints",
    "NextRun",
    "NextRuns",
    "PointShape",
    "Points",
    "Policies",
    "PolicyShape",
    "PolicyTarget",
    "Pruned",
    "Ran",
    "Recovered",
    "Reported",
    "RunBrief",
    "RunningRun",
    "ServerStatus",
    "Serving",
    "Shape",
    "StateStep",
    "Status",
    "UnprotectedServer",
    "UnprotectedServers",
    "Why",
]
