"""Every path of a definition leads to something: a field that a step returns, and that is there on every way.

Neither local engine treats a missing path as AWS does, where it ends the execution behind every Catch.
"""

import copy
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from quiesce.backup.state import RunState
from quiesce.executions import Failure
from quiesce.points.record import Record
from quiesce.recovery.account import Account
from quiesce.recovery.state import Planned, RecoveryState
from tests.support.project import definition

# What a state leaves: by the key that it writes, "$" for the whole document.
BACKUP = {name: field.annotation for name, field in RunState.model_fields.items()} | {
    "$": Record,
    "failure": Failure,
    "report_failure": Failure,
}
RECOVERY = {name: field.annotation for name, field in RecoveryState.model_fields.items()} | {
    "plan": Planned,
    "finish": Account,
    "account": Account,
    "account_failure": Failure,
}
MACHINES = {"BackupMachine": BACKUP, "RecoverMachine": RECOVERY}
# Fields that hold a path of the state document.
PATHS = {"Variable", "SecondsPath", "ErrorPath", "CausePath", "OutputPath", "InputPath", "ItemsPath"}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)


def paths_in(part: Any, unguarded: bool = True, asked: frozenset[str] = frozenset()) -> Iterator[tuple[str, bool]]:
    """Give each path of a part of a definition, and whether its being there has to be certain.

    In a conjunction, and in what is nested in it, a path may be read whose presence it asks for first.
    """
    if isinstance(part, list):
        for item in part:
            yield from paths_in(item, unguarded, asked)
    elif isinstance(part, dict):
        asked |= {str(item["Variable"]) for item in part.get("And", []) if "IsPresent" in item}
        for name, value in part.items():
            path = name in PATHS or name.endswith(".$")
            if path and value.startswith("$.") and len(value) > 2:
                yield value, unguarded and "IsPresent" not in part and value not in asked
            elif name not in ("ResultPath", "ResultSelector", "Catch", "Retry"):
                yield from paths_in(value, unguarded, asked)


def ways_out(state: dict[str, Any]) -> Iterator[tuple[str, set[str]]]:
    """Give where a state leads, with the keys that are there by then: those that it has written or found."""
    written = state.get("ResultPath", "").removeprefix("$.")
    for following in (state.get("Next"), state.get("Default")):
        if following:
            yield following, {written} - {""}
    for choice in state.get("Choices", []):
        asked = [
            test for test in choice.get("And", [choice]) if "Variable" in test and test.get("IsPresent") is not False
        ]
        yield choice["Next"], {test["Variable"].split(".")[1] for test in asked}
    for catch in state.get("Catch", []):
        yield catch["Next"], {catch["ResultPath"].removeprefix("$.")}


def certain_keys(machine: dict[str, Any]) -> dict[str, set[str]]:
    """Return which keys of the document are there whenever a state is entered."""
    states = machine["States"]
    first = states[machine["StartAt"]]
    certain = {first["Next"]: {name.removesuffix(".$") for name in first["Parameters"]}}
    waiting = [first["Next"]]
    while waiting:
        name = waiting.pop()
        for following, added in ways_out(states[name]):
            keys = {"$"} if "$" in added else certain[name] | added
            narrowed = certain[following] & keys if following in certain else keys
            if certain.get(following) != narrowed:
                certain[following] = narrowed
                waiting.append(following)
    return certain


def found(machine: str) -> list[tuple[str, str, bool]]:
    states = definition(machine)["States"]
    start = definition(machine)["StartAt"]
    return [(name, path, sure) for name in states if name != start for path, sure in paths_in(states[name])]


EVERY = [(machine, *one) for machine in MACHINES for one in found(machine)]


def test_paths_are_found() -> None:
    assert ("BackupMachine", "Awaited?", "$.await_snapshots.done", True) in EVERY
    assert ("BackupMachine", "BackupFailed", "$.failure.cause", True) in EVERY
    assert any(not sure for _, _, _, sure in EVERY)


@pytest.mark.parametrize(("machine", "state", "path", "sure"), EVERY)
def test_a_path_leads_to_a_field_that_is_there_on_every_way(machine: str, state: str, path: str, sure: bool) -> None:
    keys, (key, *fields) = certain_keys(definition(machine))[state], path.removeprefix("$.").split(".")
    if "$" in keys:
        kinds, fields = list(models_in(MACHINES[machine]["$"])), [key, *fields]
    else:
        assert key in keys or not sure, f"{state} reads {path}, and on some way no state has written $.{key}"
        kinds = list(models_in(MACHINES[machine][key]))
    for field in fields:
        names = [kind for kind in kinds if field in kind.model_fields]
        assert names, f"{state} reads {path}, and no step returns {field}"
        kinds = list(models_in(names[0].model_fields[field].annotation))


def test_a_path_that_is_missing_is_seen_although_the_local_engine_catches_it(machine, request_for) -> None:
    broken = copy.deepcopy(definition())
    broken["States"]["Snapshot"]["Parameters"] = {"document.$": "$.missing"}
    run = machine.run(broken, request_for)
    assert "Report" in run.states, "moto no longer catches it, like AWS: shorten sandbox/aws/not_enforced.py"
    assert machine.missing_paths == ["Snapshot: $.missing"]
    machine.missing_paths.clear()


def test_a_choice_that_compares_a_path_that_is_missing_is_seen_although_the_local_engine_passes_it(
    machine, request_for
) -> None:
    broken = copy.deepcopy(definition())
    broken["States"]["Awaited?"]["Choices"][0]["Variable"] = "$.await_snapshots.finished"
    assert "MakeImage" in machine.run(broken, request_for).states
    assert machine.missing_paths == ["Awaited?: $.await_snapshots.finished"]
    machine.missing_paths.clear()


def test_an_error_that_no_catch_catches_is_seen_whatever_its_reason(machine, request_for) -> None:
    broken = copy.deepcopy(definition())
    broken["States"]["Plan"]["ResultPath"] = "$.input"
    broken["States"]["Freezes?"] = {"Type": "Wait", "SecondsPath": "$.input.instance_id", "Next": "Snapshot"}
    run = machine.run(broken, request_for)
    assert (run.status, machine.runtime_errors) == ("FAILED", ["Freezes?"])
    machine.runtime_errors.clear()
