"""The reference names everything that a person writes or reads, so that it cannot fall behind."""

import re

import pytest
from pydantic import BaseModel

from quiesce import executions
from quiesce.backup import findings, snapshot_verdict
from quiesce.errors import QuiesceError
from quiesce.points.record import FreezeWindow, Logs, Record, SnapshotRecord
from quiesce.policy.parts import Scripts, VolumeChoice
from quiesce.policy.policy import Policy, Target
from tests.support.project import ROOT
from tests.unit.test_errors import leaves

NAMED = set(re.findall(r"`([A-Za-z_.]+)`", (ROOT / "docs" / "reference" / "reference.md").read_text()))
# In the words of people: what a field of a part is called there beside its own name.
PREFIXES = ("", "scripts.", "volumes.")


def fields(*parts: type[BaseModel]) -> list[str]:
    return sorted({field.alias or name for part in parts for name, field in part.model_fields.items()})


def is_named(field: str) -> bool:
    return any(prefix + field in NAMED for prefix in PREFIXES)


@pytest.mark.parametrize("field", fields(Policy, Target, VolumeChoice, Scripts))
def test_every_field_of_a_policy_is_explained(field: str) -> None:
    assert is_named(field)


@pytest.mark.parametrize("field", fields(Record, SnapshotRecord, Logs, FreezeWindow))
def test_every_field_of_a_record_is_explained(field: str) -> None:
    assert is_named(field)


JUDGED = [findings.NOT_FROZEN, snapshot_verdict.SNAPSHOTS_INCOMPLETE, snapshot_verdict.PLAN_MISSING]
ERRORS = (
    [error.__name__ for error in leaves(QuiesceError)] + JUDGED + [error for error, _ in executions.ENDINGS.values()]
)


@pytest.mark.parametrize("error", ERRORS)
def test_every_error_that_a_run_can_end_in_is_explained(error: str) -> None:
    assert error in NAMED
