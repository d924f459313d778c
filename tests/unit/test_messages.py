"""The page of all messages is what the code says, and each refusal has what is wrong and what to do."""

import re

import pytest

from quiesce.errors import NEXT, QuiesceError, Refused
from tests.unit.test_errors import leaves
from tools import messages

ALL = messages.messages()
REFUSALS = [m for m in ALL if m.remedy]
# What only a regular expression has.
PATTERN = re.compile(r"\\[dwsSW]|\[[^\]]*-[^\]]*\][+*{]|\(\?[:P!=<]")


def test_the_page_of_all_messages_is_not_stale() -> None:
    assert messages.PAGE.read_text() == messages.page(), "run: python -m tools.messages"


def test_every_error_that_takes_a_remedy_is_known_to_the_page() -> None:
    refused = {error.__name__ for error in leaves(QuiesceError) if issubclass(error, Refused)}
    assert refused == {name for name, takes in messages.errors().items() if takes and name != "Refused"}
    assert {m.error for m in REFUSALS} >= {"RecoveryRefused", "PolicyRefused", "ServerRefused", "ChangeRefused"}


@pytest.mark.parametrize("message", REFUSALS, ids=lambda m: f"{m.where}: {m.problem[:40]}")
def test_each_refusal_has_a_field_a_problem_and_a_remedy(message: messages.Message) -> None:
    assert message.field
    assert message.problem
    assert message.remedy


@pytest.mark.parametrize("message", ALL, ids=lambda m: f"{m.where}: {m.problem[:40]}")
def test_no_message_shows_a_regular_expression(message: messages.Message) -> None:
    assert not PATTERN.search(f"{message.problem} {message.remedy}")


def test_a_message_out_of_several_lines_is_read_as_it_is_shown() -> None:
    shown = {m.problem for m in ALL if m.where == "recovery.choice"}
    assert "there is no recovery point '{typed}', and none whose id begins like this" in shown


def says_what_to_do(message: messages.Message) -> bool:
    own = (
        "start a new recovery, under another id",
        "Deploy the stack again",
        "Remedy: {remedy}",
        "start it again under",
    )
    return bool(message.remedy or message.error in NEXT or any(words in message.problem for words in own))


def test_after_each_message_a_person_knows_what_to_do() -> None:
    assert [f"{m.error}: {m.problem} ({m.where})" for m in ALL if not says_what_to_do(m)] == []


def test_no_step_is_named_for_an_error_that_does_not_exist_or_has_a_remedy_of_its_own() -> None:
    without = {error.__name__ for error in leaves(QuiesceError) if not issubclass(error, Refused)}
    assert set(NEXT) <= without
    assert without - set(NEXT) == {"RecoveryUsedUp", "RevertUsedUp"}, "these say it in each message"
