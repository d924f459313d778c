"""Each transition of the definition has a test here, because the list is made from the definition.

A new branch, retry or catch without a scenario is red, and so is a scenario that does not take its transition.
"""

import pytest

from tests.statemachine.transitions import possible, taken
from tests.support.project import definition, step_of
from tests.support.wire import dies_after, refused, unreachable

STATES = definition()["States"]
WAYS = sorted(possible(definition()))
BOTO_ATTEMPTS = 4
# A repeatable call of each step.
CALL = {
    "Plan": "s3:GetObject",
    "Snapshot": "dynamodb:UpdateItem",
    "AwaitSnapshots": "ec2:DescribeSnapshots",
    "Report": "s3:PutObject",
}


def good(machine, cloud, request):
    return machine.start(request)


def refused_by_plan(machine, cloud, request):
    return machine.start({**request, "policy": "no-such-policy"})


def started_twice(machine, cloud, request):
    scheduled = {**request, "scheduled_time": "2026-11-24T01:30:00Z"}
    machine.start(scheduled)
    return machine.start(scheduled)


def snapshot_dies(machine, cloud, request):
    machine.wire.on("ec2:CreateSnapshots", dies_after, nth=2)
    return machine.start(request)


def looking_is_denied(machine, cloud, request):
    machine.wire.on("ec2:DescribeSnapshots", refused("UnauthorizedOperation", 403))
    return machine.start(request)


def recording_is_denied(machine, cloud, request):
    machine.wire.on("s3:PutObject", refused("AccessDenied", 403))
    return machine.start(request)


SCENARIOS = {
    ("Begin", "next", "Plan"): good,
    ("Plan", "next", "Snapshot"): good,
    ("Plan", "catch 0", "AlreadyStarted"): started_twice,
    ("Plan", "catch 1", "Report"): refused_by_plan,
    ("Snapshot", "next", "AwaitSnapshots"): good,
    ("Snapshot", "catch 0", "AwaitSnapshots"): snapshot_dies,
    ("AwaitSnapshots", "next", "Complete?"): good,
    ("AwaitSnapshots", "catch 0", "Report"): looking_is_denied,
    ("Complete?", "choice 0", "Report"): good,
    ("Complete?", "default", "WaitForSnapshots"): good,
    ("WaitForSnapshots", "next", "AwaitSnapshots"): good,
    ("Report", "next", "Failed?"): good,
    ("Report", "catch 0", "ReportFailed"): recording_is_denied,
    ("Failed?", "choice 0", "BackupFailed"): refused_by_plan,
    ("Failed?", "default", "Recorded"): good,
    ("Recorded", "end", ""): good,
    ("BackupFailed", "end", ""): refused_by_plan,
    ("ReportFailed", "end", ""): recording_is_denied,
    ("AlreadyStarted", "end", ""): started_twice,
}


def max_attempts(state, error):
    return next(r["MaxAttempts"] for r in STATES[state]["Retry"] if error in r["ErrorEquals"])


def order(machine, cloud, state, error, *, times):
    """Let a step end in this error, so many times in a row."""
    match error:
        case "ServerBusy":
            [instance_id] = cloud.server_ids()
            cloud.hold(instance_id, run_id="another-run", until_s=machine.clock.now_s + 86_400)
            if times <= max_attempts(state, error):
                machine.clock.at_next_wait(*[lambda: None] * (times - 1), lambda: cloud.free(instance_id))
        case "SnapshotTooSoon":
            too_soon = refused("SnapshotCreationPerVolumeRateExceeded")
            machine.wire.on("ec2:CreateSnapshots", too_soon, nth=2, times=times)
        case "AwsThrottled":
            machine.wire.on(CALL[state], refused("ThrottlingException"), times=times * BOTO_ATTEMPTS)
        case "AwsUnavailable":
            machine.wire.on(CALL[state], unreachable, times=times * BOTO_ATTEMPTS)
        case _ if error.startswith(("Lambda.", "Sandbox.", "States.")):
            machine.lambda_fails(step_of(f"{state}Function"), *[error] * times)
        case _:
            raise AssertionError(f"nobody knows how {state} ends in {error}")


@pytest.mark.parametrize(
    "way", [way for way in WAYS if " " not in way[1] or way[1].startswith(("catch", "choice"))], ids=str
)
def test_the_definition_is_gone_through_on(way, machine, cloud, request_for):
    run = SCENARIOS[way](machine, cloud, request_for)
    assert way in taken(run)


@pytest.mark.parametrize("way", [way for way in WAYS if way[1].startswith("retry ")], ids=str)
def test_a_step_that_fails_once_is_tried_again_and_the_run_is_good(way, machine, cloud, request_for):
    state, error = way[0], way[1].removeprefix("retry ")
    order(machine, cloud, state, error, times=1)
    run = machine.start(request_for)
    assert way in taken(run)
    assert run.status == "SUCCEEDED"
    assert cloud.snapshot_sets() == 1
    assert cloud.lease(request_for["instance_id"]) is None


@pytest.mark.parametrize("way", [way for way in WAYS if way[1].startswith("exhausted ")], ids=str)
def test_a_step_that_goes_on_failing_is_given_up_under_its_true_name(way, machine, cloud, request_for):
    state, error = way[0], way[1].removeprefix("exhausted ")
    order(machine, cloud, state, error, times=max_attempts(state, error) + 1)
    run = machine.start(request_for)
    assert way in taken(run)
    assert (run.status, run.error) == ("FAILED", error)
    assert machine.invocations.count(step_of(f"{state}Function")) == max_attempts(state, error) + 1
    assert cloud.snapshot_sets() == (1 if state in ("AwaitSnapshots", "Report") else 0)
    if state != "Report":
        assert cloud.mails()[-1][0].startswith("Failed: ")


def test_no_scenario_is_left_from_an_older_definition():
    assert set(SCENARIOS) <= set(WAYS)
