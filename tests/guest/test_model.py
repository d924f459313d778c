"""The sandbox's model answers as the real guest does in the recordings, and the recordings are of this guest."""

import json

import pytest

from tests.guest import cases
from tests.guest.contracts import key_of, recorded, unlike
from tests.guest.model_server import ModelServer

CASES = cases.load()
RECORDED = recorded()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_recording_was_made_with_this_guest_these_steps_and_these_stand_ins(case: cases.Case) -> None:
    assert RECORDED["keys"][case.name] == key_of(case), f"python -m tests.guest.contracts --record '{case.name}'"


def test_every_case_is_recorded_and_every_recording_has_its_case() -> None:
    assert sorted(RECORDED["cases"]) == sorted(case.name for case in CASES)


def leaves(value: cases.Json, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [leaf for key, each in items for leaf in leaves(each, (*path, key))]
    return [path]


def changed(value: cases.Json, path: tuple[str | int, ...]) -> cases.Json:
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = "something else"
    return copy


def test_one_changed_field_anywhere_is_noticed() -> None:
    recording = RECORDED["cases"][CASES[0].name]
    for path in leaves(recording):
        assert unlike(recording, changed(recording, path)), path


def test_one_field_more_is_noticed() -> None:
    recording = RECORDED["cases"][CASES[0].name]
    assert unlike(recording, {**recording, "answers": recording["answers"], "more": 1})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_model_answers_as_the_guest_did(case: cases.Case) -> None:
    record, wrong = cases.run(case, ModelServer(case))
    recording = RECORDED["cases"][case.name]
    known = {name: recording["end"][name] for name in record["end"]}
    assert not wrong
    assert record["answers"] == recording["answers"]
    assert record["end"] == known
