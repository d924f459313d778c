"""The contracts between the definition and the code, checked by reading both, without a run."""

import re

import pytest
import yaml
from ruamel.yaml import YAML
from statelint.linter import Linter

from quiesce import errors
from quiesce.aws.runs import ASKING_LEASE_S, LEASE_S
from quiesce.backup.awaiting import LEASE_SLACK_S, LONGEST_WAIT_S, NOTHING_CREATED, SNAPSHOT_LIMIT_S
from quiesce.backup.parameters import SESSION_LIMIT_S
from quiesce.errors import QuiesceError
from quiesce.policy.vss import Vss
from tests.support.project import ROOT, definition, definition_text, resources, step_of, template

MACHINES = sorted(resources("AWS::Serverless::StateMachine"))
STATES = definition()["States"]
TASKS = {n: state for n, state in STATES.items() if state["Type"] == "Task" and ":function:" in state["Resource"]}
# The state that starts another machine.
NESTED = STATES["Revert"]
OURS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, QuiesceError)}
# Step Functions' developer guide, "Handling errors" and "Best practices"; Runtime.ExitError: what users saw of a
# function that ran out of memory or crashed, which the guide calls Lambda.Unknown.
AWS_NAMES = {
    "States.ALL",
    "States.Timeout",
    "Sandbox.Timedout",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
}
# What Step Functions reports where it did not start another machine: the first by its developer guide ("Start workflow
# executions"), the second as executions have it (moto's names, compared with AWS), the third of AWS's own solutions
# for what its client has no class for, such as throttling, and the last as of Lambda's.
NOT_STARTED = {
    "StepFunctions.ExecutionLimitExceeded",
    "StepFunctions.ExecutionLimitExceededException",
    "StepFunctions.AWSStepFunctionsException",
    "StepFunctions.SdkClientException",
}
# The highest values that a policy may have.
MOST = {
    name: next(bound.le for bound in Vss.model_fields[name].metadata if hasattr(bound, "le"))
    for name in ("retries", "retry_wait_s")
}
# The state that calls a function under a second name.
SECOND = {"ThawBeforeRetry": "thaw"}
# An event starts it when an execution has ended without a report.
BY_EVENT = "SweepFunction"
# The other machines' functions, whose contracts are in tests of their own; the error that only they retry.
OF_OTHERS = {
    "RecoverFunction",
    "RevertFunction",
    "ResolveFunction",
    "SummarizeFunction",
    "RetentionFunction",
    "DoctorFunction",
    "MendFunction",
    "ScheduleFunction",
    "PostureFunction",
    "PageFunction",
}
RETRIED_BY_OTHERS = {"NotReady"}
# AWS's asl-validator knows this field of an ItemReader (developer guide); statelint is older.
NEWER_THAN_STATELINT = {
    f'Field "InputType" not allowed in State Machine.States.{state}.ItemReader.ReaderConfig'
    for state in ("BackUp", "Servers")
}
# What Snapshot tries again only if nothing was frozen.
UNFROZEN = [rule for rule in TASKS["Snapshot"]["Retry"] if rule["ErrorEquals"] == ["SnapshotLimitReached"]]
# Base classes, which no step raises.
ABSTRACT = {"QuiesceError", "Refused"}


def text_of(machine):
    return (ROOT / template()["Resources"][machine]["Properties"]["DefinitionUri"]).read_text()


def names_in(field):
    return {name for state in TASKS.values() for rule in state.get(field, []) for name in rule["ErrorEquals"]}


def function_of(state):
    return template()["Resources"][TASKS[state]["Resource"].rpartition(":")[2]]["Properties"]


def timeout_s(state):
    return function_of(state).get("Timeout", template()["Globals"]["Function"]["Timeout"])


def longest_wait_s(retrier):
    """Return the sum of a retrier's pauses at their longest: jitter only shortens them."""
    ceiling = retrier.get("MaxDelaySeconds", float("inf"))
    steps = range(retrier["MaxAttempts"])
    return sum(min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** step, ceiling) for step in steps)


def nested_s():
    """Return how long the start of the other machine and its execution take at most."""
    return NESTED["TimeoutSeconds"] + sum(map(longest_wait_s, NESTED["Retry"]))


def longest_s(state, without=()):
    """Return how long a visit of a Task takes if it uses up every other retrier and every call takes its longest."""
    retriers = [retrier for retrier in TASKS[state]["Retry"] if retrier not in without]
    calls = 1 + sum(retrier["MaxAttempts"] for retrier in retriers)
    return calls * TASKS[state]["TimeoutSeconds"] + sum(map(longest_wait_s, retriers))


def as_frozen(state):
    """Return a state without the ways that only a run takes that freezes nothing."""
    unfrozen = {"Variable": "$.plan.freezes", "BooleanEquals": False}
    return {**state, "Choices": [rule for rule in state.get("Choices", []) if not unfrozen.items() <= rule.items()]}


def targets_of(state):
    choices = [rule["Next"] for field in ("Choices", "Catch") for rule in state.get(field, [])]
    return {*choices, *(state[field] for field in ("Next", "Default") if field in state)}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_linter_of_amazon_states_language_finds_nothing(machine):
    assert set(Linter.validate(definition(machine))) <= NEWER_THAN_STATELINT


