"""The contracts between the recover machine and the code, checked by reading both, without a run."""

import math
from typing import get_args

import pytest

from quiesce import errors
from quiesce.aws.recovery_changes import CHANGES_PER_TRY
from quiesce.errors import QuiesceError
from quiesce.points.restoring import NEEDED, RESTORED_DAYS
from quiesce.points.tier import RESTORE_HOURS
from quiesce.recovery.state import Step
from quiesce.retention.images import REPLACED_FOR
from quiesce.steps.recovery.plan import LOOK_LEASE
from tests.support.project import ROOT, definition, template

STATES = definition("RecoverMachine")["States"]
FUNCTION_OF = {name: state["Resource"] for name, state in STATES.items() if state["Type"] == "Task"}
TASKS = {name: STATES[name] for name, resource in FUNCTION_OF.items() if resource.endswith(":RecoverFunction")}
# What is done by others: to look what can be built, and to build it in a machine of its own.
LOOK, NESTED = STATES["Look"], STATES["Revert"]
FUNCTION = template()["Resources"]["RecoverFunction"]["Properties"]
NO_WAIT = {"Plan", "Weigh"}
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
        # Weigh completes the plan.
        kept = {"weigh": "plan"}.get(state["Parameters"]["step"], state["Parameters"]["step"])
        assert state["ResultPath"] == f"$.{kept}"


def test_what_was_told_is_what_is_built():
    assert LOOK["Parameters"]["document"]["input"] == {"request.$": "$.plan.plan.build"}
    assert (LOOK["Parameters"]["step"], LOOK["Resource"].rpartition(":")[2]) == ("look", "RevertFunction")
    told = {"request.$": "$.plan.plan.build", "looked.$": "$.plan.plan.looked"}
    assert told.items() <= NESTED["Parameters"]["Input"].items()
    assert NESTED["TimeoutSeconds"] > definition("RevertMachine")["TimeoutSeconds"]
    for state in (LOOK, NESTED):
        assert state["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.failure", "Next": "Account"}]


def test_nothing_is_launched_before_all_is_built():
    assert NESTED["Next"] == "Launch"
    assert {name for name, state in STATES.items() if "Launch" in str(state.get("Next", state.get("Default")))} == {
        "DryRun?",
        "Revert",
    }


def test_whatever_fails_is_accounted_for_with_its_true_error():
    for name, state in TASKS.items():
        [catcher] = state["Catch"]
        # What EndSession can't learn, the hand-over says: the server is recovered.
        others = {"Account": ("AccountFailed", "account_failure"), "EndSession": ("Finish", "end_session_failure")}
        target, key = others.get(name, ("Account", "failure"))
        assert catcher == {"ErrorEquals": ["States.ALL"], "ResultPath": f"$.{key}", "Next": target}
    assert TASKS["Account"]["Next"] == "RecoveryFailed"
    # The account has the error of a build's own machine, too.
    assert STATES["RecoveryFailed"]["ErrorPath"] == "$.account.error"
    assert STATES["AccountFailed"]["ErrorPath"] == "$.failure.Error"


def test_what_takes_its_time_is_waited_for_everywhere_but_in_plan():
    assert {name for name, state in TASKS.items() if "NotReady" in retried(state)} == TASKS.keys() - NO_WAIT


def test_what_our_errors_say_of_being_tried_again_is_what_the_definition_does():
    ours = {n: k for n, k in vars(errors).items() if isinstance(k, type) and issubclass(k, QuiesceError)}
    retryable = {name for name, kind in ours.items() if kind.retryable}
    for name, state in TASKS.items():
        never = {*NOT_OF_RECOVERY, *(["NotReady"] if name in NO_WAIT else [])}
        never -= {"AgentUnreachable"} if name == "EndSession" else set()
        assert retried(state) & ours.keys() == retryable - never, name


@pytest.mark.parametrize("state", TASKS)
def test_the_function_ends_before_its_state_and_that_before_the_machine(state):
    limit_s = TASKS[state]["TimeoutSeconds"]
    assert FUNCTION["Timeout"] < limit_s < definition("RecoverMachine")["TimeoutSeconds"]


def test_a_recovery_is_accounted_for_before_the_machine_is_cut_off():
    """With every retrier used up, and half a minute for each call, which is generous."""
    others_s = longest_s(LOOK) + NESTED["TimeoutSeconds"] + sum(sum(waits_s(retrier)) for retrier in NESTED["Retry"])
    assert others_s + sum(map(longest_s, TASKS.values())) < definition("RecoverMachine")["TimeoutSeconds"]


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
    assert len((ROOT / "statemachine" / "recover.asl.yaml").read_text().splitlines()) <= 280


def test_the_lease_of_a_recovery_point_covers_the_longest_recovery_and_the_longest_look():
    """Restore holds it anew with each of its looks."""
    rest_s = definition("RecoverMachine")["TimeoutSeconds"] - longest_s(STATES["Restore"])
    assert rest_s < 48 * 3600
    others_s = longest_s(LOOK) + NESTED["TimeoutSeconds"] + sum(sum(waits_s(retrier)) for retrier in NESTED["Retry"])
    states_s = sum(longest_s(state) for name, state in TASKS.items() if name != "Restore")
    longest_wait_s = max(waits_s(STATES["Restore"]["Retry"][0]))
    assert others_s + states_s + longest_wait_s < NEEDED.total_seconds()
    assert longest_s(LOOK) < LOOK_LEASE.total_seconds()


def test_an_image_that_was_chosen_before_a_restore_is_there_after_it():
    assert definition("RecoverMachine")["TimeoutSeconds"] < REPLACED_FOR.total_seconds()


def test_a_restore_is_waited_for_longer_than_ebs_takes_for_fifteen_snapshots():
    [not_ready] = [retrier for retrier in STATES["Restore"]["Retry"] if retrier["ErrorEquals"] == ["NotReady"]]
    assert sum(waits_s(not_ready)) > 3 * RESTORE_HOURS * 3600
    # Whether the days begin with the call or with the end of the restore, one that ends last has some left.
    assert RESTORED_DAYS * 24 > RESTORE_HOURS


def test_nothing_is_restored_by_a_dry_run_or_looked_into_before_it_is_restored():
    assert TASKS["Plan"]["Next"] == "Archived?"
    assert STATES["Archived?"]["Choices"] == [
        {"Variable": "$.plan.to_restore", "BooleanEquals": True, "Next": "Restore"}
    ]
    assert STATES["Archived?"]["Default"] == STATES["Restore"]["Next"] == "Reverts?"
