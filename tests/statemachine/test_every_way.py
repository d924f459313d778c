"""Each transition of the definition has a test here, because the list comes from the definition.

A new branch, retry or catch without a scenario fails, and so does a scenario that does not take its transition.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from quiesce import errors
from quiesce.backup.parameters import SESSION_LIMIT_S
from sandbox.windows.cluster import sql_cluster
from tests.statemachine.transitions import possible, taken
from tests.support.factories.policy import a_policy
from tests.support.project import definition, step_of
from tests.support.wire import dies_after, refused, unreachable

STATES = definition()["States"]
WAYS = sorted(possible(definition()))
# States that act only in a run with scripts.
ASKING = {"Freezes?", "Freeze", "Frozen?", "Thaw", "Complete"}
# States that act only where VSS made shadow copies.
WITH_VSS = {"Verify"}
# States that a run enters only if VSS times out and another attempt follows.
RETRYING = {"Retry", "ThawBeforeRetry", "WaitBeforeRetry", "CrashAllowed?"}
# The state that starts another machine.
BUILDING = {"Revert"}
# States that a run enters only if AWS's document makes its snapshots.
BY_AWS = {"SnapshotByAws", "Made?"}
# The name that Step Functions' guide gives; moto's end with Exception, and that one stands beside it.
NOT_IN_MOTO = "retry StepFunctions.ExecutionLimitExceeded"
# A repeatable call of each step, and how often boto3 sends it before it gives up.
CALL = {
    "Plan": ("s3:GetObject", 4),
    "Freeze": ("ssm:SendCommand", 1),
    "Snapshot": ("dynamodb:UpdateItem", 4),
    "SnapshotByAws": ("ssm:SendCommand", 1),
    "Thaw": ("ssm:SendCommand", 1),
    "ThawBeforeRetry": ("ssm:SendCommand", 1),
    "AwaitSnapshots": ("ec2:DescribeSnapshots", 4),
    "Verify": ("ebs:ListSnapshotBlocks", 4),
    "Complete": ("ssm:SendCommand", 1),
    "MakeImage": ("ec2:DescribeImages", 1),
    "Report": ("s3:PutObject", 4),
}


# A retrier counts all its errors together, so of Step Functions' own names these are enough to use one up.
EXHAUSTING = {name for name in vars(errors) if name[0].isupper()} | {
    "Lambda.ServiceException",
    "Sandbox.Timedout",
    "StepFunctions.AWSStepFunctionsException",
}
# States whose failure does not end the run.
GOES_ON = {"Thaw", "ThawBeforeRetry", "Verify", "Complete"}
# Of these: states whose failure costs the run nothing.
TAKES_NOTHING = {"Verify"}
# A state whose failure is only a note.
BESIDE = {"MakeImage"}
EXHAUSTED = [way for way in WAYS if way[1].startswith("exhausted ") and way[1].split()[1] in EXHAUSTING]


@dataclass(frozen=True)
class Inputs:
    """Inputs of executions: without scripts, with them, with VSS, with volumes built at backup, by AWS's document."""

    plain: dict[str, Any]
    asking: dict[str, Any]
    with_vss: dict[str, Any]
    building: dict[str, Any]
    by_aws: dict[str, Any]
    vss: Any

    def for_state(self, state):
        if state in BUILDING | BY_AWS:
            return self.building if state in BUILDING else self.by_aws
        return self.with_vss if state in RETRYING | WITH_VSS else self.asking if state in ASKING else self.plain

    def time_out(self, machine):
        """Let VSS time out in the first attempt."""
        self.vss.create_fails = ("80042314", "VSS_E_HOLD_WRITES_TIMEOUT")

        def heal():
            self.vss.create_fails = None

        machine.before("freeze", lambda: machine.before("freeze", heal))


@pytest.fixture
def inputs(cloud, shop, frozen_request):
    def request(name, **settings):
        return {
            "policy": cloud.put_policy(a_policy(shop.instance_id, name=name, **settings)),
            "instance_id": shop.instance_id,
        }

    cloud.put_scripts("shadows")
    with_vss = request("shadows", vss={}, defaults={"scripts": {"from": "bucket"}})
    cloud.put_scripts("built")
    building = request("built", vss={}, defaults={"scripts": {"from": "bucket"}, "revert": "at-backup"})
    cloud.put_scripts("by-aws")
    by_aws = request("by-aws", vss={"engine": "aws-vss"}, defaults={"scripts": {"from": "bucket"}, "revert": "off"})
    return Inputs(request("files-nightly"), frozen_request, with_vss, building, by_aws, shop.windows.guest.vss)