@pytest.mark.parametrize("machine", MACHINES)
def test_every_name_in_the_definition_is_substituted_by_the_template_and_the_reverse(machine):
    given = template()["Resources"][machine]["Properties"]["DefinitionSubstitutions"]
    assert set(re.findall(r"\$\{([^}]+)\}", text_of(machine))) == set(given)


@pytest.mark.parametrize("text", [*map(text_of, MACHINES), *map(definition_text, MACHINES)])
def test_sams_own_reader_of_yaml_reads_the_same(text):
    """It is one of YAML 1.1, and stumbles over a name with a question mark in braces that is not quoted."""
    assert yaml.safe_load(text) == YAML(typ="safe", pure=True).load(text)


def test_what_may_be_tried_again_is_said_once_for_both_machines():
    for name in re.findall(r"[\w.]+", " ".join(template()["Mappings"]["TransientErrors"]["Names"].values())):
        assert (ROOT / "template.yaml").read_text().count(name) == 1, name
        assert not any(name in text_of(machine) for machine in MACHINES), name


def test_the_machine_is_short_enough_to_read():
    assert len(text_of("BackupMachine").splitlines()) <= 300


@pytest.mark.parametrize("machine", MACHINES)
def test_the_query_language_is_jsonpath(machine):
    assert "QueryLanguage" not in text_of(machine)
    assert "{%" not in text_of(machine)


def test_every_error_that_is_retried_or_caught_is_ours_or_awss():
    assert names_in("Retry") | names_in("Catch") <= OURS.keys() | AWS_NAMES


def test_what_our_errors_say_of_being_tried_again_is_what_the_definition_does():
    retryable = {name for name, kind in OURS.items() if kind.retryable}
    assert names_in("Retry") & OURS.keys() == retryable - RETRIED_BY_OTHERS


def test_a_server_that_does_not_answer_is_asked_again_where_asking_late_still_helps():
    """Not in Freeze: a run that is not frozen by then goes on to Thaw."""
    asked_again = {n for n, s in TASKS.items() if any("AgentUnreachable" in r["ErrorEquals"] for r in s["Retry"])}
    assert asked_again == {"Thaw", "ThawBeforeRetry", "Complete"}


def test_no_error_is_retried_twice_in_one_state_and_none_with_everything():
    for name, state in TASKS.items():
        retried = [error for retrier in state["Retry"] for error in retrier["ErrorEquals"]]
        assert len(retried) == len(set(retried)), name
        assert not {"States.ALL", "States.TaskFailed"} & set(retried), name


def test_a_dead_function_is_tried_again_where_its_step_may_be_repeated_and_only_there():
    dead = {"Sandbox.Timedout", "Lambda.Unknown", "Runtime.ExitError", "States.Timeout"}
    repeated = {name for name, state in TASKS.items() if any(dead <= set(r["ErrorEquals"]) for r in state["Retry"])}
    assert repeated == TASKS.keys() - {"Snapshot"}
    assert not any(dead & set(retrier["ErrorEquals"]) for retrier in TASKS["Snapshot"]["Retry"])


def test_errors_after_which_nothing_is_looked_for_exist():
    assert NOTHING_CREATED.issubset(OURS.keys() - ABSTRACT)
    assert "OutcomeUnknown" not in NOTHING_CREATED


@pytest.mark.parametrize("state", TASKS)
def test_the_innermost_time_limit_is_the_shortest(state):
    """So that Step Functions reports the error with the best name."""
    assert timeout_s(state) <= TASKS[state]["TimeoutSeconds"] < definition()["TimeoutSeconds"]


def test_a_run_is_judged_before_the_machine_is_cut_off():
    """A machine that times out runs no Report: it leaves no record and no mail, and keeps the lease."""
    # AWS's document is sent once: such a run makes no other attempt.
    steps_s = sum(longest_s(name) for name in TASKS.keys() - {"SnapshotByAws"})
    frozen_s = longest_s("Snapshot", without=UNFROZEN)
    attempt_s = longest_s("Freeze") + frozen_s + longest_s("ThawBeforeRetry") + MOST["retry_wait_s"]
    attempts_s = MOST["retries"] * attempt_s
    steps_s += nested_s()
    assert longest_s("SnapshotByAws") <= attempts_s
    assert steps_s + attempts_s + SNAPSHOT_LIMIT_S + LONGEST_WAIT_S < definition()["TimeoutSeconds"]


