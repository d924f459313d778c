"""What the recover machine and the code promise each other: read from both, without running anything."""

from typing import get_args

import pytest

from quiesce import errors
from quiesce.errors import QuiesceError
from quiesce.recover_state import Step
from tests.support.project import ROOT, definition, template

STATES = definition("RecoverMachine")["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
FUNCTION = template()["Resources"]["RecoverFunction"]["Properties"]
# Raised for good by a step before anything was created, or waited for by a backup alone.
NOT_OF_RECOVERY = {"ServerBusy", "SnapshotTooSoon", "AgentUnreachable"}


def retried(state):
    return {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}


def longest_s(state):
    waits = [
        min(r["IntervalSeconds"] * r["BackoffRate"] ** n, r["MaxDelaySeconds"])
        for r in state["Retry"]
        for n in range(r["MaxAttempts"])
    ]
    return (1 + len(waits)) * 30 + sum(waits)


def test_each_step_of_the_function_is_one_state():
    assert [state["Parameters"]["step"] for state in TASKS.values()] == list(get_args(Step))
    for state in TASKS.values():
        assert state["Parameters"]["document.$"] == "$"
        assert state["ResultPath"] == f"$.{state['Parameters']['step']}"


def test_whatever_fails_is_accounted_for_with_its_true_error():
    for name, state in TASKS.items():
        [catcher] = state["Catch"]
        target, key = ("AccountFailed", "account_failure") if name == "Account" else ("Account", "failure")
        assert catcher == {"ErrorEquals": ["States.ALL"], "ResultPath": f"$.{key}", "Next": target}
    assert TASKS["Account"]["Next"] == "RecoveryFailed"
    assert {STATES[name]["ErrorPath"] for name in ("RecoveryFailed", "AccountFailed")} == {"$.failure.Error"}


def test_what_takes_its_time_is_waited_for_everywhere_but_in_plan():
    assert {name for name, state in TASKS.items() if "NotReady" in retried(state)} == TASKS.keys() - {"Plan"}


def test_what_our_errors_say_of_being_tried_again_is_what_the_definition_does():
    ours = {n: k for n, k in vars(errors).items() if isinstance(k, type) and issubclass(k, QuiesceError)}
    retryable = {name for name, kind in ours.items() if kind.retryable}
    for state in TASKS.values():
        assert retried(state) & ours.keys() <= retryable - NOT_OF_RECOVERY


@pytest.mark.parametrize("state", TASKS)
def test_the_function_ends_before_its_state_and_that_before_the_machine(state):
    limit_s = TASKS[state]["TimeoutSeconds"]
    assert FUNCTION["Timeout"] < limit_s < definition("RecoverMachine")["TimeoutSeconds"]


def test_a_recovery_is_accounted_for_before_the_machine_is_cut_off():
    """With every retrier used up, and each call half a minute long, which is much."""
    assert sum(map(longest_s, TASKS.values())) < definition("RecoverMachine")["TimeoutSeconds"]


def test_every_state_but_choices_says_what_it_does():
    assert {state["Type"] for state in STATES.values() if "Comment" not in state} == {"Choice"}


def test_the_machine_is_short_enough_to_read():
    assert len((ROOT / "statemachine" / "recover.asl.yaml").read_text().splitlines()) <= 250
