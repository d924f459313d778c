"""The contracts between the revert machine and the code, checked by reading both, without a run."""

from typing import get_args

import pytest

from quiesce import errors
from quiesce.errors import QuiesceError
from quiesce.revert.look import SIDE_BY_SIDE
from quiesce.revert.state import Step
from quiesce.steps.revert.parts import RESERVE_MS
from tests.support.project import ROOT, definition, template

MACHINE = definition("RevertMachine")
STATES = MACHINE["States"]
MAPS = {name: state for name, state in STATES.items() if state["Type"] == "Map"}
INNER = {name: state for each in MAPS.values() for name, state in each["ItemProcessor"]["States"].items()}
TASKS = {name: state for name, state in {**STATES, **INNER}.items() if state["Type"] == "Task"}
FUNCTION = template()["Resources"]["RevertFunction"]["Properties"]
OURS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, QuiesceError)}
# Who waits for what, beside the errors that every step retries.
WAITS = {
    "start": {"NotReady", "SnapshotLimitReached"},
    "build": {"NotReady"},
    "complete": {"NotReady"},
    "await": {"NotReady"},
    "check": {"NotReady"},
}
# EBS's quota of Puts, and AWS's own arithmetic of 10 a connection (EBS User Guide, direct APIs).
PUTS_PER_SECOND, PUTS_OF_A_CONNECTION = 1000, 10


def retried(state):
    return {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}


def test_each_step_of_the_function_is_one_state_but_that_for_others():
    """A recovery calls the function itself to discard what was built for it."""
    assert {state["Parameters"]["step"] for state in TASKS.values()} == set(get_args(Step)) - {"discard"}


def test_a_part_goes_through_the_loop_until_it_is_done():
    for name, state in MAPS.items():
        inside = state["ItemProcessor"]["States"]
        [task] = [each for each in inside.values() if each["Type"] == "Task"]
        assert state["ItemsPath"] == "$.start.parts"
        assert state["MaxConcurrency"] == SIDE_BY_SIDE
        assert task["Parameters"]["part.$"] == task["ResultPath"] == "$.part"
        [choice] = [each for each in inside.values() if each["Type"] == "Choice"]
        assert choice["Default"] == state["ItemProcessor"]["StartAt"], name


def test_functions_side_by_side_stay_below_the_quota_of_puts():
    from functions.revert.app import step

    assert SIDE_BY_SIDE * step.side_by_side * PUTS_OF_A_CONNECTION <= PUTS_PER_SECOND


def test_whatever_fails_abandons_what_was_built_and_ends_with_its_true_error():
    for name, state in STATES.items():
        if state["Type"] in ("Task", "Map") and name != "Abandon":
            assert state["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Abandon"}]
    assert STATES["Abandon"]["Next"] == STATES["Abandon"]["Catch"][0]["Next"] == "BuildFailed"
    assert STATES["BuildFailed"]["ErrorPath"] == "$.failure.Error"


@pytest.mark.parametrize("state", TASKS)
def test_what_our_errors_say_of_being_tried_again_is_what_the_definition_does(state):
    always = {"AwsThrottled", "AwsUnavailable"}
    waits = WAITS.get(TASKS[state]["Parameters"]["step"], set())
    assert retried(TASKS[state]) & OURS.keys() == always | waits
    assert all(OURS[name].retryable for name in always | waits)


@pytest.mark.parametrize("state", TASKS)
def test_the_function_ends_before_its_state_and_that_before_the_machine(state):
    assert FUNCTION["Timeout"] < TASKS[state]["TimeoutSeconds"] < MACHINE["TimeoutSeconds"]


def test_a_call_has_most_of_its_time_for_blocks():
    assert FUNCTION["Timeout"] * 1000 / 5 > RESERVE_MS


def test_every_state_but_choices_and_ends_says_what_it_does():
    silent = {name for name, state in {**STATES, **INNER}.items() if "Comment" not in state}
    assert {({**STATES, **INNER})[name]["Type"] for name in silent} <= {"Choice"}


def test_the_machine_is_short_enough_to_read():
    assert len((ROOT / "statemachine/revert.asl.yaml").read_text().splitlines()) <= 280
