"""Recoveries beside an old server, to an address, and in a subnet without a way out: said before the launch."""

import pytest
from botocore.awsrequest import AWSResponse
from moto.core.botocore_stubber import MockRawResponse

from tests.statemachine.recoveries import assert_recovered, made

NOTHING = {"servers": [], "volumes": [], "groups": []}
TAKES_TWO = b"""<DescribeInstanceTypesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><instanceTypeSet><item>
<instanceType>m5.large</instanceType><hypervisor>nitro</hypervisor>
<ebsInfo><maximumEbsAttachments>2</maximumEbsAttachments></ebsInfo>
</item></instanceTypeSet></DescribeInstanceTypesResponse>"""


def test_beside_a_running_old_server_nothing_is_launched_unless_the_input_wants_both(backed):
    run = backed.recover(beside_the_old_one=False)
    assert (run.status, run.error, made(backed.cloud)) == ("FAILED", "RecoveryRefused", NOTHING)
    words = f"beside_the_old_one: the old server SERVER1 ({backed.server.instance_id}) is running in the same VPC vpc-"
    assert words in run.cause
    dry = backed.recover(beside_the_old_one=False, mode="dry-run").output
    assert (dry["possible"], len(dry["problems"])) == (False, 1)
    assert words in dry["problems"][0]
    assert_recovered(backed, backed.recover())


def test_where_the_old_server_is_stopped_the_recovery_says_so_and_goes_on(backed):
    backed.cloud.servers.stop(backed.server)
    run = backed.recover(beside_the_old_one=False)
    assert run.status == "SUCCEEDED", run.cause
    assert run.output["notes"][0].startswith(
        f"the old server SERVER1 ({backed.server.instance_id}) is stopped in the same VPC"
    )


def test_earlier_recoveries_of_the_server_are_counted_in_the_dry_run(backed):
    first = backed.recover()
    dry = backed.recover(mode="dry-run", recovery_id="drill-8").output
    assert f"one earlier recovery of it exists: {first.output['instance_id']} (running, drill-7)" in dry["notes"]


def test_an_address_that_is_taken_is_told_before_the_launch_and_by_whom(backed):
    subnet_id = backed.record["source"]["subnet_id"]
    made_here = backed.cloud.ec2.create_network_interface(SubnetId=subnet_id, Description="ELB app/web")
    interface = made_here["NetworkInterface"]
    run = backed.recover(overrides={"private_ip": interface["PrivateIpAddress"]})
    assert (run.status, run.error, made(backed.cloud)) == ("FAILED", "RecoveryRefused", NOTHING)
    words = f"{interface['PrivateIpAddress']} is taken by {interface['NetworkInterfaceId']} (ELB app/web). Remedy: "
    assert f"overrides.private_ip: {words}" in run.cause


def test_an_address_outside_of_the_subnet_is_told_before_the_launch(backed):
    run = backed.recover(overrides={"private_ip": "203.0.113.9"})
    assert (run.error, made(backed.cloud)) == ("RecoveryRefused", NOTHING)
    assert "overrides.private_ip: 203.0.113.9 is outside of subnet-" in run.cause


@pytest.fixture
def closed(backed):
    """The subnet's route table, without its way out."""
    [table] = backed.cloud.ec2.describe_route_tables()["RouteTables"]
    backed.cloud.ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")


def test_in_a_subnet_without_a_way_out_the_status_checks_decide(backed, machine, closed):
    backed.cloud.servers.managed.clear()
    run = backed.recover()
    assert_recovered(backed, run)
    [note] = [note for note in run.output["notes"] if "has no way to Systems Manager" in note]
    assert note.endswith("EC2's status checks decide whether it is recovered")
    assert machine.wire.count("ssm:DescribeInstanceInformation") == 0


def test_endpoints_of_systems_manager_are_a_way_too(backed, machine, closed):
    vpc_id, subnet_id = (backed.record["source"][name] for name in ("vpc_id", "subnet_id"))
    for service in ("ssm", "ssmmessages"):
        backed.cloud.ec2.create_vpc_endpoint(
            VpcId=vpc_id,
            VpcEndpointType="Interface",
            ServiceName=f"com.amazonaws.eu-central-1.{service}",
            SubnetIds=[subnet_id],
        )
    run = backed.recover()
    assert_recovered(backed, run)
    assert machine.wire.count("ssm:DescribeInstanceInformation") > 0


def test_an_instance_type_that_the_region_does_not_have_is_told_before_the_launch(backed):
    run = backed.recover(overrides={"instance_type": "z9.nano"})
    assert (run.error, made(backed.cloud)) == ("RecoveryRefused", NOTHING)
    assert "EC2 knows no instance type z9.nano in this Region" in run.cause


def test_too_many_volumes_for_the_type_and_a_volume_type_without_its_iops_are_told_before_the_launch(backed, machine):
    def takes_two(request, _effect):
        return AWSResponse(request.url, 200, {}, MockRawResponse(TAKES_TWO))

    machine.wire.on("ec2:DescribeInstanceTypes", takes_two)
    dry = backed.recover(mode="dry-run", overrides={"volumes": {"xvdf": {"volume_type": "io2"}}}).output
    assert [problem.partition(". Remedy: ")[0] for problem in dry["problems"]] == [
        "overrides.volumes.xvdf.iops: io2 needs IOPS, and neither the input nor the recovery point has any for it",
        "overrides.instance_type: m5.large takes 2 volumes, and the server had 3",
    ]
    assert made(backed.cloud) == NOTHING
