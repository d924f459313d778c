"""Errors: the message of each, and which the state machine may try again."""

import pytest

from quiesce import errors
from quiesce.errors import MAX_CHARACTERS, QuiesceError, Refused


def leaves(base: type[QuiesceError] = QuiesceError) -> list[type[QuiesceError]]:
    return [leaf for child in base.__subclasses__() for leaf in (leaves(child) or [child])]


def test_only_errors_that_pass_by_themselves_are_tried_again() -> None:
    assert {error.__name__ for error in leaves() if error.retryable} == {
        "ServerBusy",
        "SnapshotTooSoon",
        "SnapshotLimitReached",
        "AwsThrottled",
        "AwsUnavailable",
        "AgentUnreachable",
        "NotReady",
    }


def test_every_error_says_when_it_is_raised() -> None:
    assert all(error.__doc__ and error.__module__ == errors.__name__ for error in leaves())


@pytest.mark.parametrize("error", leaves(Refused))
def test_a_refusal_names_field_problem_and_remedy(error: type[Refused]) -> None:
    refusal = error("targets[0]", "is wrong", "mend it")
    assert str(refusal) == "targets[0]: is wrong. Remedy: mend it."
    assert (refusal.field, refusal.problem, refusal.remedy) == ("targets[0]", "is wrong", "mend it")


@pytest.mark.parametrize("error", [e for e in leaves() if not issubclass(e, Refused)])
def test_words_that_would_not_fit_into_the_state_document_are_cut(error: type[QuiesceError]) -> None:
    assert str(error("w" * MAX_CHARACTERS)) == "w" * MAX_CHARACTERS
    assert str(error("w" * 300_000)) == "w" * (MAX_CHARACTERS - 3) + "..."


def test_the_words_of_a_refusal_are_cut_and_its_parts_are_whole() -> None:
    refusal = Refused("field", "p" * 300_000, "mend it")
    assert (len(str(refusal)), len(refusal.problem)) == (MAX_CHARACTERS, 300_000)
