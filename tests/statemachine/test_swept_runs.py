"""Runs that end without one of their states: Report and sweep judge them neither better nor worse than they know."""

import pytest

from sandbox.aws.snapshots import RULES, Fate
from tests.statemachine.truth import assert_failed, record_of
from tests.support.factories.policy import a_policy
from tests.support.wire import answer_lost, refused, unreachable

DENIED = refused("UnauthorizedOperation", 403)
DENIED_BY_TABLE = refused("AccessDeniedException")


@pytest.fixture
def with_vss(cloud, shop):
    """The input of a run with scripts and VSS."""
    policy = a_policy(shop.instance_id, name="orders", vss={}, defaults={"scripts": {"from": "bucket"}})
    return {"policy": cloud.put_policy(policy), "instance_id": shop.instance_id}


def looking_fails(machine, fault, times, until):
    """Let AwaitSnapshots look in vain, and let EC2 answer again before another function is called."""
    machine.before("await_snapshots", lambda: machine.wire.on("ec2:DescribeSnapshots", fault, times=times))
    machine.before(until, machine.wire.forget)


# ---- Report that fails before it could keep its verdict --------------------------------------------------------------


@pytest.mark.parametrize("fault", [DENIED_BY_TABLE, unreachable, refused("InternalServerError", 500)])
def test_a_report_that_could_not_even_keep_its_verdict_is_made_good_from_the_history(
    fault, machine, cloud, shop, with_vss
):
    machine.before("report", lambda: machine.wire.on("dynamodb:UpdateItem", fault, times=200))
    run = machine.start(with_vss)
    assert run.states[-1] == "ReportFailed"
    machine.wire.forget()
    machine.sweep(run)
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"], record["failure"]) == ("Successful", "application", None)
    assert record["evidence"]["verdict"] == "present"
    assert shop.application.asked == ["before", "after 1", "complete 1"]
    assert record["initial_image"]
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"application"}
    [note] = [note for note in record["notes"] if "sweep ended the run" in note]
    assert f"({run.error}: " in note
    assert cloud.lease(shop.instance_id) is None


@pytest.mark.parametrize("before", ["# sandbox: exit 3\n", "# goes well\n"])
def test_the_history_makes_a_run_no_better_than_it_was(before, machine, cloud, shop, frozen_request):
    cloud.put_scripts("orders", before=before)
    RULES.order(shop.volumes["D:"], Fate.ERRS)
    machine.before("report", lambda: machine.wire.on("dynamodb:UpdateItem", DENIED_BY_TABLE))
    run = machine.start(frozen_request)
    machine.sweep(run)
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["failure"]["error"]) == ("Failed", "SnapshotsIncomplete")
    assert any("(AccessDenied: " in note for note in record["notes"])


def test_a_history_that_may_not_be_read_leaves_it_open_what_the_states_had_left(machine, cloud, shop, with_vss):
    machine.before("report", lambda: machine.wire.on("dynamodb:UpdateItem", DENIED_BY_TABLE))
    run = machine.start(with_vss)
    machine.wire.on("sfn:GetExecutionHistory", DENIED_BY_TABLE)
    machine.sweep(run)
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "crash")
    assert "it is not known" in record["consistency"]["reason"]
    assert any("history can't be read (AccessDenied: " in note for note in record["notes"])
    assert record["initial_image"]
    assert len(record["snapshots"]) == 3


@pytest.mark.parametrize("fault", [unreachable, answer_lost, refused("ThrottlingException")])
def test_a_history_that_is_not_answered_once_is_asked_for_again(fault, machine, cloud, shop, with_vss):
    machine.before("report", lambda: machine.wire.on("dynamodb:UpdateItem", DENIED_BY_TABLE))
    run = machine.start(with_vss)
    machine.wire.on("sfn:GetExecutionHistory", fault)
    machine.sweep(run)
    assert record_of(cloud, run, shop.instance_id)["consistency"]["level"] == "application"


def test_the_application_is_thawed_before_the_history_is_read(machine, cloud, shop, frozen_request):
    held = []

    def look(_request, effect):
        held.append(shop.application.held)
        return effect()

    machine.stop_in("Frozen?")
    run = machine.start(frozen_request)
    assert shop.application.held
    machine.wire.on("sfn:GetExecutionHistory", look)
    machine.sweep(run)
    assert held == [False]


# ---- AwaitSnapshots that fails ---------------------------------------------------------------------------------------


