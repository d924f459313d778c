"""Recoveries that fail: the error, its text, and an account of exactly what exists."""

import re

import pytest

from quiesce.aws import recovery_changes
from quiesce.aws.recovery_changes import USED_UP
from quiesce.errors import RecoveryUsedUp
from sandbox.aws.instances import INSTANCES
from sandbox.aws.keys import KEYS
from sandbox.aws.volumes import VOLUMES
from tests.statemachine.recoveries import assert_recovered, back_up, made, state_of_source
from tests.support.factories.policy import a_policy
from tests.support.project import definition
from tests.support.wire import refused

KEY = "arn:aws:kms:eu-central-1:210987654321:key/11111111-1111-1111-1111-111111111111"
SWAP = definition("RecoverMachine")["States"]["Swap"]
NOTHING = {"servers": [], "volumes": [], "groups": []}
GO_ON = (
    "; to go on, start it again under recovery_id 'drill-7'; "
    "with on_failure 'clean-up', this is deleted if it fails again."
)
NEW_ID = "; to delete it, start 'drill-7' again with on_failure 'clean-up'."


def counts(cloud):
    return {kind: len(found) for kind, found in made(cloud).items()}


def assert_failed(backed, run, error, words, **left):
    """Check a recovery that failed: error and text, what exists by kind, and that the account names each resource."""
    assert (run.status, run.error) == ("FAILED", error)
    assert run.states[-2:] == ["Account", "RecoveryFailed"]
    assert words in run.cause
    assert not re.search(r"\{\w+\}", run.cause), "a placeholder reached the person"
    exists = made(backed.cloud)
    assert {kind: len(found) for kind, found in exists.items()} == {"servers": 0, "volumes": 0, "groups": 0, **left}
    ids = [found[key] for kind in exists.values() for found in kind for key in found if key in IDS]
    if ids:
        assert run.cause.endswith(NEW_ID if error == RecoveryUsedUp.__name__ else GO_ON)
        assert all(resource_id in run.cause for resource_id in ids)
    else:
        assert run.cause.endswith(". Nothing that it made exists.")


IDS = {"InstanceId", "VolumeId", "GroupId"}
SERVER_ONLY = {"servers": 1, "volumes": 1, "groups": 1}
ALL = {"servers": 1, "volumes": 4, "groups": 1}


def no_agent(_monkeypatch):
    INSTANCES.started.clear()


def never_stops(monkeypatch):
    monkeypatch.setattr(INSTANCES, "never_stops", True)


def never_passes(monkeypatch):
    monkeypatch.setattr(INSTANCES, "never_passes_checks", True)


@pytest.mark.parametrize(
    ("call", "code", "status", "nth", "words", "left"),
    [
        (
            "ec2:RunInstances",
            "InsufficientInstanceCapacity",
            500,
            2,
            "start it again later, or with another",
            {"groups": 1},
        ),
        ("ec2:RunInstances", "VcpuLimitExceeded", 400, 2, "raise the account's quota", {"groups": 1}),
        ("ec2:RunInstances", "InvalidAMIID.Unavailable", 400, 2, "name another image in image_id", {"groups": 1}),
        ("ec2:RunInstances", "NobodyHasSeenThis", 400, 2, "mend what EC2 names, and start it again", {"groups": 1}),
        ("ec2:CreateVolume", "InvalidSnapshot.NotFound", 400, 4, "start it under a new recovery_id", SERVER_ONLY),
        ("ec2:AttachVolume", "AttachmentLimitExceeded", 400, 1, "an instance_type that takes more volumes", ALL),
        ("ec2:AttachVolume", "InvalidVolume.ZoneMismatch", 400, 1, "a volume of this one is in another zone", ALL),
        (
            "ec2:StartInstances",
            "InsufficientInstanceCapacity",
            500,
            1,
            "start it again later",
            {"servers": 1, "volumes": 4, "groups": 1},
        ),
    ],
)
def test_what_ec2_refuses_is_told_in_its_words_with_a_remedy(backed, machine, call, code, status, nth, words, left):
    before, tries = state_of_source(backed), 4 if status >= 500 else 1
    machine.wire.on(call, refused(code, status), nth=nth, times=tries)
    run = backed.recover()
    assert_failed(backed, run, "RecoveryUsedUp" if code in USED_UP else "ChangeRefused", words, **left)
    assert code in run.cause
    assert state_of_source(backed) == before
    assert_recovered(backed, backed.recover())