def test_the_lease_outlasts_the_worst_case_of_what_stands_between_two_who_renew_it():
    """With every retrier used up and every call at its longest; Freeze and each AwaitSnapshots renew the lease."""
    one = {name: state["TimeoutSeconds"] for name, state in TASKS.items()}
    # Snapshot itself renews it before each wait for pending snapshots.
    assert all(rule["IntervalSeconds"] + 2 * one["Snapshot"] <= LEASE_S for rule in UNFROZEN)
    snapshot_s = longest_s("Snapshot", without=UNFROZEN)
    assert one["Plan"] + snapshot_s + one["AwaitSnapshots"] <= LEASE_S
    # The last look leaves it as it is unless that look comes late.
    assert one["AwaitSnapshots"] <= LEASE_S - LEASE_SLACK_S
    by_aws_s = longest_s("SnapshotByAws")
    assert one["Freeze"] + by_aws_s + snapshot_s + longest_s("Thaw") + one["AwaitSnapshots"] <= ASKING_LEASE_S
    assert one["Freeze"] + snapshot_s + longest_s("ThawBeforeRetry") + MOST["retry_wait_s"] <= ASKING_LEASE_S
    after_s = sum(map(longest_s, ("Verify", "Complete", "MakeImage", "Report")))
    assert after_s + nested_s() <= ASKING_LEASE_S - LEASE_SLACK_S


def test_a_build_that_fails_or_takes_too_long_ends_no_run():
    """Its error is kept for the record, and the application's complete script runs all the same."""
    assert NESTED["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.revert_failure", "Next": "Complete"}]
    assert NESTED["Parameters"]["Input"]["request.$"] == "$.verify.request"
    assert NESTED["Resource"].endswith(":states:startExecution.sync:2")


@pytest.mark.parametrize("machine", ["BackupMachine", "RecoverMachine"])
def test_a_build_that_did_not_start_is_tried_again_and_one_that_failed_is_not(machine):
    """It has tried all that can be tried again itself; hours later, its parent would only begin it anew."""
    nested = definition(machine)["States"]["Revert"]
    assert [set(retrier["ErrorEquals"]) for retrier in nested["Retry"]] == [NOT_STARTED]


def test_the_server_ends_a_session_by_itself_only_when_aws_has_certainly_ended():
    assert definition()["TimeoutSeconds"] < SESSION_LIMIT_S


def test_every_way_ends_through_report_or_changes_nothing():
    def ends_without(state, passed):
        following = targets_of(STATES[state]) - passed
        if not targets_of(STATES[state]):
            return {state}
        return set().union(*(ends_without(name, passed | {name}) for name in following))

    assert ends_without("Begin", {"Begin", "Report"}) == {"AlreadyStarted"}


def test_everything_that_a_task_does_not_expect_is_caught():
    for name, state in TASKS.items():
        assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
        own = f"$.{step_of(state['Resource'].rpartition(':')[2])}_failure"
        kept = {"$.failure", own, "$.snapshot_refused", "$.retry_failure"}
        assert {catcher["ResultPath"] for catcher in state["Catch"]} <= kept, name
        assert len({catcher["ResultPath"] for catcher in state["Catch"]} & {"$.failure", own, "$.retry_failure"}) == 1


def test_once_the_server_may_be_frozen_every_way_thaws_completes_and_reports_in_this_order():
    def ways(state, passed):
        for following in targets_of(as_frozen(STATES[state])) - set(passed):
            yield from ways(following, [*passed, following])
        if not targets_of(STATES[state]):
            yield [name for name in passed if name in ("Thaw", "Complete", "Report")]

    # Plan alone says whether a run freezes, and Freeze is entered only if it does.
    assert {n for n, s in STATES.items() if "Freeze" in targets_of(s)} == {"Freezes?", "WaitBeforeRetry"}
    skipped = {"Not": {"Variable": "$.plan.skipped", "StringEquals": ""}, "Next": "Report"}
    freezes = {"Variable": "$.plan.freezes", "BooleanEquals": True, "Next": "Freeze"}
    assert STATES["Freezes?"]["Choices"] == [skipped, freezes]

    assert {tuple(way) for way in ways("Freeze", ["Freeze"])} == {("Thaw", "Complete", "Report")}


def test_no_two_branches_of_a_choice_lead_to_the_same_state():
    for name, state in STATES.items():
        following = [rule["Next"] for rule in state.get("Choices", [])] + [state.get("Default")]
        assert len(following) == len(set(following)), name


def test_each_step_adds_one_key_of_its_own_name_and_the_last_one_leaves_the_record_alone():
    for name, state in TASKS.items():
        step = step_of(state["Resource"].rpartition(":")[2])
        assert state["ResultPath"] == ("$" if step == "report" else f"$.{step}")
        assert step == SECOND.get(name) or step == re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_every_function_is_a_step_and_every_step_a_function():
    used = {state["Resource"].rpartition(":")[2] for state in TASKS.values()}
    assert used | {BY_EVENT} | OF_OTHERS == set(resources("AWS::Serverless::Function"))
    folders = {path.name for path in (ROOT / "functions").iterdir() if (path / "app.py").exists()}
    assert {step_of(name) for name in used | {BY_EVENT} | OF_OTHERS} == folders


def test_whoever_reads_a_failed_execution_finds_the_true_error():
    for name, state in STATES.items():
        if state["Type"] == "Fail":
            assert {"ErrorPath", "CausePath"} <= state.keys(), name


def test_every_state_but_choices_and_ends_says_what_it_does():
    silent = {name for name, state in STATES.items() if "Comment" not in state}
    assert {STATES[name]["Type"] for name in silent} <= {"Choice"}
