"""The diagnosis of one server, of what was found from outside and what it says itself; pure."""

from datetime import datetime

from quiesce.doctor.findings import SCRIPTS_UP, Diagnosis, best_of, levels_of, unknown
from quiesce.doctor.inside import Asked, found_inside
from quiesce.doctor.outside import Outside, found_outside
from quiesce.doctor.shadow import found_of_vss
from quiesce.executions import Cause


def diagnose(outside: Outside, asked: Asked, at: datetime, execution: str) -> Diagnosis:
    """Return as what a server can be backed up, and what it lacks."""
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
    )


def given_up(instance_id: str, cause: Cause, at: datetime, execution: str) -> Diagnosis:
    """Return the diagnosis of a server that could not be examined: of no level anything is known."""
    words = f"the examination ended with {cause.error}: {cause.words}"
    finding = unknown("examination", words, "run the doctor again", "systems-manager", ("crash", *SCRIPTS_UP))
    levels = levels_of([finding])
    return Diagnosis(
        instance_id=instance_id, name="", at=at, execution=execution, best="", levels=levels, findings=[finding]
    )
