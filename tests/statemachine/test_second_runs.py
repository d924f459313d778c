"""A second start with the same id, a second run on the same server, and states that run again."""

import pytest

from quiesce.aws.runs import LEASE_S
from sandbox.aws.snapshots import RULES
from tests.statemachine.transitions import visits
from tests.statemachine.truth import assert_failed, assert_successful, record_of
from tests.support.factories.policy import a_policy
from tests.support.wire import dies_before

SCHEDULED = "2026-11-24T01:30:00Z"


@pytest.fixture
def scheduled(request_for):
    return {**request_for, "scheduled_time": SCHEDULED}


def assert_already_started(second, first_arn, status):
    assert (second.status, second.error) == ("FAILED", "RunAlreadyStarted")
    assert "Snapshot" not in second.states
    assert first_arn in second.cause
    assert f"is {status}; nothing was changed" in second.cause


def test_a_schedule_that_is_delivered_twice_makes_one_backup(machine, cloud, scheduled):
    first = machine.start(scheduled)
    before = cloud.items(), cloud.records(), cloud.snapshots()
    second = machine.start(scheduled)
    assert_already_started(second, first.arn, "Successful")
    assert (cloud.items(), cloud.records(), cloud.snapshots()) == before
    assert cloud.mails() == []


def test_a_second_start_of_a_failed_run_changes_nothing(machine, cloud, scheduled, server):
    bad = {**scheduled, "policy": a_policy(server.instance_id, owner="no owner")}
    first = machine.start(bad)
    before = cloud.items(), cloud.records(), cloud.mails()
    assert_already_started(machine.start(bad), first.arn, "Failed")
    assert (cloud.items(), cloud.records(), cloud.mails()) == before


def test_a_second_start_while_the_first_runs_changes_nothing(machine, cloud, clock, scheduled, server):
    seconds, leases = [], []

    def start_again():
        leases.append(cloud.lease(server.instance_id))
        seconds.append(machine.start(scheduled))
        leases.append(cloud.lease(server.instance_id))

    clock.at_next_wait(start_again)
    first = machine.start(scheduled)
    assert first.status == "SUCCEEDED"
    assert_already_started(seconds[0], first.arn, "Running")
    assert leases[0] == leases[1]
    assert cloud.snapshot_sets() == 1
    assert len(cloud.records()) == 1


def test_a_busy_server_is_waited_for_and_then_named(machine, cloud, clock, server, request_for):
    cloud.hold(server.instance_id, "another-run", clock.now_s + 86_400)
    run = machine.start(request_for)
    record_of(cloud, run, server.instance_id)
    assert (run.status, run.error) == ("FAILED", "ServerBusy")
    assert "run another-run (arn:aws:states:" in run.cause
    assert 40 * 60 <= sum(clock.waits) <= 50 * 60
    assert cloud.lease(server.instance_id)["run_id"] == "another-run"
    assert cloud.snapshot_sets() == 0
    assert cloud.mails()[0][0].startswith("Failed: ")


def test_a_server_that_becomes_free_is_backed_up(machine, cloud, clock, server, request_for):
    cloud.hold(server.instance_id, "another-run", clock.now_s + 86_400)
    clock.at_next_wait(lambda: None, lambda: cloud.free(server.instance_id))
    run = machine.start(request_for)
    assert_successful(cloud, run, server.instance_id, set(server.volumes.values()))


def test_a_lease_whose_run_died_expires(machine, cloud, clock, server, request_for):
    cloud.hold(server.instance_id, "dead-run", clock.now_s + LEASE_S)
    run = machine.start(request_for)
    assert_successful(cloud, run, server.instance_id, set(server.volumes.values()))
    assert sum(clock.waits[:8]) >= LEASE_S


def test_a_run_that_sleeps_past_its_lease_is_overtaken_and_says_so(machine, cloud, clock, server, request_for):
    second = []
    clock.at_next_wait(lambda: second.append(machine.start(request_for)))
    first = machine.start(request_for)
    assert [visit.errors[:1] for visit in visits(second[0]) if visit.state == "Plan"] == [["ServerBusy"]]
    assert second[0].output["notes"] == []
    assert "lease was lost" in first.output["notes"][0]
    assert cloud.snapshot_sets() == 2
    assert cloud.lease(server.instance_id) is None


@pytest.mark.parametrize("state", ["Plan", "Snapshot", "AwaitSnapshots", "Report"])
def test_a_state_that_is_run_again_after_the_end_changes_nothing(state, machine, cloud, request_for):
    first = machine.start(request_for, "run-once")
    before = cloud.items(), cloud.records(), cloud.snapshots(), cloud.mails()
    again = machine.redrive(first, state)
    assert (cloud.items(), cloud.records(), cloud.snapshots(), cloud.mails()) == before
    if state == "Plan":
        assert_already_started(again, first.arn, "Successful")
    else:
        assert again.output == first.output


def test_a_snapshot_that_is_run_again_while_the_lease_is_held_sends_nothing(machine, cloud, server, request_for):
    """An execution stopped in AwaitSnapshots leaves lease and mark; an operator redrives its Snapshot."""
    machine.wire.on("ec2:DescribeSnapshots", dies_before, times=9)
    machine.before("report", lambda: machine.wire.on("dynamodb:UpdateItem", dies_before, times=7))
    stopped = machine.start(request_for)
    assert stopped.states[-1] == "ReportFailed"
    again = machine.redrive(stopped, "Snapshot")
    assert again.output["status"] == "Successful"
    assert "were found by their tag" in again.output["notes"][0]
    assert cloud.snapshot_sets() == 1


def test_a_snapshot_that_comes_after_its_lease_expired_sends_nothing(machine, cloud, clock, server, request_for):
    def come_too_late():
        clock.now_s += LEASE_S + 1

    machine.before("snapshot", come_too_late)
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "LeaseLost", "it is too late to go on")
    assert machine.wire.count("ec2:CreateSnapshots") == 0
    assert cloud.snapshot_sets() == 0


def test_a_snapshot_whose_server_another_run_took_sends_nothing(machine, cloud, clock, server, request_for):
    machine.before("snapshot", lambda: cloud.hold(server.instance_id, "another-run", clock.now_s + LEASE_S))
    run = machine.start(request_for)
    assert (run.status, run.error) == ("FAILED", "LeaseLost")
    assert cloud.snapshot_sets() == 0
    assert cloud.lease(server.instance_id)["run_id"] == "another-run"


def test_a_lease_lost_while_waiting_is_noted(machine, cloud, clock, server, request_for, monkeypatch):
    monkeypatch.setattr(RULES, "duration_s", 600.0)
    clock.at_next_wait(lambda: cloud.hold(server.instance_id, "another-run", clock.now_s + LEASE_S))
    run = machine.start(request_for)
    assert run.output["status"] == "Successful"
    assert "lease was lost" in run.output["notes"][0]
    assert cloud.lease(server.instance_id)["run_id"] == "another-run"


def test_a_second_start_that_plan_could_not_tell_is_told_by_report(machine, cloud, scheduled):
    """Plan refuses before it claims the run; Report finds the first execution's record and leaves it alone."""
    first = machine.start(scheduled)
    before = cloud.items(), cloud.records(), cloud.mails()
    machine.lambda_fails("plan", *["Lambda.ServiceException"] * 5)
    second = machine.start(scheduled)
    assert_already_started(second, first.arn, "Successful")
    assert second.states[-1] == "ReportFailed"
    assert (cloud.items(), cloud.records(), cloud.mails()) == before
