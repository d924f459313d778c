"""The check with the real PowerShell runs every case with a change since its recording, and the sample."""

from dataclasses import replace

import pytest

from tests.guest import cases, contracts
from tests.guest.contracts import chosen_cases, key_of, recorded

KNOWN = cases.load()
KEYS = recorded()["keys"]
PARTS = contracts.read_parts()
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
    monkeypatch.setattr(contracts, "surroundings", lambda _: b"another guest")
    assert chosen_cases(KNOWN, [], changed=True) == KNOWN


def test_a_change_of_what_looks_does_not_ask_cases_again_that_only_act(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {name: f"{text}# changed" if name == "look" else text for name, text in contracts.scripts(PARTS).items()}
    monkeypatch.setattr(contracts, "scripts", lambda _: texts)
    contracts.surroundings.cache_clear()
    looking = {case.name for case in KNOWN if any({"inventory", "examine", "collect"} & {*step} for step in case.steps)}
    assert {case.name for case in KNOWN if key_of(case) != KEYS[case.name]} == looking
    contracts.surroundings.cache_clear()
    assert "before fails" not in looking


def test_a_change_of_a_sessions_script_asks_each_case_with_a_session_again(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {name: f"{text}# changed" if name == "quiesce" else text for name, text in contracts.scripts(PARTS).items()}
    monkeypatch.setattr(contracts, "scripts", lambda _: texts)
    contracts.surroundings.cache_clear()
    same = {case.name for case in KNOWN if key_of(case) == KEYS[case.name]}
    contracts.surroundings.cache_clear()
    sessions = {"begin", "together", "stage", "freeze", "thaw", "complete", "recovered"}
    assert same == {case.name for case in KNOWN if not any(sessions & {*step} for step in case.steps)}


def test_each_verb_is_in_the_sample() -> None:
    asked = {verb for case in KNOWN if case.sample for step in case.steps for verb in step}
    assert set(cases.VERBS) <= asked
    assert key_of(PLAIN) == KEYS[PLAIN.name]
