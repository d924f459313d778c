"""The contracts between the doctor machine and the code, checked by reading both, without a run."""

from typing import get_args

import pytest

from quiesce import errors
from quiesce.doctor.state import Step
from quiesce.errors import QuiesceError
from quiesce.guest.patience import EXAMINE_PATIENCE
from tests.support.project import definition, template

MACHINE = definition("DoctorMachine")
STATES = MACHINE["States"]
INNER = STATES["Servers"]["ItemProcessor"]["States"]
TASKS = {name: state for name, state in {**STATES, **INNER}.items() if state["Type"] == "Task"}
FUNCTION = template()["Resources"]["DoctorFunction"]["Properties"]
OURS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, QuiesceError)}


def retried(state):
    return {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}


def test_each_step_of_the_function_is_one_state():
    assert {state["Parameters"]["step"] for state in TASKS.values()} == set(get_args(Step))


def test_one_servers_failure_ends_in_its_own_item():
    assert INNER["Examine"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "GiveUp"}]
    assert INNER["GiveUp"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Ended"}]
    assert INNER["Ended"]["End"] is True


def test_no_number_of_failures_ends_the_map_and_tell_follows_whatever_becomes_of_it():
    servers = STATES["Servers"]
    assert servers["ToleratedFailurePercentage"] == 100
    assert servers["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Tell"}]
    assert "Fail" not in {state["Type"] for state in INNER.values()}


@pytest.mark.parametrize("state", TASKS)
def test_what_our_errors_say_of_being_tried_again_is_what_the_definition_does(state):
    assert retried(TASKS[state]) & OURS.keys() == {"AwsThrottled", "AwsUnavailable"}


@pytest.mark.parametrize("state", TASKS)
def test_the_function_ends_before_its_state_and_that_before_the_machine(state):
    assert FUNCTION["Timeout"] < TASKS[state]["TimeoutSeconds"] < MACHINE["TimeoutSeconds"]


def test_a_server_may_take_its_time_to_answer_within_one_call_of_the_function():
    assert EXAMINE_PATIENCE.limit_s + 60 < FUNCTION["Timeout"]


def test_every_state_but_choices_says_what_it_does():
    assert {state["Type"] for state in {**STATES, **INNER}.values() if "Comment" not in state} == {"Choice"}
