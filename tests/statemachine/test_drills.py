"""The drill of docs/use/recover.md: into an isolated network, of old Windows too, with clean-up."""

import re

import pytest

from sandbox.aws.instances import INSTANCES
from tests.statemachine.recoveries import made
from tests.support.environment import TABLE
from tests.support.project import ROOT

DRILL = (ROOT / "docs" / "use" / "recover.md").read_text().partition("## The drill")[2]
VPC_ONLY = "10.99.0.0/16"


@pytest.fixture
def isolated(backed):
    """The fields that the drill's page names, for a subnet of a VPC of its own from which nothing leads out."""
    ec2 = backed.cloud.ec2
    vpc_id = ec2.create_vpc(CidrBlock=VPC_ONLY)["Vpc"]["VpcId"]
    zone = backed.record["source"]["availability_zone"]
    subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.99.1.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    group_id = ec2.create_security_group(GroupName="drill", Description="drill", VpcId=vpc_id)["GroupId"]
    # Nothing in there registers with Systems Manager.
    backed.cloud.servers.managed.clear()
    INSTANCES.started.clear()
    overrides = {"subnet_id": subnet_id, "security_group_ids": [group_id]}
    # The old server runs on, and the page says that in another VPC it is no obstacle.
    return {"overrides": overrides, "on_failure": "clean-up", "beside_the_old_one": False}


def test_the_drill_of_the_docs_recovers_in_an_isolated_network_by_the_status_checks(backed, isolated, machine):
    named = {"recovery_id", "overrides.subnet_id", "overrides.security_group_ids", "on_failure: clean-up"}
    assert {field for field in named if f"`{field}`" in DRILL} == named
    dry = backed.recover(mode="dry-run", **isolated).output
    assert (dry["possible"], dry["problems"]) == (True, [])
    [note] = [note for note in dry["notes"] if "has no way to Systems Manager" in note]
    assert note.endswith("; EC2's status checks decide whether it is recovered")
    run = backed.recover(**isolated)
    assert run.status == "SUCCEEDED", run.cause
    [server] = made(backed.cloud)["servers"]
    assert server["SubnetId"] == isolated["overrides"]["subnet_id"]
    assert [group["GroupId"] for group in server["SecurityGroups"]] == isolated["overrides"]["security_group_ids"]
    assert machine.wire.count("ssm:DescribeInstanceInformation") == 0
    assert run.output["hand_over"]["session_manager"] == ""


@pytest.mark.parametrize("year", ["2016", "2019"])
def test_old_windows_in_another_subnet_is_recovered_by_the_status_checks_and_the_docs_say_so(backed, isolated, year):
    run_on(backed, f"Microsoft Windows Server {year} Datacenter 10.0.14393")
    dry = backed.recover(mode="dry-run", **isolated).output
    [note] = [note for note in dry["notes"] if "keeps its routes to the metadata service" in note]
    assert note.startswith(f"Windows Server {year} ")
    assert any(step.endswith("Wait until EC2's status checks are passed.") for step in dry["steps"])
    assert re.search(rf"Windows Server [^.]*{year}[^.]* with EC2Launch v1 keep routes to the metadata service", DRILL)


def test_where_systems_manager_never_hears_from_a_server_the_words_name_its_routes_and_the_page(backed):
    INSTANCES.started.clear()
    run = backed.recover()
    assert run.error == "NotReady"
    assert "Windows Server 2016 and 2019 may keep routes to the metadata service through the gateway of" in run.cause
    assert "(docs/use/recover.md, The drill)" in run.cause


def run_on(backed, windows):
    """Let the recovery point say of which Windows it is."""
    key = {"pk": {"S": backed.server.instance_id}, "sk": {"S": "run#night-1"}}
    known = backed.cloud.items()[backed.server.instance_id, "run#night-1"]["record"]
    backed.cloud.dynamodb.update_item(
        TableName=TABLE,
        Key=key,
        UpdateExpression="SET #r = :r",
        ExpressionAttributeNames={"#r": "record"},
        ExpressionAttributeValues={":r": {"S": known.replace('"windows":""', f'"windows":"{windows}"')}},
    )
