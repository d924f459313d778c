"""Recoveries that are killed, or whose answers are lost: a new start under the same id makes up for it."""

import json
from dataclasses import replace

import pytest

from quiesce.aws import recovery_changes
from tests.statemachine.recoveries import ACCOUNT_IS_PUT, assert_recovered, made, state_of_source
from tests.support.project import definition
from tests.support.wire import (
    answer_garbled,
    answer_lost,
    connection_closed,
    dies_after,
    dies_before,
    refused,
    unreachable,
)

STATES = definition("RecoverMachine")["States"]
# A recovery point without shadow copies is not looked at, and nothing of it is built (test_reverting_recoveries.py).
REVERTING = ("Look", "Weigh", "Revert")
# Nothing of these recoveries is built, or archived.
OFF_THE_WAY = ("Account", "Restore", *REVERTING)
ON_THE_WAY = [name for name, state in STATES.items() if state["Type"] == "Task" and name not in OFF_THE_WAY]
# Each call that changes something, and the number of the first in an execution that is not a DryRun.
CHANGES = {
    "dynamodb:PutItem": 1,
    "dynamodb:UpdateItem": 1,
    "ec2:CreateSecurityGroup": 1,
    "ec2:RevokeSecurityGroupEgress": 1,
    "ec2:RunInstances": 2,
    "ec2:StopInstances": 1,
    "ec2:CreateVolume": 4,
    "ec2:DetachVolume": 1,
    "ec2:AttachVolume": 1,
    "ec2:ModifyInstanceAttribute": 1,
    "ec2:StartInstances": 1,
    "ec2:DeleteVolume": 1,
    "ec2:DeleteSecurityGroup": 1,
    "ec2:DeleteTags": 1,
    "s3:PutObject": ACCOUNT_IS_PUT,
    "sns:Publish": 1,
}

# How often a slow recovery waits.
WAITS = 35


def assert_stopped(run, state):
    """Check that an execution got no further; moto marks it as failed if its function raised during the stop."""
    assert run.status in ("ABORTED", "FAILED")
    assert run.states[-1] == state


@pytest.mark.parametrize("state", ["Begin", *ON_THE_WAY])
def test_a_recovery_that_is_stopped_anywhere_goes_on_under_its_id(backed, slow, machine, state):
    before = state_of_source(backed)
    machine.stop_in(state)
    assert_stopped(backed.recover(), state)
    machine.stop_in("")
    server = assert_recovered(backed, backed.recover())
    assert [r["InstanceId"] for r in made(backed.cloud)["servers"]] == [server["InstanceId"]]
    assert state_of_source(backed) == before


@pytest.mark.grid
@pytest.mark.parametrize("wait", range(1, WAITS + 1))
def test_a_recovery_that_is_stopped_while_it_waits_goes_on_under_its_id(backed, slow, machine, wait):
    """It waits for a server, or for volumes to be made, detached or attached: it requests none of them twice."""
    machine.clock.at_next_wait(*[lambda: None] * (wait - 1), machine.stop)
    first = backed.recover()
    assert first.states[-1] in ON_THE_WAY
    assert_recovered(backed, backed.recover())
    volumes = len(backed.record["snapshots"])
    once = {"ec2:RunInstances": 2, "ec2:CreateVolume": 2 * volumes, "ec2:DetachVolume": 1, "ec2:AttachVolume": volumes}
    assert {call: machine.wire.count(call) for call in once} == once  # dry runs included, since the plan is kept


def test_the_stops_meet_every_wait(backed, slow, machine):
    before = len(machine.clock.waits)
    backed.recover()
    assert len(machine.clock.waits) - before == WAITS


@pytest.mark.grid
@pytest.mark.parametrize(
    "fault", [answer_lost, connection_closed, answer_garbled, dies_after, dies_before, unreachable]
)
@pytest.mark.parametrize("call", CHANGES)
def test_a_lost_answer_doubles_nothing(backed, machine, call, fault):
    before = state_of_source(backed)
    machine.wire.on(call, fault, nth=CHANGES[call])
    assert_recovered(backed, backed.recover())
    assert state_of_source(backed) == before


def test_the_faults_meet_every_call_that_changes_something(backed, machine):
    del machine.wire.sent[:]
    backed.recover()
    reading = ("ec2:Describe", "dynamodb:GetItem", "dynamodb:Query", "s3:List", "ssm:DescribeInstanceInformation")
    assert {call for call in machine.wire.sent if not call.startswith(reading)} == CHANGES.keys()


def test_a_volume_whose_answers_are_all_lost_is_still_made_once(backed, machine):
    """First boto3 retries by itself, then the state machine does."""
    machine.wire.on("ec2:CreateVolume", answer_lost, nth=4, times=8)
    assert_recovered(backed, backed.recover())


