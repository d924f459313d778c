"""Looking on at an execution: a line for each state that is over, a live one for the state that lasts."""

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, ReadTimeoutError
from quiesce_cli.app import Desk
from quiesce_cli.aws import executions
from quiesce_cli.aws.executions import Ended, Entered
from quiesce_cli.chosen import Chosen
from quiesce_cli.commands.run import _ended
from quiesce_cli.following import GoesOn, follow
from quiesce_cli.screen import Screen
from quiesce_cli.troubles import INTERRUPTED, NotReachable, trouble_of
from rich.console import Console

from quiesce.clock import Clock
from quiesce.errors import AwsUnavailable

STATES = [Entered("Plan", 0.2), None, Entered("Freeze", 12.0), Entered("Report", 75.5), None]


def a_desk(*, terminal: bool, as_json: bool = False) -> Desk:
    out, err = (Console(file=io.StringIO(), force_terminal=terminal, width=60) for _ in range(2))
    return Desk(Chosen("quiesce", None, None), Screen(out, err), Clock(), as_json)


def remarked(desk: Desk) -> str:
    return cast("io.StringIO", desk.screen.err.file).getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_each_state_that_is_over_has_a_line_with_its_time(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
    monkeypatch.setattr(executions, "follow", lambda _arn, _sleep: iter(STATES))
    desk = a_desk(terminal=terminal)
    steps = follow(desk, "arn", "run-1", "the run")
    assert [(step.state, step.after_s) for step in steps] == [("Plan", 0.2), ("Freeze", 12.0), ("Report", 75.5)]
    lines = [line for line in remarked(desk).splitlines() if "since the start" not in line]
    told = " ".join(lines)
    for words in ("0.2 s", "Plan", "12.0 s", "Freeze", "1 min 15 s", "Report"):
        assert words in told, told
    # Only a person who looks sees the line that changes.
    assert ("\x1b" in remarked(desk)) == terminal


def test_a_program_gets_the_answer_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "follow", lambda _arn, _sleep: iter(STATES))
    desk = a_desk(terminal=True, as_json=True)
    assert len(follow(desk, "arn", "run-1", "the run")) == 3
    assert remarked(desk) == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_ctrl_c_ends_the_looking_alone(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
    def interrupted(_arn: str, _sleep: Any) -> Any:
        yield STATES[0]
        raise KeyboardInterrupt

    monkeypatch.setattr(executions, "follow", interrupted)
    with pytest.raises(GoesOn) as told:
        follow(a_desk(terminal=terminal), "arn", "run-1", "the run")
    assert told.value.problem == "you stopped looking; the run goes on without you"
    assert (told.value.remedy, told.value.code) == ("quiesce follow run-1 looks again", INTERRUPTED)


LOST = [ReadTimeoutError(endpoint_url="https://x"), ConnectionClosedError(endpoint_url="https://x")]


def started(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    sent: list[dict[str, Any]] = []

    def start_execution(**given: Any) -> None:
        sent.append(given)
        raise error

    monkeypatch.setattr(executions, "once", lambda _service: SimpleNamespace(start_execution=start_execution))
    try:
        executions.start("machine", {"policy": "files"}, "files-1")
    finally:
        assert len(sent) == 1


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_a_start_whose_answer_is_lost_may_have_begun_and_is_not_sent_again(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with pytest.raises(NotReachable) as told:
        started(monkeypatch, error)
    assert told.value.problem == "AWS did not answer, and 'files-1' may have been started"
    assert told.value.remedy == "look before you start another: quiesce follow files-1"


def test_a_start_that_never_left_this_machine_did_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AwsUnavailable) as raised:
        started(monkeypatch, EndpointConnectionError(endpoint_url="https://x"))
    trouble = trouble_of(raised.value)
    assert trouble
    assert "AWS can't be reached" in trouble.problem


@pytest.mark.parametrize(
    ("output", "good"),
    [
        ({"status": "Skipped", "instance_id": "i-0123456789abcdef0", "run_id": "run-1"}, True),
        # Of a policy run: it has backed up nothing at all.
        ({"status": "Skipped", "run_id": "orders-1", "servers": 2}, False),
        ({"status": "Failed", "instance_id": "i-0123456789abcdef0"}, False),
    ],
)
def test_a_passive_node_is_no_fault_and_a_policy_run_that_backed_up_nobody_is(
    monkeypatch: pytest.MonkeyPatch, output: dict[str, Any], *, good: bool
) -> None:
    monkeypatch.setattr(executions, "follow", lambda _arn, _sleep: iter(STATES))
    monkeypatch.setattr(executions, "ended", lambda _arn: Ended("SUCCEEDED", output, "", "", 1.0))
    assert _ended(a_desk(terminal=False), "arn", "run-1").good is good
