"""Where a person is asked: until the answer is one, and never in a pipe."""

from collections.abc import Iterator

import pytest
from quiesce_cli import asking
from quiesce_cli.asking import choose_number
from quiesce_cli.screen import screen

from tests.support.command_line import type_command


def answers(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> list[str]:
    asked: list[str] = []
    given: Iterator[int] = iter(numbers)

    def prompt(question: str, **_more: object) -> int:
        asked.append(question)
        return next(given)

    monkeypatch.setattr(asking.typer, "prompt", prompt)
    return asked


def test_it_asks_again_until_the_number_is_one_of_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, 0, 4, 3)
    assert choose_number("Which one", 3) == 2
    assert asked == ["Which one (1 to 3)"] * 3


def test_a_process_without_a_terminal_is_asked_nothing() -> None:
    own = screen()
    assert not own.asks
    assert not own.lively


def test_help_is_what_is_shown_where_nothing_is_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert type_command().code == 0
    shown = capsys.readouterr().out
    assert "Begin with: quiesce status" in shown
    listed = [line.split()[0] for line in shown.partition("Commands:")[2].splitlines() if line.strip()]
    assert listed[:3] == ["status", "run", "follow"]
    assert listed[-1] == "policy"