def test_another_recovery_point_made_meanwhile_changes_nothing(backed, slow, machine):
    request = {**backed.request(), "instance_id": backed.server.instance_id, "at": "latest"}
    del request["recovery_point"]
    machine.stop_in("MakeVolumes")
    assert_stopped(machine.recover(request), "MakeVolumes")
    machine.stop_in("")
    later = machine.start({"policy": {"name": "later", "targets": [{"instance_id": backed.server.instance_id}]}})
    assert later.status == "SUCCEEDED"
    assert_recovered(backed, machine.recover(request))


def test_two_executions_under_one_id_make_one_server(backed, slow, machine):
    """The second starts while the first waits for its server to stop."""
    ends = []
    machine.clock.at_next_wait(*[lambda: None] * 3, lambda: ends.append(backed.recover()))
    first = backed.recover()
    assert first.output == ends[0].output
    assert_recovered(backed, first)


def test_throttled_calls_are_sent_again(backed, machine):
    machine.wire.on("ec2:RunInstances", refused("RequestLimitExceeded", 503), nth=2, times=5)
    assert_recovered(backed, backed.recover())


def not_at_first(function, nothing, times=3):
    """Return nothing at first: EC2's look-ups by tag are eventually consistent."""
    left = [times]

    def look(*arguments):
        left[0] -= 1
        return nothing if left[0] >= 0 else function(*arguments)

    return look


@pytest.mark.parametrize(
    ("call", "look", "nothing"), [("ec2:RunInstances", "find_server", None), ("ec2:CreateVolume", "find_volumes", [])]
)
def test_what_is_not_listed_yet_is_not_made_twice(backed, machine, monkeypatch, call, look, nothing):
    machine.wire.on(call, dies_after, nth=CHANGES[call])
    monkeypatch.setattr(recovery_changes, look, not_at_first(getattr(recovery_changes, look), nothing))
    assert_recovered(backed, backed.recover())


def one_behind(look):
    """Return the result of the look before: EC2's descriptions are eventually consistent."""
    seen = []

    def looked(*arguments):
        seen.append(look(*arguments))
        return seen[-2:][0]

    return looked


def test_a_look_that_is_behind_is_taken_for_no_more_than_that(backed, monkeypatch):
    """The recovery requests again what is already detached or attached, and waits out EC2's refusal."""
    monkeypatch.setattr(recovery_changes, "attached_volumes", one_behind(recovery_changes.attached_volumes))
    assert_recovered(backed, backed.recover())


def test_a_volume_that_is_listed_as_attached_while_it_is_detached_is_waited_for(backed, slow, machine, monkeypatch):
    machine.wire.on("ec2:DetachVolume", refused("IncorrectState"), nth=2)
    monkeypatch.setattr(recovery_changes, "attached_volumes", one_behind(recovery_changes.attached_volumes))
    assert_recovered(backed, backed.recover())


def test_a_device_that_is_taken_by_what_is_no_longer_listed_is_waited_for(backed, slow, machine, monkeypatch):
    attached_volumes = recovery_changes.attached_volumes

    def without_detaching(*arguments):
        found = attached_volumes(*arguments)
        return [volume for volume in found if volume.attachments[0].state != "detaching"]

    monkeypatch.setattr(recovery_changes, "attached_volumes", without_detaching)
    assert_recovered(backed, backed.recover())
    assert machine.wire.count("ec2:AttachVolume") > len(backed.record["snapshots"])


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("ec2:DetachVolume", "IncorrectState"),
        ("ec2:AttachVolume", "VolumeInUse"),
        ("ec2:DeleteVolume", "VolumeInUse"),
        ("ec2:DeleteSecurityGroup", "DependencyViolation"),
    ],
)
def test_what_ec2_calls_too_early_is_asked_for_again(backed, machine, call, code):
    machine.wire.on(call, refused(code), times=2)
    assert_recovered(backed, backed.recover())


def test_a_server_that_is_listed_without_its_tags_is_not_taken_for_handed_over(backed, machine, monkeypatch):
    describe = recovery_changes.describe_server

    def bare(client, instance_id):
        return replace(describe(client, instance_id), tags={})

    monkeypatch.setattr(recovery_changes, "describe_server", bare)
    machine.clock.at_next_wait(lambda: None, lambda: monkeypatch.setattr(recovery_changes, "describe_server", describe))
    assert_recovered(backed, backed.recover())


def test_a_server_that_has_its_volumes_is_not_stopped_again(backed, slow, machine):
    machine.stop_in("AwaitOnline")
    backed.recover()
    machine.stop_in("")
    del machine.wire.sent[:]
    assert_recovered(backed, backed.recover())
    assert machine.wire.count("ec2:StopInstances") == 0


def test_a_field_that_a_later_version_adds_does_not_make_another_recovery_of_it(backed, cloud):
    backed.recover()
    kept = json.loads(cloud.items()["recovery#drill-7", "plan"]["request"])
    assert kept == {"recovery_point": backed.record["run_id"], "image_id": backed.image_id}
