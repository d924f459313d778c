"""Recoveries in which nothing goes wrong: each volume is in its place, and the source is unchanged."""

import pytest

from sandbox.aws.instances import INSTANCES
from tests.statemachine.recoveries import assert_recovered, back_up, made, state_of_source
from tests.support.cloud import backend
from tests.support.environment import BUCKET
from tests.support.factories.policy import a_policy


def test_a_server_is_made_anew_with_every_volume_in_its_place(backed, slow):
    before = state_of_source(backed)
    server = assert_recovered(backed, backed.recover())
    assert server["InstanceType"] == "m5.large"
    assert state_of_source(backed) == before


def test_what_went_with_the_old_server_goes_with_the_new_one(machine, cloud, server):
    """EC2 sets of an attached volume that it stays."""
    ends = {"/dev/sda1": True, "xvdf": False, "xvdg": True}
    mappings = [{"DeviceName": device, "Ebs": {"DeleteOnTermination": end}} for device, end in ends.items()]
    cloud.ec2.modify_instance_attribute(InstanceId=server.instance_id, BlockDeviceMappings=mappings)
    backed = back_up(cloud, machine, server, a_policy(server.instance_id))
    recovered = assert_recovered(backed, backed.recover())
    found = {m["DeviceName"]: m["Ebs"]["DeleteOnTermination"] for m in recovered["BlockDeviceMappings"]}
    assert found == ends


def test_a_server_whose_key_pair_is_gone_is_recovered_without_one(machine, cloud, server):
    backend().get_instance(server.instance_id).key_name = "admins"
    backed = back_up(cloud, machine, server, a_policy(server.instance_id))
    assert backed.record["source"]["key_name"] == "admins"
    refused = backed.recover(recovery_id="drill-6")
    assert (refused.status, refused.error) == ("FAILED", "RecoveryRefused")
    assert "Remedy: name another key_name, or '' for none in overrides, under a new recovery_id" in refused.cause
    recovered = assert_recovered(backed, backed.recover(overrides={"key_name": ""}))
    assert not recovered.get("KeyName")


@pytest.mark.parametrize("deleted", [False, True])
def test_a_volume_that_was_attached_while_the_backup_ran_is_left_aside(deleted, machine, cloud, server):
    """Between Plan and Snapshot: its snapshot is one more, and has no place on the server."""

    def attach():
        zone = cloud.ec2.describe_volumes()["Volumes"][0]["AvailabilityZone"]
        volume_id = cloud.ec2.create_volume(AvailabilityZone=zone, Size=8)["VolumeId"]
        cloud.ec2.attach_volume(VolumeId=volume_id, InstanceId=server.instance_id, Device="xvdh")

    machine.before("snapshot", attach)
    backed = back_up(cloud, machine, server, a_policy(server.instance_id))
    [more] = [s for s in backed.record["snapshots"] if s["volume"] is None]
    if deleted:
        cloud.ec2.delete_snapshot(SnapshotId=more["snapshot_id"])
    plan = backed.recover(mode="dry-run")
    assert "Keys are not tried by a dry run" in plan.output["steps"][-1]
    assert (plan.output["possible"], plan.output["problems"]) == (True, [])
    assert any(f"Leave {more['snapshot_id']} aside" in step for step in plan.output["steps"])
    backed.record["snapshots"].remove(more)
    assert_recovered(backed, backed.recover())


def test_the_account_says_what_the_server_is(backed):
    run = backed.recover()
    at = backed.record["snapshots_at"].replace("T", " ")[:19]
    assert run.output["status"] == "Recovered"
    assert run.output["reason"] == (
        f"{run.output['instance_id']} runs with the volumes of {backed.server.instance_id} as of {at} UTC"
    )
    assert sorted(r["what"] for r in run.output["exists"]) == ["/dev/sda1", "the server", "xvdf", "xvdg"]


def test_the_first_boot_sees_no_traffic_and_the_second_has_the_real_groups(backed, machine, cloud, monkeypatch):
    seen = []

    def look():
        servers = made(cloud)["servers"]
        groups = cloud.ec2.describe_security_groups(GroupIds=[g["GroupId"] for g in servers[0]["SecurityGroups"]])
        seen.append(groups["SecurityGroups"][0])

    monkeypatch.setattr(INSTANCES, "starting_s", 5.0)
    machine.clock.at_next_wait(lambda: None, look)
    assert_recovered(backed, backed.recover())
    assert (seen[0]["IpPermissions"], seen[0]["IpPermissionsEgress"]) == ([], [])
    # Two stacks of one account may recover under one id, and EC2 makes no second group of a name in a VPC.
    assert seen[0]["GroupName"] == "quiesce recovery drill-7"


def test_a_dry_run_says_everything_and_creates_nothing(backed, machine):
    del machine.wire.sent[:]
    run = backed.recover(mode="dry-run")
    assert run.status == "SUCCEEDED"
    assert run.output["possible"] is True
    assert run.output["problems"] == []
    assert "11. Wait until Systems Manager hears from it." in run.output["steps"]
    assert made(backed.cloud) == {"servers": [], "volumes": [], "groups": []}
    assert "dynamodb:PutItem" not in machine.wire.sent
    assert machine.wire.count("ec2:RunInstances") == 1  # the DryRun


