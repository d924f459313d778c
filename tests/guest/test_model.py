"""The sandbox's model answers as the real guest was recorded to answer, and the recordings belong to this guest."""

import pytest

from tests.guest import cases
from tests.guest.contracts import guest_hash, recorded
from tests.guest.model_server import ModelServer

CASES = cases.load()
RECORDED = recorded()


def test_the_recordings_were_made_with_this_guest() -> None:
    assert RECORDED["guest"] == guest_hash(), "make contracts"


def test_every_case_is_recorded_and_every_recording_has_its_case() -> None:
    assert sorted(RECORDED["cases"]) == sorted(case.name for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_model_answers_as_the_guest_did(case: cases.Case) -> None:
    record, wrong = cases.run(case, ModelServer(case))
    recording = RECORDED["cases"][case.name]
    known = {name: recording["end"][name] for name in record["end"]}
    assert not wrong
    assert record["answers"] == recording["answers"]
    assert record["end"] == known
