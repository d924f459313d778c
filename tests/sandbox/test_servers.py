"""Simulated servers: how EC2 describes them, and what their snapshots hold."""

import pytest

from sandbox.aws.snapshots import RULES
from sandbox.servers import Servers

TORN_SEED, CONSISTENT_SEED = 2, 1


@pytest.fixture
def ec2(aws):
    return aws.client("ec2")


def recovery_point(ec2, server, **specification):
    snapshots = ec2.create_snapshots(InstanceSpecification={"InstanceId": server.instance_id, **specification})
    return {snapshot["VolumeId"]: snapshot["SnapshotId"] for snapshot in snapshots["Snapshots"]}


def test_ec2_describes_it_as_a_windows_server(aws, ec2):
    server = aws.servers.add("files", tags={"Backup": "yes"})
    instance = ec2.describe_instances(InstanceIds=[server.instance_id])["Reservations"][0]["Instances"][0]
    assert (instance["Platform"], instance["PlatformDetails"]) == ("windows", "Windows")
    assert {tag["Key"]: tag["Value"] for tag in instance["Tags"]} == {"Name": "files", "Backup": "yes"}
    attached = {m["DeviceName"]: m["Ebs"]["VolumeId"] for m in instance["BlockDeviceMappings"]}
    assert attached == {
        "/dev/sda1": server.volumes["C:"],
        "xvdf": server.volumes["D:"],
        "xvdg": server.volumes["E:"],
    }


@pytest.mark.parametrize(("seed", "torn"), [(TORN_SEED, True), (CONSISTENT_SEED, False)])
def test_whether_a_copy_of_a_running_server_is_torn_depends_on_the_seed_alone(aws, ec2, seed, torn):
    for _ in range(2):
        server = aws.servers.add("shop", seed=seed)
        assert aws.servers.examine(recovery_point(ec2, server)).torn is torn


def test_a_copy_of_a_stopped_server_is_consistent(aws, ec2):
    server = aws.servers.add("shop", seed=TORN_SEED)
    assert aws.servers.examine(recovery_point(ec2, server)).torn
    aws.servers.stop(server)
    RULES.skip(15)
    assert not aws.servers.examine(recovery_point(ec2, server)).torn


def test_a_snapshot_keeps_what_it_holds_while_the_application_goes_on(aws, ec2):
    server = aws.servers.add("shop")
    first = recovery_point(ec2, server)
    before = str(aws.servers.examine(first))
    RULES.skip(15)
    second = recovery_point(ec2, server)
    assert str(aws.servers.examine(first)) == before
    assert aws.servers.examine(second).orders > aws.servers.examine(first).orders


def test_a_server_that_runs_is_examined_by_what_is_on_its_volumes(aws, ec2):
    server = aws.servers.add("shop", seed=TORN_SEED)
    found = aws.servers.examine(recovery_point(ec2, server))
    assert aws.servers.examine_server(server.instance_id) == found
    server.application.shut_down()
    assert not aws.servers.examine_server(server.instance_id).torn


def test_a_recovery_point_without_the_ledger_cannot_be_examined(aws, ec2):
    server = aws.servers.add("shop")
    without_ledger = recovery_point(ec2, server, ExcludeDataVolumeIds=[server.volumes["E:"]])
    with pytest.raises(KeyError, match="E:"):
        aws.servers.examine(without_ledger)


def test_servers_made_elsewhere_do_not_take_the_captures_away_for_good(aws, ec2):
    Servers(ec2, aws.servers.backend, seed=1)
    aws.reset()
    assert set(recovery_point(ec2, aws.servers.add("shop")).values()) <= aws.servers.disks.keys()