def test_a_dry_run_lists_all_that_stands_in_the_way(backed):
    for snapshot in backed.record["snapshots"][:2]:
        backed.cloud.ec2.delete_snapshot(SnapshotId=snapshot["snapshot_id"])
    run = backed.recover(mode="dry-run")
    assert run.status == "SUCCEEDED"
    assert run.output["possible"] is False
    assert len(run.output["problems"]) == 2
    assert "does not exist any more" in run.output["problems"][0]


def test_a_server_without_an_agent_is_ready_when_the_status_checks_are_passed(backed, machine):
    backed.cloud.servers.managed.clear()
    run = backed.recover(agent="none")
    assert_recovered(backed, run)
    assert machine.wire.count("ssm:DescribeInstanceInformation") == 0


def test_an_image_that_a_person_tagged_is_taken_if_none_is_named_and_no_backups_is_left(backed):
    backed.cloud.ec2.deregister_image(ImageId=backed.record["initial_image"])
    tags = {"quiesce:stack": "quiesce", "quiesce:instance": backed.server.instance_id}
    backed.cloud.ec2.create_tags(
        Resources=[backed.image_id], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    request = {name: value for name, value in backed.request().items() if name != "image_id"}
    server = assert_recovered(backed, backed.machine.recover(request))
    assert server["ImageId"] == backed.image_id


def subnet_in_another_zone(backed):
    ec2 = backed.cloud.ec2
    [source] = ec2.describe_subnets(SubnetIds=[backed.record["source"]["subnet_id"]])["Subnets"]
    others = ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [source["VpcId"]]}])["Subnets"]
    return next(s for s in others if s["AvailabilityZone"] != source["AvailabilityZone"])


def test_a_recovery_in_another_zone_has_server_and_volumes_there(backed):
    subnet = subnet_in_another_zone(backed)
    zone = subnet["AvailabilityZone"]
    server = assert_recovered(backed, backed.recover(overrides={"zone": zone}))
    assert (server["SubnetId"], server["Placement"]["AvailabilityZone"]) == (subnet["SubnetId"], zone)
    assert {volume["AvailabilityZone"] for volume in made(backed.cloud)["volumes"]} == {zone}


def test_the_zone_in_which_the_server_was_means_its_own_subnet(backed, machine):
    del machine.wire.sent[:]
    source = backed.record["source"]
    server = assert_recovered(backed, backed.recover(overrides={"zone": source["availability_zone"]}))
    assert server["SubnetId"] == source["subnet_id"]
    assert machine.wire.count("ec2:DescribeSubnets") == 1


def test_a_zone_and_a_subnet_that_contradict_each_other_are_refused(backed):
    zone = subnet_in_another_zone(backed)["AvailabilityZone"]
    subnet_id = backed.record["source"]["subnet_id"]
    run = backed.recover(overrides={"zone": zone, "subnet_id": subnet_id})
    assert (run.status, run.error) == ("FAILED", "RecoveryRefused")
    assert f"overrides.zone: {subnet_id} is in" in run.cause


def test_a_zone_that_the_vpc_does_not_reach_is_refused_with_those_it_does(backed):
    run = backed.recover(overrides={"zone": "eu-central-1z"})
    assert (run.status, run.error) == ("FAILED", "RecoveryRefused")
    assert "has no subnet in eu-central-1z; it has subnet-" in run.cause
    assert made(backed.cloud) == {"servers": [], "volumes": [], "groups": []}


def test_a_recovery_by_time_means_what_was_there_then(backed):
    request = {**backed.request(), "instance_id": backed.server.instance_id, "at": "latest whole"}
    del request["recovery_point"]
    assert_recovered(backed, backed.machine.recover(request))


def test_a_second_recovery_is_a_second_server(backed):
    first, second = backed.recover(), backed.recover(recovery_id="drill-8")
    assert first.output["instance_id"] != second.output["instance_id"]
    assert len(made(backed.cloud, "drill-8")["volumes"]) == 3


def test_a_recovery_that_has_ended_is_told_again_and_changes_nothing(backed, machine, cloud):
    first = backed.recover()
    del machine.wire.sent[:]
    second = backed.recover()
    assert second.output == first.output
    reading = ("ec2:Describe", "dynamodb:GetItem", "dynamodb:Query", "ssm:Describe", "s3:List", "s3:Get")
    # It tells how far it is, and nothing else.
    assert {call for call in machine.wire.sent if not call.startswith(reading)} == {"s3:PutObject"}
    assert list(cloud.accounts()) == [first.output["account"].removeprefix(f"s3://{BUCKET}/")]


def test_the_same_id_with_another_input_is_refused_and_nothing_is_cleaned_up(backed):
    first = backed.recover()
    run = backed.recover(overrides={"instance_type": "t3.small"}, on_failure="clean-up")
    assert (run.status, run.error) == ("FAILED", "RecoveryRefused")
    assert "'drill-7' is a recovery that was started with another input" in run.cause
    assert_recovered(backed, first)
