"""The contracts between the doctor machine and the code, checked by reading both, without a run."""

from typing import get_args

import pytest

from quiesce import errors
from quiesce.aws.runs import LEASE_S
from quiesce.doctor.state import MendingStep, Step
from quiesce.errors import QuiesceError
from quiesce.guest.patience import EXAMINE_PATIENCE, PACKAGE_PATIENCE, SET_PATIENCE, UPDATE_PATIENCE
from tests.support.project import definition, template

MACHINE = definition("DoctorMachine")
STATES = MACHINE["States"]
INNER = STATES["Servers"]["ItemProcessor"]["States"]
TASKS = {name: state for name, state in {**STATES, **INNER}.items() if state["Type"] == "Task"}
FUNCTIONS = {name: template()["Resources"][f"{name}Function"]["Properties"] for name in ("Doctor", "Mend")}
MENDING = {"GiveBack", "Mend", "Hold"}
OURS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, QuiesceError)}


def retried(state):
    return {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}


def function_of(state):
    return FUNCTIONS["Mend" if state in MENDING else "Doctor"]


def test_each_step_of_the_functions_is_one_state():
    steps = {name: state["Parameters"]["step"] for name, state in TASKS.items()}
    assert {step for name, step in steps.items() if name in MENDING} == set(get_args(MendingStep))
    assert {step for name, step in steps.items() if name not in MENDING} == set(get_args(Step))
    assert all(state["Resource"].endswith("MendFunction") == (name in MENDING) for name, state in TASKS.items())


def test_only_an_input_that_says_so_changes_a_server():
    assert STATES["Servers"]["ItemProcessor"]["StartAt"] == "Undo?"
    leading = {
        name
        for name, state in INNER.items()
        if {"Mend", "GiveBack"} & {state.get("Next"), *(choice["Next"] for choice in state.get("Choices", ()))}
    }
    assert leading == {"Undo?", "Fix?"}
    assert INNER["Undo?"]["Default"] == "Examine"
    assert INNER["Fix?"]["Default"] == "Ended"


def test_a_server_is_held_for_as_long_as_the_function_that_changes_it_may_run():
    assert FUNCTIONS["Mend"]["Timeout"] < LEASE_S
    # An update stands alone, since an agent that needs it is asked for nothing else.
    for longest in (UPDATE_PATIENCE.limit_s, PACKAGE_PATIENCE.limit_s + 4 * SET_PATIENCE.limit_s):
        assert longest + 60 < FUNCTIONS["Mend"]["Timeout"]


def test_one_servers_failure_ends_in_its_own_item():
    assert INNER["Examine"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "GiveUp"}]
    for name in ("Mend", "GiveBack"):
        assert INNER[name]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Hold"}]
    assert INNER["GiveUp"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Ended"}]
    assert INNER["Ended"]["End"] is True


def test_no_number_of_failures_ends_the_map_and_tell_follows_whatever_becomes_of_it():
    servers = STATES["Servers"]
    assert servers["ToleratedFailurePercentage"] == 100
    assert servers["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Tell"}]
    assert "Fail" not in {state["Type"] for state in INNER.values()}


@pytest.mark.parametrize("state", TASKS)
def test_what_our_errors_say_of_being_tried_again_is_what_the_definition_does(state):
    waiting = {"ServerBusy"} if state in ("Mend", "GiveBack") else set()
    assert retried(TASKS[state]) & OURS.keys() == {"AwsThrottled", "AwsUnavailable"} | waiting


@pytest.mark.parametrize("state", TASKS)
def test_the_function_ends_before_its_state_and_that_before_the_machine(state):
    assert function_of(state)["Timeout"] < TASKS[state]["TimeoutSeconds"] < MACHINE["TimeoutSeconds"]


def test_a_server_may_take_its_time_to_answer_within_one_call_of_the_function():
    assert EXAMINE_PATIENCE.limit_s + 60 < FUNCTIONS["Doctor"]["Timeout"]


def test_every_state_but_choices_says_what_it_does():
    assert {state["Type"] for state in {**STATES, **INNER}.values() if "Comment" not in state} == {"Choice"}