def plain(machine, cloud, inputs):
    return machine.start(inputs.plain)


def asking(machine, cloud, inputs):
    return machine.start(inputs.asking)


def with_vss(machine, cloud, inputs):
    return machine.start(inputs.with_vss)


def refused_by_plan(machine, cloud, inputs):
    return machine.start({**inputs.plain, "policy": "no-such-policy"})


def started_twice(machine, cloud, inputs):
    scheduled = {**inputs.plain, "scheduled_time": "2026-11-24T01:30:00Z"}
    machine.start(scheduled)
    return machine.start(scheduled)


def application_or_nothing(machine, cloud, inputs):
    cloud.put_scripts("orders", before="# sandbox: exit 3\n")
    settings = {"scripts": {"from": "bucket"}, "consistency": "application"}
    policy = a_policy(inputs.asking["instance_id"], name="orders", defaults=settings)
    return machine.start({**inputs.asking, "policy": policy})


def retrying(machine, cloud, inputs):
    inputs.time_out(machine)
    return machine.start(inputs.with_vss)


def thaw_before_retry_misfits(machine, cloud, inputs):
    inputs.time_out(machine)
    machine.before("thaw", lambda: machine.wire.on("ssm:SendCommand", refused("InvalidParameters")))
    return machine.start(inputs.with_vss)


def nothing_less_than_application(machine, cloud, inputs):
    inputs.time_out(machine)
    cloud.put_scripts("strict")
    settings = {"scripts": {"from": "bucket"}, "consistency": "application"}
    policy = a_policy(inputs.asking["instance_id"], name="strict", vss={}, defaults=settings)
    machine.before("thaw", lambda: machine.wire.on("ssm:SendCommand", refused("InvalidParameters")))
    return machine.start({**inputs.asking, "policy": policy})


def ec2_refuses(machine, cloud, inputs):
    machine.wire.on("ec2:CreateSnapshots", refused("SnapshotLimitExceeded"), nth=2)
    return machine.start(inputs.asking)


def ec2_refuses_and_any_failure_is_tried_again(machine, cloud, inputs):
    cloud.put_scripts("any")
    vss, settings = {"retry_on": "any-failure"}, {"scripts": {"from": "bucket"}}
    policy = a_policy(inputs.asking["instance_id"], name="any", vss=vss, defaults=settings)
    machine.wire.on("ec2:CreateSnapshots", refused("SnapshotLimitExceeded"), nth=2)
    return machine.start({**inputs.asking, "policy": policy})


def misfits(step):
    """The document refuses a function's parameters, as in the middle of an update of the stack."""

    def scenario(machine, cloud, inputs):
        machine.before(step, lambda: machine.wire.on("ssm:SendCommand", refused("InvalidParameters")))
        return machine.start(inputs.asking)

    return scenario


def by_aws(machine, cloud, inputs):
    return machine.start(inputs.by_aws)


def passive(machine, cloud, inputs):
    condition = cloud.servers.servers[inputs.asking["instance_id"]].windows.guest.condition
    condition.cluster, condition.node = sql_cluster(owner="SQL-B"), "SQL-A"
    policy = a_policy(inputs.asking["instance_id"], name="passive", vss={}, defaults={"role": "primary-only"})
    return machine.start({**inputs.asking, "policy": cloud.put_policy(policy)})


def awss_document_misfits(machine, cloud, inputs):
    machine.before("snapshot_by_aws", lambda: machine.wire.on("ssm:SendCommand", refused("InvalidParameters")))
    return machine.start(inputs.by_aws)


def awss_document_fails(machine, cloud, inputs):
    cloud.servers.servers[inputs.by_aws["instance_id"]].windows.aws_vss.times_out = True
    return machine.start(inputs.by_aws)


def snapshot_dies(machine, cloud, inputs):
    machine.wire.on("ec2:CreateSnapshots", dies_after)
    return machine.start(inputs.plain)


def looking_is_denied(machine, cloud, inputs):
    machine.wire.on("ec2:DescribeSnapshots", refused("UnauthorizedOperation", 403))
    return machine.start(inputs.plain)


def imaging_is_denied(machine, cloud, inputs):
    machine.wire.on("ec2:DescribeImages", refused("UnauthorizedOperation", 403))
    return machine.start(inputs.plain)


