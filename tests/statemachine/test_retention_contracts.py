"""The contracts between the retention machine and the code, checked by reading both, without a run."""

from datetime import timedelta
from typing import get_args

import pytest

from quiesce import errors
from quiesce.errors import QuiesceError
from quiesce.retention.state import Step
from quiesce.steps.retention.remove import HOLD_SERVER, RESERVE_MS
from tests.support.project import definition, template

MACHINE = definition("RetentionMachine")
STATES = MACHINE["States"]
INNER = STATES["Servers"]["ItemProcessor"]["States"]
TASKS = {name: state for name, state in {**STATES, **INNER}.items() if state["Type"] == "Task"}
FUNCTION = template()["Resources"]["RetentionFunction"]["Properties"]
OURS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, QuiesceError)}


def retried(state):
    return {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}


def test_each_step_of_the_function_is_one_state():
    assert {state["Parameters"]["step"] for state in TASKS.values()} == set(get_args(Step))


def test_nothing_is_locked_marked_deleted_or_archived_in_a_dry_run_or_before_a_plan():
    assert STATES["Servers"]["ItemProcessor"]["StartAt"] == "Plan"
    assert INNER["Plan"]["Next"] == "DryRun?"
    [choice] = INNER["DryRun?"]["Choices"]
    assert choice == {"Variable": "$.list.dry_run", "BooleanEquals": True, "Next": "Ended"}
    for later, leading in (("Lock", "DryRun?"), ("Mark", "Lock")):
        assert [name for name, each in INNER.items() if later in (each.get("Next"), each.get("Default"))] == [leading]
    assert [name for name, state in INNER.items() if state.get("Next") == "Finish"] == ["Mark"]
    # What goes is gone by then, and what is archived is asked for only where Plan has found something.
    assert [name for name, state in INNER.items() if "Archives?" in (state.get("Next"), state.get("Default"))] == [
        "Finish"
    ]
    [archives] = INNER["Archives?"]["Choices"]
    assert archives == {"Variable": "$.plan.archives", "BooleanEquals": True, "Next": "Archive"}
    assert INNER["Archives?"]["Default"] == INNER["Archive"]["Next"] == "Ended"


@pytest.mark.parametrize("state", ["Plan", "Lock", "Mark", "Finish", "Archive"])
def test_one_servers_failure_ends_in_its_own_item(state):
    assert INNER[state]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "GiveUp"}]
    assert INNER["GiveUp"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "Ended"}]
    assert INNER["Ended"]["End"] is True


def test_no_number_of_failures_ends_the_map_and_tell_follows_whatever_becomes_of_it():
    servers = STATES["Servers"]
    assert servers["ToleratedFailurePercentage"] == 100
    assert servers["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Tell"}]
    assert "Fail" not in {state["Type"] for state in INNER.values()}


@pytest.mark.parametrize("state", TASKS)
def test_what_our_errors_say_of_being_tried_again_is_what_the_definition_does(state):
    waits = {"NotReady"} if state == "Finish" else set()
    assert retried(TASKS[state]) & OURS.keys() == {"AwsThrottled", "AwsUnavailable"} | waits


@pytest.mark.parametrize("state", TASKS)
def test_the_function_ends_before_its_state_and_that_before_the_machine(state):
    assert FUNCTION["Timeout"] < TASKS[state]["TimeoutSeconds"] < MACHINE["TimeoutSeconds"]


def test_a_server_is_held_for_longer_than_a_call_and_the_wait_for_the_next():
    waits = [retrier.get("MaxDelaySeconds", 0) for retrier in INNER["Finish"]["Retry"]]
    assert timedelta(seconds=INNER["Finish"]["TimeoutSeconds"] + max(waits)) < HOLD_SERVER
    assert FUNCTION["Timeout"] * 1000 / 5 > RESERVE_MS


def test_every_state_but_choices_says_what_it_does():
    assert {state["Type"] for state in {**STATES, **INNER}.values() if "Comment" not in state} == {"Choice"}
