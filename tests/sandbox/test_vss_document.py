"""AWS's document for VSS in the sandbox: it takes and does what EC2's User Guide says, and refuses everything else."""

import json

import pytest
from botocore.exceptions import ClientError

from sandbox.aws.snapshots import RULES
from sandbox.windows.aws_vss import AWS_DOCUMENT, TIMED_OUT, AwsVss, tags_in

NAME = "AWSEC2-CreateVssSnapshot"
GIVEN = {"executionTimeout": "120", "tags": "Key=Environment,Value=Test;Key=User,Value=TestUser1"}
TORN_SEED = 2


@pytest.fixture
def shop(aws):
    return aws.servers.add("shop", seed=TORN_SEED)


def send(aws, shop, **changes):
    values = {name: [value] for name, value in {**GIVEN, **changes}.items() if value is not None}
    ssm = aws.client("ssm")
    return ssm.send_command(DocumentName=NAME, InstanceIds=[shop.instance_id], Parameters=values)["Command"]


def ended(aws, shop, command):
    """Let the command end, and return its invocation."""
    for _ in range(30):
        RULES.skip(1)
        aws.servers.advance()
        listed = aws.client("ssm").list_command_invocations(
            CommandId=command["CommandId"], InstanceId=shop.instance_id, Details=True
        )["CommandInvocations"]
        if listed and listed[0]["Status"] in ("Success", "Failed"):
            return listed[0]
    raise AssertionError("the command has not ended")


def snapshots_of(aws, shop):
    found = aws.client("ec2").describe_snapshots(
        Filters=[{"Name": "volume-id", "Values": list(shop.volumes.values())}], OwnerIds=["self"]
    )["Snapshots"]
    return {s["VolumeId"]: (s["SnapshotId"], {tag["Key"]: tag["Value"] for tag in s.get("Tags", [])}) for s in found}


def test_it_freezes_tags_at_creation_and_tells_its_success_by_a_tag(aws, shop):
    shop.windows.aws_vss.freeze_s, shop.windows.aws_vss.tag_s = 2.0, 4.0
    command = send(aws, shop, description="a description")
    RULES.skip(4)
    aws.servers.advance()
    early = snapshots_of(aws, shop)
    assert {key: value for key, value in early[shop.volumes["D:"]][1].items() if key != "AwsVssConfig"} == {
        "Environment": "Test",
        "User": "TestUser1",
        "Device": "xvdf",
    }
    assert ended(aws, shop, command)["Status"] == "Success"
    late = snapshots_of(aws, shop)
    assert {tags["AppConsistent"] for _, tags in late.values()} == {"True"}
    assert late.keys() == set(shop.volumes.values())
    assert not aws.servers.examine({volume: snapshot for volume, (snapshot, _) in late.items()}).torn


def test_without_writers_the_copy_may_be_torn(aws, shop):
    assert ended(aws, shop, send(aws, shop, NoWriters="True"))["Status"] == "Success"
    found = {volume: snapshot for volume, (snapshot, _) in snapshots_of(aws, shop).items()}
    assert aws.servers.examine(found).torn


def test_the_boot_volume_can_be_left_out(aws, shop):
    ended(aws, shop, send(aws, shop, ExcludeBootVolume="True"))
    assert snapshots_of(aws, shop).keys() == {shop.volumes["D:"], shop.volumes["E:"]}


def test_what_keeps_it_from_its_work_is_told_in_its_output(aws, shop):
    components = shop.windows.aws_vss

    def said(**changes):
        invocation = ended(aws, shop, send(aws, shop, **changes))
        assert invocation["Status"] == "Failed"
        [step] = invocation["CommandPlugins"]
        return step["Output"]

    components.may_snapshot = False
    assert "not authorized to perform this operation: ec2:CreateSnapshots" in said()
    components.may_snapshot, components.times_out = True, True
    assert said() == f"{TIMED_OUT}\n"
    components.times_out = False
    assert "mutually exclusive" in said(NoWriters="True", SaveVssMetadata="True")
    shop.windows.guest.condition.aws_components = None
    assert "ec2-vss-agent.exe is not installed" in said()
    assert snapshots_of(aws, shop) == {}
    shop.windows.guest.condition.aws_components = "2.5.1"
    assert ended(aws, shop, send(aws, shop))["Status"] == "Success"
    assert "SnapshotCreationPerVolumeRateExceeded" in said()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Volumes": "xvdf"}, "InvalidParameters"),
        ({"CopyOnly": "true"}, "InvalidParameters"),
        ({"CopyOnly": "yes"}, "InvalidParameters"),
        ({"tags": "Environment=Test"}, "InvalidParameters"),
        ({"tags": "Key=Ümlaut,Value=x"}, "InvalidParameters"),
        ({"tags": "Key=a,Value=b=c"}, "InvalidParameters"),
        ({"tags": "Key=AppConsistent,Value=True"}, "reserved tags will cause an error"),
        ({"description": "a|b"}, "SandboxCannotTell"),
        ({"CreateAmi": "True"}, "SandboxCannotTell"),
        ({"AmiName": "x"}, "SandboxCannotTell"),
        ({"executionTimeout": None}, "SandboxCannotTell"),
        ({"executionTimeout": "soon"}, "SandboxCannotTell"),
    ],
)
def test_what_the_guide_does_not_say_is_refused(aws, shop, changes, words):
    with pytest.raises(ClientError, match=words):
        send(aws, shop, **changes)


def test_several_values_and_other_versions_are_refused(aws, shop):
    ssm = aws.client("ssm")
    several = {"tags": ["Key=a,Value=b", "Key=c,Value=d"], "executionTimeout": ["120"]}
    with pytest.raises(ClientError, match="take one value"):
        ssm.send_command(DocumentName=NAME, InstanceIds=[shop.instance_id], Parameters=several)
    with pytest.raises(ClientError, match="which versions"):
        ssm.send_command(DocumentName=NAME, DocumentVersion="7", InstanceIds=[shop.instance_id])


def test_its_commands_are_listed_by_document_and_time(aws, shop):
    ssm = aws.client("ssm")

    def listed(after):
        filters = [{"key": "DocumentName", "value": NAME}, {"key": "InvokedAfter", "value": after}]
        return [c["CommandId"] for c in ssm.list_commands(InstanceId=shop.instance_id, Filters=filters)["Commands"]]

    sent = send(aws, shop)["CommandId"]
    assert (listed("2020-01-01T00:00:00Z"), listed("2999-01-01T00:00:00Z")) == ([sent], [])
    with pytest.raises(ClientError, match="InvokedAfter"):
        ssm.list_commands(InstanceId=shop.instance_id, Filters=[{"key": "Status", "value": "Success"}])
    with pytest.raises(ClientError, match="of one command"):
        ssm.list_command_invocations(InstanceId=shop.instance_id)


def test_a_server_without_ec2_behind_it_runs_no_document():
    run = AwsVss(lambda: True).start({"NoWriters": "False", "SaveVssMetadata": "False"}, 0.0)
    with pytest.raises(NotImplementedError):
        run.poll(10.0)


def test_the_parameter_of_tags_is_read_as_the_guide_writes_it():
    assert tags_in(GIVEN["tags"]) == {"Environment": "Test", "User": "TestUser1"}
    assert tags_in("") == {}
    assert json.loads(f"{AWS_DOCUMENT}{{}}".removeprefix(AWS_DOCUMENT)) == {}
