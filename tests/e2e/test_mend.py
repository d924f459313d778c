"""A bare server is made ready by a fix in the local AWS, with rights enforced, and is given back what it was."""

import json

import pytest
from botocore.exceptions import ClientError

from sandbox.windows.agent_steps import LATEST_AGENT
from sandbox.windows.examination import DISABLED, MANUAL, RUNNING

OLD_AGENT = "3.0.100.0"
ALLOWED = [{"Key": "quiesce:may-be-changed", "Value": "yes"}]


@pytest.fixture
def bare(aws):
    """A server without a profile, with an old agent, no components, and VSS disabled, which then makes no copies."""
    server = aws.servers.add("BARE")
    aws.servers.bare(server, OLD_AGENT)
    guest = server.windows.guest
    guest.condition.aws_components = None
    guest.condition.services |= {"VSS": DISABLED, "swprv": DISABLED, "EventSystem": DISABLED}
    return server


def profiles_of(aws, server):
    found = aws.client("ec2").describe_iam_instance_profile_associations()["IamInstanceProfileAssociations"]
    return [each["IamInstanceProfile"]["Arn"] for each in found if each["InstanceId"] == server.instance_id]


def state_of(aws, server):
    guest = server.windows.guest
    return (
        profiles_of(aws, server),
        server.windows.agent.version,
        guest.condition.aws_components,
        dict(guest.condition.services),
    )


def consistency(quiesce, server):
    return json.loads(quiesce.back_up(server, defaults={"vss": {}})["output"])["consistency"]["level"]


def test_a_fix_makes_a_bare_server_application_consistent_and_undo_restores_what_was(aws, quiesce, bare):
    before = state_of(aws, bare)
    assert consistency(quiesce, bare) == "crash"
    said = json.loads(quiesce.examine(instance_id=bare.instance_id)["output"])["diagnosis"]
    assert [each["setting"] for each in said["changes"]] == ["instance profile"]
    assert state_of(aws, bare) == before
    aws.client("ec2").create_tags(Resources=[bare.instance_id], Tags=ALLOWED)
    fixed = json.loads(quiesce.examine(instance_id=bare.instance_id, fix=True)["output"])
    assert (fixed["diagnosis"]["best"], fixed["diagnosis"]["changes"]) == ("vss", []), fixed["changes"]
    [profile], agent, components, services = state_of(aws, bare)
    assert profile == quiesce.outputs["InstanceProfileArn"]
    assert (agent, components) == (LATEST_AGENT, "2.5.1.0")
    assert (services["VSS"], services["swprv"], services["EventSystem"]) == (MANUAL, MANUAL, RUNNING)
    assert consistency(quiesce, bare) == "application"
    undone = json.loads(quiesce.examine(undo=fixed["fix"])["output"])
    assert all(line.endswith(": given back") for line in undone["changes"]), undone
    assert state_of(aws, bare) == before
    assert aws.decisions.denied("quiesce") == []


@pytest.mark.usefixtures("set_aside")
def test_a_server_without_the_tag_is_denied_by_iam(aws, quiesce, bare):
    """By the role of the function itself, whatever its code asks for."""
    ssm, ec2 = quiesce.client_of("MendFunction", "ssm"), quiesce.client_of("MendFunction", "ec2")
    profile = {"Arn": quiesce.outputs["InstanceProfileArn"]}
    managed = aws.servers.add("OTHER")

    def outcome(call, **request):
        try:
            call(**request)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return "allowed"

    def tried(server):
        parameters = {"Action": ["Install"]}
        documents = [quiesce.function_name(f"{kind}Document") for kind in ("Mend", "Update", "Components")]
        sent = [
            outcome(ssm.send_command, DocumentName=name, InstanceIds=[server.instance_id], Parameters=parameters)
            for name in documents
        ]
        given = outcome(ec2.associate_iam_instance_profile, IamInstanceProfile=profile, InstanceId=server.instance_id)
        return [*sent, given]

    denied = ["AccessDeniedException"] * 3 + ["UnauthorizedOperation"]
    person = aws.client("ec2")
    for tags in ([], [{**ALLOWED[0], "Value": "no"}], [{**ALLOWED[0], "Key": "quiesce:may-be"}]):
        if tags:
            person.create_tags(Resources=[bare.instance_id, managed.instance_id], Tags=tags)
        assert tried(managed) == tried(bare) == denied, tags
    assert outcome(ec2.create_tags, Resources=[bare.instance_id], Tags=ALLOWED) == "UnauthorizedOperation"
    person.create_tags(Resources=[managed.instance_id], Tags=ALLOWED)
    # Of the other two documents these are no parameters: allowed, and read.
    assert tried(managed) == ["InvalidParameters", "InvalidParameters", "allowed", "allowed"]
    # Not by AWS's documents, nor with another role.
    parameters = {"InstanceIds": [managed.instance_id], "Parameters": {"No": ["such"]}}
    assert outcome(ssm.send_command, DocumentName="AWS-ConfigureAWSPackage", **parameters) == "AccessDeniedException"
    assert outcome(ssm.send_command, DocumentName=quiesce.function_name("ActDocument"), **parameters) == (
        "AccessDeniedException"
    )


@pytest.mark.usefixtures("set_aside")
def test_a_recovery_may_give_its_server_the_stacks_own_profile_and_no_other_role(aws, quiesce):
    server, iam = aws.servers.add("SERVER1"), aws.client("iam")
    record = json.loads(quiesce.back_up(server)["output"])
    ours = quiesce.outputs["InstanceProfileArn"]
    recovered = quiesce.recover(record, overrides={"instance_profile_arn": ours})
    assert recovered["status"] == "SUCCEEDED", recovered
    instance_id = json.loads(recovered["output"])["instance_id"]
    [described] = aws.client("ec2").describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"]
    assert described["IamInstanceProfile"]["Arn"] == ours
    trust = {"Version": "2012-10-17", "Statement": []}
    iam.create_role(RoleName="administrator", AssumeRolePolicyDocument=json.dumps(trust))
    theirs = iam.create_instance_profile(InstanceProfileName="administrator")["InstanceProfile"]["Arn"]
    iam.add_role_to_instance_profile(InstanceProfileName="administrator", RoleName="administrator")
    try:
        refused = quiesce.recover(record, overrides={"instance_profile_arn": theirs}, recovery_id="drill-2")
    finally:
        iam.remove_role_from_instance_profile(InstanceProfileName="administrator", RoleName="administrator")
        iam.delete_instance_profile(InstanceProfileName="administrator")
        iam.delete_role(RoleName="administrator")
    assert (refused["status"], "iam:PassRole" in refused["cause"]) == ("FAILED", True), refused