def looking_into_is_denied(machine, cloud, inputs):
    machine.before("verify", lambda: machine.wire.on("ec2:DescribeSnapshots", refused("UnauthorizedOperation", 403)))
    return machine.start(inputs.with_vss)


def built_at_backup(machine, cloud, inputs):
    return machine.start(inputs.building)


def building_is_denied(machine, cloud, inputs):
    machine.wire.on("ebs:StartSnapshot", refused("AccessDeniedException", 403))
    return machine.start(inputs.building)


def recording_is_denied(machine, cloud, inputs):
    machine.wire.on("s3:PutObject", refused("AccessDenied", 403))
    return machine.start(inputs.plain)


SCENARIOS = {
    ("Begin", "next", "Plan"): plain,
    ("Plan", "next", "Freezes?"): plain,
    ("Plan", "catch 0", "AlreadyStarted"): started_twice,
    ("Plan", "catch 1", "Report"): refused_by_plan,
    ("Freezes?", "choice 0", "Report"): passive,
    ("Freezes?", "choice 1", "Freeze"): asking,
    ("Freezes?", "default", "Snapshot"): plain,
    ("Freeze", "next", "Frozen?"): asking,
    ("Freeze", "catch 0", "Thaw"): misfits("freeze"),
    ("Frozen?", "choice 0", "Retry"): retrying,
    ("Frozen?", "choice 1", "SnapshotByAws"): by_aws,
    ("Frozen?", "choice 2", "Snapshot"): asking,
    ("Frozen?", "default", "Thaw"): application_or_nothing,
    ("Retry", "next", "ThawBeforeRetry"): retrying,
    ("ThawBeforeRetry", "next", "WaitBeforeRetry"): retrying,
    ("ThawBeforeRetry", "catch 0", "CrashAllowed?"): thaw_before_retry_misfits,
    ("WaitBeforeRetry", "next", "Freeze"): retrying,
    ("CrashAllowed?", "choice 0", "Snapshot"): thaw_before_retry_misfits,
    ("CrashAllowed?", "default", "Thaw"): nothing_less_than_application,
    ("SnapshotByAws", "next", "Made?"): by_aws,
    ("SnapshotByAws", "catch 0", "Thaw"): awss_document_misfits,
    ("Made?", "choice 0", "Snapshot"): awss_document_fails,
    ("Made?", "default", "Thaw"): by_aws,
    ("Snapshot", "next", "Thaw"): plain,
    ("Snapshot", "catch 0", "RetryRefused?"): ec2_refuses,
    ("Snapshot", "catch 1", "Thaw"): snapshot_dies,
    ("RetryRefused?", "choice 0", "Retry"): ec2_refuses_and_any_failure_is_tried_again,
    ("RetryRefused?", "default", "Thaw"): ec2_refuses,
    ("Thaw", "next", "AwaitSnapshots"): asking,
    ("Thaw", "catch 0", "AwaitSnapshots"): misfits("thaw"),
    ("AwaitSnapshots", "next", "Awaited?"): plain,
    ("AwaitSnapshots", "catch 0", "Complete"): looking_is_denied,
    ("Awaited?", "choice 0", "WaitForSnapshots"): plain,
    ("Awaited?", "choice 1", "MakeImage"): plain,
    ("Awaited?", "choice 2", "Complete"): asking,
    ("Awaited?", "default", "Verify"): with_vss,
    ("Verify", "next", "Reverts?"): with_vss,
    ("Reverts?", "choice 0", "Revert"): built_at_backup,
    ("Reverts?", "default", "Complete"): with_vss,
    ("Revert", "next", "Complete"): built_at_backup,
    ("Revert", "catch 0", "Complete"): building_is_denied,
    ("Verify", "catch 0", "Complete"): looking_into_is_denied,
    ("WaitForSnapshots", "next", "AwaitSnapshots"): plain,
    ("Complete", "next", "MakeImage"): asking,
    ("MakeImage", "next", "Report"): plain,
    ("MakeImage", "catch 0", "Report"): imaging_is_denied,
    ("Complete", "catch 0", "Report"): misfits("complete"),
    ("Report", "next", "Failed?"): plain,
    ("Report", "catch 0", "ReportFailed"): recording_is_denied,
    ("Failed?", "choice 0", "BackupFailed"): refused_by_plan,
    ("Failed?", "default", "Recorded"): plain,
    ("Recorded", "end", ""): plain,
    ("BackupFailed", "end", ""): refused_by_plan,
    ("ReportFailed", "end", ""): recording_is_denied,
    ("AlreadyStarted", "end", ""): started_twice,
}