def test_a_start_that_ec2_gives_up_is_told_with_ec2s_reason_and_goes_on_once_the_key_is_mended(
    cloud, machine, server, take_time
):
    """A volume's key can't be used: EC2 takes the call, and the server stops again (Client.InternalError)."""
    cloud.servers.encrypt(server, KEY)
    backed = back_up(cloud, machine, server, a_policy(server.instance_id))
    take_time()
    machine.wire.on("ec2:StartInstances", deny_key)
    run = backed.recover()
    words = r"EC2 took it, and i-[0-9a-f]+ is stopped \(Client.InternalError: Client error on launch\)"
    assert_failed(backed, run, "ChangeRefused", "the function's role use their keys", servers=1, volumes=4, groups=1)
    assert re.search(words, run.cause)
    assert machine.wire.count("ec2:StartInstances") == 1
    # What mended it was done outside: this execution finds EC2's old reason, and tries all the same.
    KEYS.denied.clear()
    assert_recovered(backed, backed.recover())


def deny_key(_request, effect):
    KEYS.denied.add(KEY)
    return effect()


@pytest.mark.parametrize("call", ["ec2:RunInstances", "ec2:CreateVolume"])
def test_a_missing_right_is_told_before_anything_exists(backed, machine, call):
    machine.wire.on(call, refused("UnauthorizedOperation", 403))
    run = backed.recover()
    assert (run.error, counts(backed.cloud)) == ("RecoveryRefused", {"servers": 0, "volumes": 0, "groups": 0})
    assert f"{call}: a right is missing" in run.cause
    assert "the stack's parameter ServerRoles" in run.cause


@pytest.mark.parametrize(
    ("order", "fields", "words", "left"),
    [
        (never_stops, {}, "is stopping, and has to be stopped", ALL),
        (no_agent, {}, "Systems Manager does not hear from i-", ALL),
        (never_passes, {"agent": "none"}, "EC2's status checks of i-", ALL),
    ],
    ids=["stuck stopping", "SSM never online", "status checks never passed"],
)
def test_what_never_comes_is_told_after_a_bounded_time(backed, monkeypatch, order, fields, words, left):
    order(monkeypatch)
    assert_failed(backed, backed.recover(**fields), "NotReady", words, **left)


@pytest.mark.parametrize("state", ["detaching", "busy"])
def test_a_detachment_that_never_ends_is_told_and_the_recovery_goes_on_once_it_has(backed, machine, state):
    VOLUMES.stuck_as = state
    run = backed.recover()
    [own] = [v for v in made(backed.cloud)["volumes"] if "quiesce:device" not in {tag["Key"] for tag in v["Tags"]}]
    server = run.input_of("Stop")["launch"]["instance_id"]
    words = f"2 of 3 volumes are in place on {server}; {own['VolumeId']} is {state} at /dev/sda1"
    assert_failed(backed, run, "NotReady", words, **ALL)
    assert machine.wire.count("ec2:DetachVolume") == 1
    VOLUMES.stuck_as = ""
    assert_recovered(backed, backed.recover())


def test_a_device_that_ec2_never_takes_is_told_in_its_words_after_a_bounded_time(backed, machine):
    tries = 1 + next(r for r in SWAP["Retry"] if r["ErrorEquals"] == ["NotReady"])["MaxAttempts"]
    machine.wire.on("ec2:AttachVolume", refused("InvalidParameterValue"), times=tries)
    assert_failed(backed, backed.recover(), "NotReady", "ec2:AttachVolume: An error occurred (InvalidParameter", **ALL)


