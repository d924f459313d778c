"""Recoveries of servers with many volumes: each call of the function does a few changes, and together they do all."""

import json

import pytest

from quiesce.aws.recovery_changes import CHANGES_PER_TRY
from sandbox.servers import DISKS, Disk
from tests.statemachine.recoveries import assert_recovered, back_up, made
from tests.support.environment import MAX_STATE_BYTES
from tests.support.factories.policy import a_policy
from tests.support.machine import APPS
from tests.support.wire import refused

# CreateSnapshots takes 128 volumes of one server (EBS user guide); most Nitro servers have up to 28.
MOST = 128
# EC2's names for volumes of Windows servers: xvdb to xvdz, xvdba to xvdbz, and so on (EC2 user guide).
LETTERS = "abcdefghijklmnopqrstuvwxyz"
DEVICES = [f"xvd{letter}" for letter in LETTERS[1:]] + [f"xvd{a}{b}" for a in "bcde" for b in LETTERS]
# An instance type that takes as many (EC2 user guide, volume limits); that of the old servers takes 27.
LARGE = {"overrides": {"instance_type": "m7i.48xlarge"}}
# Step Functions' limit for a cause, in characters.
MAX_CAUSE = 32_768


def backed_with(cloud, machine, volumes):
    """Back up a server with `volumes` volumes, each with a file of its own."""
    data = [Disk(device, 1, rf"C:\mount\{device}") for device in DEVICES[: volumes - 1]]
    server = cloud.add_server("MANY", (DISKS[0], *data))
    for drive, volume_id in server.volumes.items():
        cloud.servers.content(volume_id).write("what.txt", f"this is {drive}")
    return back_up(cloud, machine, server, a_policy(server.instance_id))


@pytest.fixture
def changes(machine, monkeypatch):
    """The requests of each call of the function, except looks, dry runs and its progress, as a list for each call."""
    calls, handler = [], APPS["recover"].handler

    def counted(event, context):
        sent = len(machine.wire.sent)
        try:
            return handler(event, context)
        finally:
            looks = ("ec2:Describe", "dynamodb:", "ssm:", "s3:")
            mine = [call for call in machine.wire.sent[sent:] if not call.startswith(looks)]
            calls.append([] if event["step"] == "plan" else mine)

    monkeypatch.setattr(APPS["recover"], "handler", counted)
    return calls


@pytest.mark.parametrize("volumes", [28, MOST])
def test_a_server_with_many_volumes_comes_back_with_few_changes_at_a_time(cloud, machine, take_time, changes, volumes):
    backed = backed_with(cloud, machine, volumes)
    take_time()
    run = backed.recover(**LARGE)
    assert_recovered(backed, run)
    assert max(map(len, changes)) == CHANGES_PER_TRY
    assert machine.wire.count("ec2:AttachVolume") == volumes
    assert machine.wire.count("ec2:CreateVolume") == 2 * volumes  # each once as a dry run
    assert all(len(json.dumps(run.input_of(state))) < MAX_STATE_BYTES for state in ("Launch", "Finish"))


def test_an_account_of_many_volumes_names_each_and_a_clean_up_deletes_few_at_a_time(cloud, machine, changes):
    backed = backed_with(cloud, machine, MOST)
    machine.wire.on("ec2:StartInstances", refused("UnauthorizedOperation", 403), times=2)
    run = backed.recover(**LARGE)
    assert len(run.cause) < MAX_CAUSE
    assert all(volume["VolumeId"] in run.cause for volume in made(cloud)["volumes"])
    run = backed.recover(**LARGE, on_failure="clean-up")
    assert run.cause.endswith("Nothing that it made exists.")
    assert made(cloud) == {"servers": [], "volumes": [], "groups": []}
    assert max(sum(call == "ec2:DeleteVolume" for call in sent) for sent in changes) == CHANGES_PER_TRY