STEP_OF = {
    name: step_of(state["Resource"].rpartition(":")[2])
    for name, state in STATES.items()
    if state["Type"] == "Task" and ":function:" in state["Resource"]
}


def max_attempts(state, error):
    return next(r["MaxAttempts"] for r in STATES[state]["Retry"] if error in r["ErrorEquals"])


def order(machine, cloud, inputs, state, error, *, times):
    """Let a step, or the start of another machine, end in this error, `times` times in a row."""
    if state in BUILDING:
        machine.start_fails(error, times)
    else:
        order_of_step(machine, cloud, inputs, state, error, times)


def order_of_step(machine, cloud, inputs, state, error, times):
    step = STEP_OF[state]
    if state in RETRYING:
        inputs.time_out(machine)
    match error:
        case "ServerBusy":
            instance_id = inputs.for_state(state)["instance_id"]
            cloud.hold(instance_id, run_id="another-run", until_s=machine.clock.now_s + 86_400)
            if times <= max_attempts(state, error):
                machine.clock.at_next_wait(*[lambda: None] * (times - 1), lambda: cloud.free(instance_id))
        case "SnapshotLimitReached":
            machine.wire.on("ec2:CreateSnapshots", refused("PendingSnapshotLimitExceeded"), times=times)
        case "SnapshotTooSoon":
            too_soon = refused("SnapshotCreationPerVolumeRateExceeded")
            call = "ec2:CreateImage" if state == "MakeImage" else "ec2:CreateSnapshots"
            machine.wire.on(call, too_soon, times=times)
        case "AwsThrottled" | "AwsUnavailable" | "AgentUnreachable":
            faults = {"AwsThrottled": refused("ThrottlingException"), "AwsUnavailable": unreachable}
            fault = faults.get(error) or refused("InvalidInstanceId")
            call, sent_by_boto = CALL[state]
            machine.before(step, lambda: machine.wire.on(call, fault, times=times * sent_by_boto))
        case _ if error.startswith(("Lambda.", "Runtime.", "Sandbox.", "States.")):
            machine.lambda_fails(step, *[error] * times)
        case _:
            raise AssertionError(f"no way is known to let {state} end in {error}")


@pytest.mark.parametrize(
    "way", [way for way in WAYS if " " not in way[1] or way[1].startswith(("catch", "choice"))], ids=str
)
def test_the_definition_is_gone_through_on(way, machine, cloud, inputs):
    run = SCENARIOS[way](machine, cloud, inputs)
    assert way in taken(run)


@pytest.mark.grid
@pytest.mark.parametrize("way", [way for way in WAYS if way[1].startswith("retry ") and way[1] != NOT_IN_MOTO], ids=str)
def test_a_step_that_fails_once_is_tried_again_and_the_run_is_good(way, machine, cloud, inputs, shop):
    state, error = way[0], way[1].removeprefix("retry ")
    order(machine, cloud, inputs, state, error, times=1)
    run = machine.start(inputs.for_state(state))
    assert way in taken(run)
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Successful")
    if state in BUILDING:
        assert len(run.output["built"]) == len(run.output["snapshots"]) > 0
    else:
        assert cloud.snapshot_sets() == 1
    assert cloud.lease(run.output["instance_id"]) is None
    earlier = ["before", "after 1"] if state in RETRYING else []
    asked = [*earlier, "before", "after 1", "complete 1"]
    assert shop.application.asked == (asked if state in ASKING | RETRYING | WITH_VSS | BUILDING | BY_AWS else [])