def test_snapshots_that_report_finds_completed_are_a_recovery_point(machine, cloud, server, request_for):
    looking_fails(machine, refused("InternalError", 500), 200, until="report")
    run = machine.start(request_for)
    record = record_of(cloud, run, server.instance_id)
    assert "Awaited?" not in run.states
    assert (run.status, record["status"], record["consistency"]["level"]) == ("SUCCEEDED", "Successful", "crash")
    assert any("AwaitSnapshots failed (AwsUnavailable: " in note for note in record["notes"])
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {"crash"}


def test_where_the_server_was_told_that_the_backup_failed_it_is_no_whole_success(machine, cloud, shop, with_vss):
    looking_fails(machine, refused("InternalError", 500), 200, until="report")
    run = machine.start(with_vss)
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["consistency"]["level"]) == ("PartiallySuccessful", "application")
    assert "the server was told that the backup failed (complete with 0)" in record["reason"]
    assert shop.application.asked == ["before", "after 1", "complete 0"]
    assert not cloud.servers.examine_shadow_copies(record).torn


@pytest.mark.parametrize("hidden", [0, 3])
def test_a_lost_set_that_awaitsnapshots_could_not_look_for_is_named_by_report(
    hidden, machine, cloud, server, request_for, monkeypatch
):
    """EC2 lists it late, and one snapshot after the others."""
    machine.wire.on("ec2:CreateSnapshots", answer_lost)
    looking_fails(machine, DENIED, 1, until="report")

    def hide_one():
        cloud.stored_snapshots()[-1].hidden_lookups = hidden

    machine.before("await_snapshots", lambda: (machine.wire.on("ec2:DescribeSnapshots", DENIED), hide_one()))
    run = machine.start(request_for)
    record = record_of(cloud, run, server.instance_id)
    assert {s["snapshot_id"] for s in record["snapshots"]} == {s["id"] for s in cloud.snapshots()}
    assert len(record["snapshots"]) == 3
    assert {s["tags"]["quiesce:consistency"] for s in cloud.snapshots()} == {record["consistency"]["level"]}


def test_a_lost_set_that_report_may_not_look_for_is_told_with_its_tag(machine, cloud, server, request_for):
    machine.wire.on("ec2:CreateSnapshots", answer_lost)
    machine.wire.on("ec2:DescribeSnapshots", DENIED, times=2)
    run = machine.start(request_for)
    record = assert_failed(cloud, run, server.instance_id, "AccessDenied", "ec2:DescribeSnapshots")
    [note] = [note for note in record["notes"] if "it is not known whether snapshots of this run exist" in note]
    assert note.endswith(f"look for the tag quiesce:run = {run.name}")


def test_snapshots_that_are_pending_when_report_looks_are_not_called_missing(
    machine, cloud, server, request_for, monkeypatch
):
    monkeypatch.setattr(RULES, "duration_s", 3600.0)
    machine.wire.on("ec2:DescribeSnapshots", DENIED)
    run = machine.start(request_for)
    record = assert_failed(cloud, run, server.instance_id, "AccessDenied", "ec2:DescribeSnapshots")
    assert any("were pending when the run ended: it is not known whether" in note for note in record["notes"])


def test_a_snapshot_that_never_sent_is_looked_for_once(machine, cloud, server, request_for):
    """Its function died before its mark, and AwaitSnapshots may not look."""
    machine.lambda_fails("snapshot", "Sandbox.Timedout")
    machine.wire.on("ec2:DescribeSnapshots", DENIED)
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "AccessDenied", "ec2:DescribeSnapshots")
    assert machine.wire.count("ec2:DescribeSnapshots") == 2


# ---- Without a record, whatever the state ----------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["Retry", "ThawBeforeRetry", "WaitBeforeRetry"])
def test_a_run_that_was_stopped_between_two_attempts_was_ended_by_the_stop(state, machine, cloud, shop, with_vss):
    shop.windows.guest.vss.create_fails = ("80042314", "VSS_E_HOLD_WRITES_TIMEOUT")
    machine.stop_in(state)
    run = machine.start(with_vss)
    machine.sweep(run)
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["failure"]["error"]) == ("Failed", "ExecutionStopped")
    assert record["snapshots"] == []


def test_an_image_that_ec2_does_not_show_to_sweep_costs_the_run_nothing(machine, cloud, shop, frozen_request):
    machine.stop_in("MakeImage")
    run = machine.start(frozen_request)
    machine.wire.on("ec2:DescribeImages", DENIED)
    machine.sweep(run)
    record = record_of(cloud, run, shop.instance_id)
    assert (record["status"], record["initial_image"]) == ("Successful", "")
    assert any("the initial AMI could not be maintained: AccessDenied" in note for note in record["notes"])
