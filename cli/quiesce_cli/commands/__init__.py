"""The commands: each asks AWS, decides with what the product decides with, and returns an answer."""

from quiesce_cli.commands import (
    cost,
    doctor,
    points,
    policies,
    recover,
    report,
    retention,
    run,
    serve,
    status,
    unprotected,
)

__all__ = [
    "cost",
    "doctor",
    "points",
    "policies",
    "recover",
    "report",
    "retention",
    "run",
    "serve",
    "status",
    "unprotected",
]

# As help lists them: the look of every morning first, then what follows from it.
ORDER = (
    *("status", "run", "follow", "points", "show", "explain", "writers", "report", "recover"),
    *("prune", "hold", "release", "unprotected", "doctor", "cost", "serve"),
)