@pytest.mark.parametrize("way", [way for way in EXHAUSTED if way[0] not in GOES_ON | BESIDE | BUILDING], ids=str)
def test_a_step_that_goes_on_failing_is_given_up_under_its_true_name(way, machine, cloud, inputs, shop):
    state, error = way[0], way[1].removeprefix("exhausted ")
    order(machine, cloud, inputs, state, error, times=max_attempts(state, error) + 1)
    run = machine.start(inputs.for_state(state))
    assert way in taken(run)
    # moto refuses to fail under a name of Step Functions' own; for AWS see docs/unconfirmed.md.
    shown = "States.Runtime" if error.startswith("States.") else error
    # Report looks at the snapshots where AwaitSnapshots could not.
    assert (run.status, run.error) == (("SUCCEEDED", None) if state == "AwaitSnapshots" else ("FAILED", shown))
    assert machine.invocations.count(STEP_OF[state]) == max_attempts(state, error) + 1
    assert cloud.snapshot_sets() == (1 if state in ("AwaitSnapshots", "Report") else 0)
    assert not shop.application.held
    if state != "Report":
        [record] = cloud.records().values()
        if state == "AwaitSnapshots":
            assert any(f"AwaitSnapshots failed ({error}" in note for note in record["notes"])
        else:
            assert record["failure"]["error"] == error
            assert cloud.mails()[-1][0].startswith("Failed: ")
        # The lease is free, or still the other run's.
        assert (cloud.lease(record["instance_id"]) is None) == (error != "ServerBusy")


@pytest.mark.parametrize("way", [way for way in EXHAUSTED if way[0] in TAKES_NOTHING], ids=str)
def test_a_look_into_the_snapshots_that_goes_on_failing_shows_nothing_and_takes_nothing(
    way, machine, cloud, inputs, shop
):
    state, error = way[0], way[1].removeprefix("exhausted ")
    order(machine, cloud, inputs, state, error, times=max_attempts(state, error) + 1)
    run = machine.start(inputs.for_state(state))
    assert way in taken(run)
    assert (run.status, run.output["status"], run.output["consistency"]["level"]) == (
        "SUCCEEDED",
        "Successful",
        "application",
    )
    assert run.output["evidence"]["verdict"] == "not verifiable"
    assert error in run.output["evidence"]["reason"]
    assert run.output["evidence"]["reason"] in run.output["consistency"]["reason"]


@pytest.mark.parametrize("way", [way for way in EXHAUSTED if way[0] in GOES_ON - TAKES_NOTHING], ids=str)
def test_a_server_that_can_not_be_asked_any_more_ends_its_session_by_itself_and_the_run_is_partial(
    way, machine, cloud, inputs, shop
):
    state, error = way[0], way[1].removeprefix("exhausted ")
    order(machine, cloud, inputs, state, error, times=max_attempts(state, error) + 1)
    run = machine.start(inputs.for_state(state))
    assert way in taken(run)
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "PartiallySuccessful")
    assert cloud.snapshot_sets() == 1
    assert cloud.lease(run.output["instance_id"]) is None
    assert cloud.mails()[-1][0].startswith("PartiallySuccessful: ")
    machine.clock.now_s += SESSION_LIMIT_S
    cloud.servers.advance()
    assert shop.application.asked == ["before", "after 1", "complete 0"]


@pytest.mark.parametrize("way", [way for way in EXHAUSTED if way[0] in BESIDE], ids=str)
def test_an_image_that_can_not_be_made_is_a_note_of_a_good_run(way, machine, cloud, inputs):
    state, error = way[0], way[1].removeprefix("exhausted ")
    order(machine, cloud, inputs, state, error, times=max_attempts(state, error) + 1)
    run = machine.start(inputs.plain)
    assert way in taken(run)
    assert (run.status, run.output["status"]) == ("SUCCEEDED", "Successful")
    assert error in run.output["notes"][0]


@pytest.mark.parametrize("way", [way for way in EXHAUSTED if way[0] in BUILDING], ids=str)
def test_a_build_that_is_never_started_leaves_a_partial_run_with_raw_snapshots(way, machine, cloud, inputs, shop):
    state, error = way[0], way[1].removeprefix("exhausted ")
    order(machine, cloud, inputs, state, error, times=max_attempts(state, error) + 1)
    run = machine.start(inputs.for_state(state))
    assert way in taken(run)
    assert (run.status, run.output["status"], run.output["built"]) == ("SUCCEEDED", "PartiallySuccessful", [])
    assert run.output["consistency"]["level"] == "application"
    assert not shop.application.held


def test_every_retrier_is_used_up_by_one_of_its_errors():
    retriers = [(n, set(r["ErrorEquals"])) for n, s in STATES.items() for r in s.get("Retry", [])]
    exhausted = {(state, error.split()[1]) for state, error, _ in EXHAUSTED}
    assert all(any((name, error) in exhausted for error in errors_of) for name, errors_of in retriers)


def test_no_scenario_is_left_from_an_older_definition():
    assert set(SCENARIOS) <= set(WAYS)
