"""Runs in which nothing goes wrong: what they back up, its consistency, and their records and mails."""

import pytest

from sandbox.aws.snapshots import RULES
from tests.statemachine.truth import assert_failed, assert_successful, record_of
from tests.support.factories.policy import a_policy
from tests.support.wire import refused

SCHEDULED = "2026-11-24T01:30:00Z"


def test_a_running_server_is_backed_up_as_after_a_power_failure(machine, cloud, server, request_for):
    run = machine.start(request_for, "first-run")
    record = assert_successful(cloud, run, server.instance_id, set(server.volumes.values()))
    assert record["consistency"]["level"] == "crash"
    assert "no application was frozen" in record["consistency"]["reason"]
    assert record["notes"] == []
    assert cloud.mails() == []


def test_a_stopped_server_is_backed_up_with_that_as_the_reason(machine, cloud, server, request_for):
    cloud.ec2.stop_instances(InstanceIds=[server.instance_id])
    run = machine.start(request_for)
    record = assert_successful(cloud, run, server.instance_id, set(server.volumes.values()))
    assert record["consistency"]["level"] == "crash"
    assert "stopped" in record["consistency"]["reason"]


def test_a_policy_may_stand_in_the_input(machine, cloud, server):
    run = machine.start({"policy": a_policy(server.instance_id)})
    assert_successful(cloud, run, server.instance_id, set(server.volumes.values()))
    assert machine.wire.count("s3:GetObject") == 0


def test_only_the_chosen_volumes_are_backed_up(machine, cloud, server):
    policy = a_policy(server.instance_id, defaults={"volumes": {"exclude": ["root", "xvdg"]}})
    run = machine.start({"policy": policy})
    record = assert_successful(cloud, run, server.instance_id, {server.volumes["D:"]})
    assert {e["device"] for e in record["excluded"]} == {"/dev/sda1", "xvdg"}


def test_every_snapshot_says_whose_it_is_from_its_creation(machine, cloud, server, request_for):
    machine.wire.on("ec2:CreateTags", refused("UnauthorizedOperation", 403), times=3)
    machine.start(request_for, "tagged-run")
    for snapshot in cloud.snapshots():
        assert snapshot["tags"] == {
            "quiesce:stack": "quiesce",
            "quiesce:run": "tagged-run",
            "quiesce:policy": "files-nightly",
            "quiesce:owner": "admin",
            "quiesce:instance": server.instance_id,
        }


def test_the_record_counts_the_calls_that_were_really_sent(machine, cloud, server, request_for):
    run = machine.start(request_for)
    # The verdict comes before the tags, and is Report's.
    before_report = machine.wire.sent[: machine.wire.sent.index("ec2:CreateTags") - 1]
    assert run.output["calls"] == {call: before_report.count(call) for call in sorted(set(before_report))}


def test_the_wait_grows_with_the_time_that_has_passed(machine, clock, request_for, monkeypatch):
    monkeypatch.setattr(RULES, "duration_s", 4 * 3600.0)
    run = machine.start(request_for)
    assert run.status == "SUCCEEDED"
    assert clock.waits == sorted(clock.waits)
    assert (clock.waits[0], clock.waits[-1]) == (10, 900)
    # Each look is three transitions and about a dozen events, and a history has 25,000.
    assert len(clock.waits) < 40


def test_the_lease_is_held_for_as_long_as_the_snapshots_take(machine, clock, cloud, server, request_for, monkeypatch):
    monkeypatch.setattr(RULES, "duration_s", 4 * 3600.0)
    left_s = []

    def look_at_lease():
        left_s.append(int(cloud.lease(server.instance_id)["expires_at"]) - clock.now_s)

    clock.at_next_wait(*[look_at_lease] * 20)
    machine.start(request_for)
    assert len(left_s) == 20
    assert all(left >= wait + 900 for left, wait in zip(left_s, clock.waits, strict=False))


def test_a_scheduled_run_is_named_by_policy_server_and_time(machine, cloud, server, request_for):
    run = machine.start({**request_for, "scheduled_time": SCHEDULED})
    run_id = f"files-nightly-{server.instance_id}-20261124T013000Z"
    assert run.output["run_id"] == run_id
    assert record_of(cloud, run, server.instance_id, run_id)["status"] == "Successful"


def test_the_first_good_run_after_a_bad_one_is_told_and_the_next_is_not(machine, cloud, server, request_for):
    cloud.ec2.create_tags(Resources=[server.instance_id], Tags=[{"Key": "Name", "Value": "FILES"}])
    bad = machine.start({**request_for, "policy": a_policy(server.instance_id, owner="no owner")})
    assert_failed(cloud, bad, server.instance_id, "PolicyRefused", "owner")
    assert machine.start(request_for).status == "SUCCEEDED"
    assert machine.start(request_for).status == "SUCCEEDED"
    assert [subject.split(":")[0] for subject, _ in cloud.mails()] == ["Failed", "Successful again"]


@pytest.mark.parametrize("runs", [2, 3])
def test_each_run_leaves_a_recovery_point_of_its_own(runs, machine, cloud, server, request_for):
    for _ in range(runs):
        assert machine.start(request_for).status == "SUCCEEDED"
    assert cloud.snapshot_sets() == runs
    assert len(cloud.records()) == runs
