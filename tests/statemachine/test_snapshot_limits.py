"""Too many snapshots are pending, for a volume or for the account: EC2 creates none until some have completed."""

import pytest

from tests.statemachine.truth import assert_failed, assert_successful, record_of
from tests.support.factories.policy import a_policy
from tests.support.wire import refused, refuses_connections, unreachable

CODES = ["ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded"]
MIDDLE = "Retry", "ThawBeforeRetry", "WaitBeforeRetry", "Freeze", "Frozen?", "Snapshot"


@pytest.fixture
def limited(machine):
    """Let EC2 refuse this many CreateSnapshots, after Plan's DryRun if the run is to freeze."""

    def limited(times, code="PendingSnapshotLimitExceeded", *, freezes=True):
        machine.wire.on("ec2:CreateSnapshots", refused(code), nth=1 + freezes, times=times)

    return limited


@pytest.mark.parametrize("code", CODES)
def test_with_nothing_held_the_snapshots_are_simply_tried_again(
    code, machine, cloud, clock, server, request_for, limited
):
    limited(8, code, freezes=False)
    run = machine.start(request_for)
    assert_successful(cloud, run, server.instance_id, set(server.volumes.values()))
    assert clock.waits[:8] == [240] * 8


def test_with_nothing_held_a_limit_that_stays_is_a_failure_under_its_own_name(
    machine, cloud, server, request_for, limited
):
    limited(9, freezes=False)
    run = machine.start(request_for)
    assert_failed(cloud, run, server.instance_id, "SnapshotLimitReached", "PendingSnapshotLimitExceeded")
    assert cloud.snapshot_sets() == 0


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("vss", ["off", {}, {"retry_wait_s": 30}])
def test_an_application_is_thawed_before_the_wait_and_frozen_again_for_the_next_try(
    vss, code, machine, cloud, clock, shop, limited
):
    policy = a_policy(shop.instance_id, name="orders", vss=vss, defaults={"scripts": {"from": "bucket"}})
    held_in_the_wait = []
    clock.at_next_wait(lambda: held_in_the_wait.append(shop.application.held))
    limited(1, code)
    run = machine.start({"policy": policy})
    record = record_of(cloud, run, shop.instance_id)
    states = [state for state in run.states if state in MIDDLE]
    assert states == ["Freeze", "Frozen?", "Snapshot", *MIDDLE]
    assert clock.waits[0] == (30 if isinstance(vss, dict) and vss else 600)
    assert held_in_the_wait == [False]
    assert (record["status"], record["consistency"]["level"]) == ("Successful", "application")
    assert shop.application.asked == ["before", "after 1", "before", "after 1", "complete 1"]
    [attempt] = record["attempts"]
    assert code in attempt["reason"]
    assert shop.windows.guest.vss.shadow_copies == []


def test_after_the_last_attempt_the_application_is_thawed_and_the_run_has_failed(machine, cloud, shop, limited):
    settings = {"scripts": {"from": "bucket"}}
    policy = a_policy(shop.instance_id, name="orders", vss={"retries": 2}, defaults=settings)
    limited(3)
    run = machine.start({"policy": policy})
    record = assert_failed(cloud, run, shop.instance_id, "SnapshotRefused", "PendingSnapshotLimitExceeded")
    assert shop.application.asked == ["before", "after 1"] * 3 + ["complete 0"]
    assert [attempt["attempt"] for attempt in record["attempts"]] == [1, 2]
    assert cloud.snapshot_sets() == 0


def test_an_application_that_may_still_be_held_is_not_held_for_another_attempt(machine, cloud, shop, limited):
    """Its after script failed when the first attempt was given up."""
    cloud.put_scripts("orders", after="# sandbox: exit 7\n")
    policy = a_policy(shop.instance_id, name="orders", vss={}, defaults={"scripts": {"from": "bucket"}})
    limited(2)
    run = machine.start({"policy": policy})
    record = record_of(cloud, run, shop.instance_id)
    assert run.states.count("Freeze") == 1
    assert (record["status"], record["failure"]["error"]) == ("Failed", "SnapshotRefused")
    assert shop.application.asked == ["before", "complete 0"]


@pytest.mark.parametrize("fault", [unreachable, refuses_connections])
def test_an_ec2_that_could_not_be_reached_got_no_request_and_is_asked_again(fault, machine, cloud, server, request_for):
    machine.wire.on("ec2:CreateSnapshots", fault, times=3)
    run = machine.start(request_for)
    record = assert_successful(cloud, run, server.instance_id, set(server.volumes.values()))
    assert record["notes"] == []
    assert machine.wire.count("ec2:CreateSnapshots") == 4