def test_a_detachment_that_never_ends_keeps_nothing_from_being_cleaned_up(backed):
    VOLUMES.stuck_as = "busy"
    run = backed.recover(on_failure="clean-up")
    assert_failed(backed, run, "NotReady", "is busy at /dev/sda1")


def test_a_volume_that_somebody_holds_keeps_nothing_else_from_being_cleaned_up(backed, machine):
    machine.stop_in("MakeVolumes")
    backed.recover()
    machine.stop_in("")
    held = next(v["VolumeId"] for v in made(backed.cloud)["volumes"] if v["State"] == "available")
    backed.cloud.ec2.attach_volume(InstanceId=backed.server.instance_id, VolumeId=held, Device="xvdz")
    run = backed.recover(on_failure="clean-up")
    assert (run.status, run.error, run.states[-1]) == ("FAILED", "NotReady", "AccountFailed")
    exists = made(backed.cloud)
    assert (exists["servers"], [v["VolumeId"] for v in exists["volumes"]], exists["groups"]) == ([], [held], [])


def test_a_key_that_cannot_be_used_is_told_although_ec2_took_the_call(backed):
    """EBS may not use the key of D:; EC2 accepts the call, and the volume ends in an error later."""
    [snapshot] = [s for s in backed.record["snapshots"] if s["volume_id"] == backed.server.volumes["D:"]]
    VOLUMES.unusable.add(snapshot["snapshot_id"])
    run = backed.recover()
    assert_failed(backed, run, "RecoveryUsedUp", "for xvdf is error: EC2 could not create it; if its", **ALL)
    assert "allow the recovery to use the key, and start a new recovery, under another id. This exists" in run.cause
    assert_failed(backed, backed.recover(on_failure="clean-up"), "RecoveryUsedUp", "for xvdf is error")


def test_a_volume_that_ec2_takes_away_again_is_waited_for_for_a_bounded_time(backed, machine):
    """The other way in which EC2 may show that it cannot use a key."""

    def made_and_gone(_request, effect):
        answer = effect()
        with machine.wire.listen(on=False):
            [volume] = [v for v in made(backed.cloud)["volumes"] if v["State"] == "available"]
            backed.cloud.ec2.delete_volume(VolumeId=volume["VolumeId"])
        return answer

    machine.wire.on("ec2:CreateVolume", made_and_gone, nth=4)
    words = "EC2 does not list 1 of 3 volumes yet, /dev/sda1 among them; 1 requested just now; one that never appears"
    assert_failed(backed, backed.recover(), "NotReady", words, servers=1, volumes=3, groups=1)


def attach_foreign(backed, device):
    [server] = made(backed.cloud)["servers"]
    zone = server["Placement"]["AvailabilityZone"]
    foreign = backed.cloud.ec2.create_volume(Size=1, AvailabilityZone=zone)["VolumeId"]
    backed.cloud.ec2.attach_volume(InstanceId=server["InstanceId"], VolumeId=foreign, Device=device)
    return foreign


@pytest.mark.parametrize("on_failure", ["keep", "clean-up"])
def test_a_device_that_is_taken_by_another_is_told_and_the_other_is_left(backed, machine, on_failure):
    machine.stop_in("MakeVolumes")
    backed.recover()
    machine.stop_in("")
    foreign = attach_foreign(backed, "xvdf")
    run = backed.recover(on_failure=on_failure)
    assert (run.status, run.error) == ("FAILED", "RecoveryBroken")
    server = run.input_of("Stop")["launch"]["instance_id"]
    assert f"xvdf of {server} is taken by {foreign}, which is not this recovery's" in run.cause
    assert backed.cloud.ec2.describe_volumes(VolumeIds=[foreign])["Volumes"]
    assert bool(counts(backed.cloud)["servers"]) == (on_failure == "keep")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda b, s: b.cloud.ec2.delete_snapshot(SnapshotId=s), "does not exist any more"),
        (lambda b, _: b.cloud.ec2.deregister_image(ImageId=b.image_id), "does not exist, or was deregistered"),
    ],
    ids=["snapshot deleted", "AMI deregistered"],
)
def test_what_is_gone_is_told_before_anything_is_created(backed, machine, spoil, words):
    spoil(backed, backed.record["snapshots"][0]["snapshot_id"])
    del machine.wire.sent[:]
    assert_failed(backed, backed.recover(), "RecoveryRefused", words)
    assert machine.wire.count("ec2:RunInstances") == 0


