"""The check with the real PowerShell runs every case with a change since its recording, and the sample."""

from dataclasses import replace

import pytest

from tests.guest import cases, contracts
from tests.guest.contracts import chosen_cases, key_of, recorded

KNOWN = cases.load()
PLAIN = next(case for case in KNOWN if not case.sample)


def names(chosen: list[cases.Case]) -> set[str]:
    return {case.name for case in chosen}


def test_of_what_is_recorded_only_the_sample_is_asked_again() -> None:
    assert names(chosen_cases(KNOWN, [], changed=True)) == {case.name for case in KNOWN if case.sample}
    assert len(chosen_cases(KNOWN, [], changed=False)) == len(KNOWN)


def test_a_seed_chooses_a_third_of_the_sample_and_seeds_in_a_row_all_of_it():
    sample = {case.name for case in KNOWN if case.sample}
    thirds = [names(chosen_cases(KNOWN, [], changed=True, seed=str(seed))) for seed in range(30)]
    assert all(third < sample and len(third) == -(-len(sample) // 3) for third in thirds)
    assert set().union(*thirds) == sample


def test_a_case_with_another_step_is_asked_again() -> None:
    other = replace(PLAIN, steps=[*PLAIN.steps, {"collect": {}}])
    assert chosen_cases([other], [], changed=True) == [other]


def test_a_case_that_was_never_recorded_is_asked() -> None:
    new = replace(PLAIN, name="a case without a recording")
    assert chosen_cases([new], [], changed=True) == [new]


def test_every_case_is_asked_again_when_the_guest_or_a_stand_in_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contracts, "surroundings", lambda: b"another guest")
    assert chosen_cases(KNOWN, [], changed=True) == KNOWN


def test_each_verb_is_in_the_sample() -> None:
    asked = {verb for case in KNOWN if case.sample for step in case.steps for verb in step}
    assert set(cases.VERBS) <= asked
    assert key_of(PLAIN) == recorded()["keys"][PLAIN.name]
