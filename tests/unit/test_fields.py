"""Every field of a model has a reader: a step, a definition, or a person who gets the document that it is in."""

import ast
import inspect
import re
from pathlib import Path

from pydantic import BaseModel

from quiesce.backup.input import BackupRequest
from quiesce.doctor.diagnosis import Diagnosis, Finding
from quiesce.doctor.state import Told as DoctorTold
from quiesce.guest.sessions import GuestModel
from quiesce.points.record import FreezeWindow, Logs, Record, SnapshotRecord
from quiesce.policy_run.input import PolicyRequest
from quiesce.policy_run.state import Ended, Summary
from quiesce.posture.state import PosturePart
from quiesce.recovery.account import Account
from quiesce.recovery.state import Planned
from quiesce.retention.state import Marked, Told

PROJECT = Path(__file__).parents[2]
SOURCES = [*(PROJECT / "src").rglob("*.py"), *(PROJECT / "functions").rglob("*.py")]
DEFINITIONS = "".join(path.read_text() for path in (PROJECT / "statemachine").glob("*.yaml"))
# What a person gets, and what a person writes: the input's scheduled_time is read before the input is a model.
FOR_PEOPLE = (
    Record,
    SnapshotRecord,
    FreezeWindow,
    Logs,
    Account,
    Planned,
    BackupRequest,
    PolicyRequest,
    Summary,
    Ended,
    PosturePart,
    Marked,
    Told,
    Diagnosis,
    Finding,
    DoctorTold,
)


def read_names() -> set[str]:
    """Return every name that the product reads as an attribute."""
    trees = [ast.parse(path.read_text()) for path in SOURCES]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {node.attr for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)}


def models() -> list[type[BaseModel]]:
    """Return every model of the product, but for the guest's answers: whose every field shows that it is our guest."""
    found, waiting = [], [BaseModel]
    while waiting:
        children = [kind for kind in waiting.pop().__subclasses__() if kind.__module__.startswith("quiesce.")]
        found += children
        waiting += children
    return [kind for kind in found if not issubclass(kind, GuestModel)]


def test_every_field_of_a_model_has_a_reader() -> None:
    names = read_names()
    unread = {
        f"{kind.__name__}.{field}"
        for kind in models()
        if not issubclass(kind, FOR_PEOPLE)
        for field in inspect.get_annotations(kind)
        if field not in names and not re.search(rf"\$\.[\w.]*\b{field}\b", DEFINITIONS)
    }
    assert unread == set()