@pytest.mark.parametrize("where", [1, 3, 5])
def test_a_server_that_somebody_terminates_meanwhile_ends_the_recovery(backed, slow, machine, where):
    def terminate():
        backed.cloud.ec2.terminate_instances(InstanceIds=[made(backed.cloud)["servers"][0]["InstanceId"]])

    machine.clock.at_next_wait(*[lambda: None] * where, terminate)
    run = backed.recover(on_failure="clean-up")
    assert run.error == "RecoveryUsedUp"
    assert "is terminated (" in run.cause
    assert made(backed.cloud) == NOTHING
    again = backed.recover(on_failure="clean-up")
    assert again.error == "RecoveryUsedUp"
    assert ", made by this recovery, is terminated (" in again.cause
    assert "start a new recovery, under another id" in again.cause


@pytest.mark.parametrize("state", ["Launch", "Stop", "MakeVolumes", "Swap", "Start", "AwaitOnline"])
def test_clean_up_leaves_nothing_of_the_recovery_and_everything_else(backed, slow, machine, monkeypatch, state):
    before = state_of_source(backed)
    never_passes(monkeypatch)
    call = {
        "Launch": ("ec2:RunInstances", 2),
        "Stop": ("ec2:StopInstances", 1),
        "MakeVolumes": ("ec2:CreateVolume", 5),
        "Swap": ("ec2:AttachVolume", 2),
        "Start": ("ec2:StartInstances", 1),
        "AwaitOnline": ("ssm:DescribeInstanceInformation", 1),
    }[state]
    machine.wire.on(call[0], refused("UnauthorizedOperation", 403), nth=call[1])
    run = backed.recover(on_failure="clean-up")
    assert (run.status, run.error) == ("FAILED", "AccessDenied")
    assert run.cause.endswith("Nothing that it made exists.")
    assert made(backed.cloud) == NOTHING
    assert state_of_source(backed) == before


def test_a_server_that_was_handed_over_is_never_cleaned_up(backed, machine):
    """A second start under its id with clean-up fails, but the server is in use by now."""
    first = backed.recover()
    machine.wire.on("ec2:DescribeInstanceStatus", refused("UnauthorizedOperation", 403))
    machine.wire.on("ssm:DescribeInstanceInformation", refused("AccessDeniedException"))
    run = backed.recover(on_failure="clean-up")
    machine.wire._faults.clear()
    assert (run.status, run.error) == ("FAILED", "AccessDenied")
    assert_recovered(backed, first)


def test_volumes_of_a_server_that_its_owner_terminated_are_never_cleaned_up(backed):
    first = backed.recover()
    backed.cloud.ec2.terminate_instances(InstanceIds=[first.output["instance_id"]])
    left = counts(backed.cloud)["volumes"]
    assert left > 0
    run = backed.recover(on_failure="clean-up")
    assert run.error == "RecoveryUsedUp"
    assert counts(backed.cloud)["volumes"] == left


def test_they_are_not_even_when_ec2_no_longer_lists_that_server(backed, monkeypatch):
    """EC2 lists a terminated server for about an hour."""
    first = backed.recover()
    backed.cloud.ec2.terminate_instances(InstanceIds=[first.output["instance_id"]])
    left = counts(backed.cloud)["volumes"]
    monkeypatch.setattr(recovery_changes, "find_server", lambda *_: None)
    run = backed.recover(on_failure="clean-up")
    assert run.error == "RecoveryUsedUp"
    assert "start a new recovery, under another id" in run.cause
    assert counts(backed.cloud)["volumes"] == left > 0


