"""The contracts between the recover machine and the code, checked by reading both, without a run."""

import math
from typing import get_args

import pytest

from quiesce import errors
from quiesce.aws.recovery_changes import CHANGES_PER_TRY
from quiesce.errors import QuiesceError
from quiesce.recovery.state import Step
from tests.support.project import ROOT, definition, template

STATES = definition("RecoverMachine")["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
FUNCTION = template()["Resources"]["RecoverFunction"]["Properties"]
# Errors that only a backup retries.
NOT_OF_RECOVERY = {"ServerBusy", "SnapshotTooSoon", "SnapshotLimitReached", "AgentUnreachable"}

# CreateSnapshots' limit of volumes of one server (EBS user guide).
MOST_VOLUMES = 128
# The most looks of a step, and generous durations of a call: of a change or a look, and of a dry run.
LOOKS, CALL_S, DRY_RUN_S = 10, 3, 0.5
# How long volumes may take after the request for the last of them.
SLOWEST_S = 15 * 60


def retried(state):
    return {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}


def waits_s(retrier):
    interval_s, rate, longest_s = (retrier[name] for name in ("IntervalSeconds", "BackoffRate", "MaxDelaySeconds"))
    return [min(interval_s * rate**n, longest_s) for n in range(retrier["MaxAttempts"])]


def longest_s(state):
    waits = [wait_s for retrier in state["Retry"] for wait_s in waits_s(retrier)]
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
    for name, state in TASKS.items():
        never = {*NOT_OF_RECOVERY, *(["NotReady"] if name == "Plan" else [])}
        assert retried(state) & ours.keys() == retryable - never, name


@pytest.mark.parametrize("state", TASKS)
def test_the_function_ends_before_its_state_and_that_before_the_machine(state):
    limit_s = TASKS[state]["TimeoutSeconds"]
    assert FUNCTION["Timeout"] < limit_s < definition("RecoverMachine")["TimeoutSeconds"]


def test_a_recovery_is_accounted_for_before_the_machine_is_cut_off():
    """With every retrier used up, and half a minute for each call, which is generous."""
    assert sum(map(longest_s, TASKS.values())) < definition("RecoverMachine")["TimeoutSeconds"]


def test_what_one_try_changes_is_done_within_the_functions_time():
    assert FUNCTION["Timeout"] > (LOOKS + CHANGES_PER_TRY) * CALL_S


def test_the_dry_runs_of_the_most_volumes_are_done_within_the_functions_time():
    assert FUNCTION["Timeout"] > LOOKS * CALL_S + (1 + MOST_VOLUMES) * DRY_RUN_S


@pytest.mark.parametrize(("state", "before"), [("MakeVolumes", 0), ("Swap", 1), ("Account", 1)])
def test_the_tries_are_enough_for_the_most_volumes_and_the_rest_for_slow_ones(state, before):
    """``before`` is a try before the first batch: Swap detaches the launch's root, Account terminates the server."""
    [not_ready] = [retrier for retrier in TASKS[state]["Retry"] if retrier["ErrorEquals"] == ["NotReady"]]
    batches = math.ceil(MOST_VOLUMES / CHANGES_PER_TRY)
    assert sum(waits_s(not_ready)[before + batches :]) >= SLOWEST_S


def test_every_state_but_choices_says_what_it_does():
    assert {state["Type"] for state in STATES.values() if "Comment" not in state} == {"Choice"}


def test_the_machine_is_short_enough_to_read():
    assert len((ROOT / "statemachine" / "recover.asl.yaml").read_text().splitlines()) <= 250
