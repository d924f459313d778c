"""The diagnosis of one server, of what was found from outside and what it says itself; pure."""

from datetime import datetime
from typing import Literal

from quiesce.doctor.changes import Change, changes_for
from quiesce.doctor.findings import SCRIPTS_UP, Finding, LevelFound, best_of, levels_of, unknown
from quiesce.doctor.inside import Asked, found_inside
from quiesce.doctor.outside import Outside, found_outside
from quiesce.doctor.shadow import found_of_vss
from quiesce.executions import Cause, Crossing


class Diagnosis(Crossing):
    """What was found of one server at one time, in UTC; ``best`` is the highest level but aws-vss, empty for none.

    ``changes`` are what a fix would change, which it may if ``may_be_changed``; ``online`` is its agent.
    """

    instance_id: str
    name: str
    at: datetime
    execution: str
    best: Literal["", "crash", "scripts", "vss"]
    levels: list[LevelFound]
    findings: list[Finding]
    changes: list[Change] = []
    may_be_changed: bool = False
    online: bool = False


def diagnose(outside: Outside, asked: Asked, at: datetime, execution: str, profile: str) -> Diagnosis:
    """Return as what a server can be backed up, what it lacks, and what a fix would change.

    ``profile`` is the ARN of the stack's own instance profile, empty if it has none.
    """
    findings = [*found_outside(outside), *found_inside(asked), *found_of_vss(asked, outside.devices)]
    levels = levels_of(findings)
    return Diagnosis(
        instance_id=outside.instance_id,
        name=outside.name,
        at=at,
        execution=execution,
        best=best_of(levels),
        levels=levels,
        findings=findings,
        changes=changes_for(outside, asked, profile),
        may_be_changed=outside.may_be_changed,
        online=outside.is_online,
    )


def given_up(instance_id: str, cause: Cause, at: datetime, execution: str) -> Diagnosis:
    """Return the diagnosis of a server that could not be examined: of no level anything is known."""
    words = f"the examination ended with {cause.error}: {cause.words}"
    finding = unknown("examination", words, "run the doctor again", "systems-manager", ("crash", *SCRIPTS_UP))
    levels = levels_of([finding])
    return Diagnosis(
        instance_id=instance_id, name="", at=at, execution=execution, best="", levels=levels, findings=[finding]
    )