def test_a_clean_up_that_fails_keeps_the_first_error_and_its_words_and_deletes_no_part(backed, machine):
    machine.wire.on("ec2:StartInstances", refused("InsufficientInstanceCapacity", 500), times=4)
    machine.wire.on("ec2:TerminateInstances", refused("OperationNotPermitted"), times=1)
    run = backed.recover(on_failure="clean-up")
    assert (run.status, run.error) == ("FAILED", "ChangeRefused")
    assert run.states[-1] == "AccountFailed"
    assert "InsufficientInstanceCapacity" in run.cause
    assert counts(backed.cloud) == {"servers": 1, "volumes": 4, "groups": 1}


def test_a_group_that_somebody_opened_is_not_used(backed, machine):
    machine.wire.on("ec2:RunInstances", refused("VcpuLimitExceeded"), nth=2)
    backed.recover()
    [group] = made(backed.cloud)["groups"]
    rule = {"IpProtocol": "tcp", "FromPort": 3389, "ToPort": 3389, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    backed.cloud.ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[rule])
    run = backed.recover()
    assert run.error == "RecoveryBroken"
    assert f"{group['GroupId']} lets traffic in" in run.cause


@pytest.mark.parametrize("raw", [{}, None, "latest", {"recovery_point": "x", "recovery_id": 7}, {"recovery_id": "a b"}])
def test_an_input_that_cannot_be_used_ends_with_its_words(backed, raw):
    assert_failed(backed, backed.machine.recover(raw), "RecoveryRefused", "Remedy: write it ")


def test_clean_up_keeps_a_server_that_runs_and_passes_its_status_checks(backed, monkeypatch):
    """It is in its real network, and only Systems Manager does not hear from it."""
    no_agent(monkeypatch)
    run = backed.recover(on_failure="clean-up")
    [server] = made(backed.cloud)["servers"]
    assert (run.status, run.error) == ("FAILED", "NotReady")
    assert f"{server['InstanceId']} is kept all the same: it runs and passes EC2's status checks" in run.cause
    assert "to go on, start it again under recovery_id 'drill-7'; if you don't want it, delete " in run.cause
    assert all(volume["VolumeId"] in run.cause for volume in made(backed.cloud)["volumes"])


def test_a_recovery_point_that_nobody_made_is_told(backed):
    run = backed.recover(recovery_point="night-9")
    assert_failed(backed, run, "RecoveryRefused", "'night-9', or begins like this, exists in this stack")


def test_a_recovery_point_without_the_root_is_refused(backed, machine, cloud):
    server = cloud.add_server("DATA")
    policy = {
        "name": "data",
        "targets": [{"instance_id": server.instance_id}],
        "defaults": {"volumes": {"exclude": ["root"]}},
    }
    assert machine.start({"policy": policy}, "data-1").status == "SUCCEEDED"
    run = backed.recover(recovery_point="data-1")
    assert_failed(backed, run, "RecoveryRefused", "has no snapshot of the root volume: no server can boot from it")


def test_a_run_id_that_two_servers_share_recovers_the_one_that_is_named(backed, machine, cloud):
    """90 days after the end of an execution its name is free again."""
    [old] = [m for m in cloud.stepfunctions.list_state_machines()["stateMachines"] if m["name"] == "m-night-1"]
    cloud.stepfunctions.delete_state_machine(stateMachineArn=old["stateMachineArn"])
    other = cloud.add_server("OTHER")
    policy = {"name": "other", "targets": [{"instance_id": other.instance_id}], "defaults": {"vss": "off"}}
    assert machine.start({"policy": policy}, backed.record["run_id"]).status == "SUCCEEDED"
    run = backed.recover()
    both = " and ".join(sorted([backed.server.instance_id, other.instance_id]))
    assert_failed(backed, run, "RecoveryRefused", f"'night-1' is the id of a run on each of {both}. Remedy: add ")
    named = backed.recover(instance_id=backed.server.instance_id)
    assert_recovered(backed, named)
    assert named.output["from_instance_id"] == backed.server.instance_id
