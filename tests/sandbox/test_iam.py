"""IAM: a role needs a grant for every resource that a call names; unknown actions are denied; decisions are kept."""

import json

import pytest

DENIED = {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}


def tags(owner):
    return [{"ResourceType": "snapshot", "Tags": [{"Key": "Owner", "Value": owner}]}]


def take(probe, server, owner="probe", *, excluded=(), **more):
    specification = {"InstanceId": server.instance_id, "ExcludeDataVolumeIds": list(excluded)}
    return probe.call(
        "ec2", "create_snapshots", InstanceSpecification=specification, TagSpecifications=tags(owner), **more
    )


@pytest.fixture
def server(aws):
    return aws.servers.add("willing", tags={"Backup": "yes"})


def test_a_granted_call_passes(probe, server):
    assert "Snapshots" in take(probe, server)["keys"]


def test_a_server_without_the_tag_is_refused(aws, probe):
    assert take(probe, aws.servers.add("unwilling"))["error"] == "UnauthorizedOperation"


def test_each_volume_that_is_taken_must_be_granted_and_no_other(aws, probe, server):
    aws.client("ec2").create_tags(Resources=[server.volumes["E:"]], Tags=[{"Key": "Backup", "Value": "no"}])
    assert take(probe, server)["error"] == "UnauthorizedOperation"
    assert "Snapshots" in take(probe, server, excluded=[server.volumes["E:"]])["keys"]


def test_snapshots_without_the_tag_asked_for_are_refused(probe, server):
    answer = take(probe, server, owner="somebody")
    assert answer["error"] == "UnauthorizedOperation"
    assert "::snapshot/*" in answer["message"]


def test_a_refused_call_has_no_effect(aws, probe, server):
    take(probe, server, owner="somebody")
    snapshots = aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert not {snapshot["VolumeId"] for snapshot in snapshots} & set(server.volumes.values())


def test_a_dry_run_tells_the_same_as_the_call(aws, probe, server):
    assert take(probe, server, DryRun=True)["error"] == "DryRunOperation"
    assert take(probe, aws.servers.add("unwilling"), DryRun=True)["error"] == "UnauthorizedOperation"


@pytest.fixture
def snapshots(aws, server):
    def make(owner):
        specification = {"InstanceId": server.instance_id, "ExcludeBootVolume": True}
        answer = aws.client("ec2").create_snapshots(InstanceSpecification=specification, TagSpecifications=tags(owner))
        return [snapshot["SnapshotId"] for snapshot in answer["Snapshots"]]

    return make


def test_only_the_granted_tag_can_be_put_on_only_our_snapshots(aws, probe, snapshots):
    ours, tag = snapshots("probe"), [{"Key": "Consistency", "Value": "crash"}]
    assert "keys" in probe.call("ec2", "create_tags", Resources=ours, Tags=tag)
    assert probe.call("ec2", "create_tags", Resources=ours, Tags=[{"Key": "Owner", "Value": "me"}])["error"] in DENIED


def test_one_foreign_snapshot_among_several_refuses_the_call(aws, probe, snapshots):
    foreign = snapshots("somebody")
    tag = [{"Key": "Consistency", "Value": "crash"}]
    assert probe.call("ec2", "create_tags", Resources=foreign, Tags=tag)["error"] == "UnauthorizedOperation"


@pytest.mark.parametrize(
    ("service", "method", "parameters"),
    [
        ("dynamodb", "put_item", {"TableName": "OtherTable", "Item": {"id": {"S": "1"}}}),
        ("s3", "get_object", {"Bucket": "Bucket", "Key": "scripts/before.ps1"}),
        ("s3", "put_object", {"Bucket": "Bucket", "Key": "policies/files.yaml"}),
        ("sns", "publish", {"TopicArn": "arn:aws:sns:eu-central-1:111122223333:other", "Message": "x"}),
        ("ec2", "terminate_instances", {"InstanceIds": ["i-0123456789abcdef0"]}),
        ("sqs", "list_queues", {}),
        ("ebs", "list_snapshot_blocks", {"SnapshotId": "snap-0123456789abcdef0"}),  # MiniStack can't name it
    ],
)
def test_what_is_not_granted_is_refused(probe, service, method, parameters):
    named = {key: probe.outputs.get(str(value), value) for key, value in parameters.items()}
    assert probe.call(service, method, **named)["error"] in {*DENIED, "AuthorizationError"}


def test_an_action_without_a_rule_is_denied_although_it_is_granted(probe):
    assert probe.call("ec2", "describe_regions")["error"] == "UnauthorizedOperation"


def test_a_missing_object_is_access_denied_to_who_may_not_list_the_bucket(aws, probe):
    bucket = probe.outputs["Bucket"]
    assert probe.call("s3", "get_object", Bucket=bucket, Key="policies/none.yaml")["error"] == "AccessDenied"
    with pytest.raises(aws.client("s3").exceptions.NoSuchKey):
        aws.client("s3").get_object(Bucket=bucket, Key="policies/none.yaml")


def test_loopback_counts_as_tls_for_a_bucket_that_refuses_plain_http(aws, probe):
    bucket, key = probe.outputs["Bucket"], "policies/files.yaml"
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"name: files")
    assert "keys" in probe.call("s3", "get_object", Bucket=bucket, Key=key)


def test_decisions_name_the_statement_that_allowed_them(aws, probe):
    probe.call("dynamodb", "put_item", TableName=probe.outputs["Table"], Item={"id": {"S": "1"}})
    of_probe = [d for d in aws.decisions.decisions if d.role.startswith("probe-")]
    assert [(d.action, d.sids) for d in of_probe] == [("dynamodb:PutItem", ("KeepItems",))]
    assert aws.decisions.denied("probe") == []


def test_the_report_names_what_was_denied_and_what_was_never_needed(aws, probe, server):
    take(probe, server)
    probe.call("dynamodb", "put_item", TableName=probe.outputs["OtherTable"], Item={"id": {"S": "1"}})
    assert [decision.action for decision in aws.decisions.denied("probe")] == ["dynamodb:PutItem"]
    unused = {(sid, action) for _, sid, action in aws.decisions.unused("probe")}
    assert ("KeepItems", "dynamodb:PutItem") in unused  # a denial on the other table does not use the grant
    assert ("TagOurSnapshotsLater", "ec2:CreateTags") in unused
    assert ("TagSnapshotsAsTheyAreMade", "ec2:CreateTags") not in unused


READING = {"CommandId": "00000000-0000-0000-0000-000000000000", "InstanceId": "i-0123456789abcdef0"}


def test_what_a_managed_policy_grants_is_allowed_by_its_sid_and_unused_until_then(aws, probe):
    def unused():
        return {(sid, action) for _, sid, action in aws.decisions.unused("probe")}

    assert ("ReadAnswers", "ssm:GetCommandInvocation") in unused()
    assert probe.call("ssm", "get_command_invocation", **READING)["error"] == "InvocationDoesNotExist"
    assert ("ReadAnswers", "ssm:GetCommandInvocation") not in unused()


def test_what_a_managed_policy_grants_is_denied_where_it_is_detached(aws, probe):
    name = probe.outputs["FunctionName"]
    role = aws.client("lambda").get_function_configuration(FunctionName=name)["Role"].rpartition("/")[2]
    iam = aws.client("iam")
    attached = [p["PolicyArn"] for p in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]]
    [ours] = [arn for arn in attached if "MayAskOneServer" in arn]
    iam.detach_role_policy(RoleName=role, PolicyArn=ours)
    try:
        assert probe.call("ssm", "get_command_invocation", **READING)["error"] == "AccessDeniedException"
    finally:
        iam.attach_role_policy(RoleName=role, PolicyArn=ours)
    assert probe.call("ssm", "get_command_invocation", **READING)["error"] == "InvocationDoesNotExist"


OWN = "arn:aws:ec2:*:*:instance/${ec2:InstanceId}"
ONLY_ITSELF = {
    "Effect": "Allow",
    "Action": "ec2:CreateSnapshots",
    "Resource": "arn:aws:ec2:*:*:instance/*",
    "Condition": {"ArnLike": {"ec2:SourceInstanceARN": OWN}},
}


@pytest.fixture
def role(aws):
    iam, trusted = aws.client("iam"), {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [{**trusted, "Action": "sts:AssumeRole"}]})
    made = iam.create_role(RoleName="takes-its-own", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    policy = json.dumps({"Version": "2012-10-17", "Statement": [ONLY_ITSELF]})
    iam.put_role_policy(RoleName="takes-its-own", PolicyName="snapshots", PolicyDocument=policy)
    return made


def test_the_policy_simulator_counts_the_callers_context_and_every_resource(aws, role):
    arns = [f"arn:aws:ec2:eu-central-1:123456789012:{each}" for each in ("instance/i-1", "volume/vol-1")]
    iam = aws.client("iam")

    def decisions(instance_id, **asked):
        context = {"ec2:SourceInstanceARN": arns[0], "ec2:InstanceID": instance_id}
        entries = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in context.items()
        ]
        asked = {"ActionNames": ["ec2:CreateSnapshots", "ec2:CreateTags"], "ContextEntries": entries, **asked}
        results = iam.simulate_principal_policy(PolicySourceArn=role, **asked)["EvaluationResults"]
        return [each["EvalDecision"] for each in results], [each["MissingContextValues"] for each in results]

    allowed, denied = "allowed", "implicitDeny"
    assert decisions("i-1", ResourceArns=arns)[0] == [allowed, denied, denied, denied]
    assert decisions("i-2", ResourceArns=arns[:1])[0] == [denied, denied]
    assert decisions("i-1", ContextEntries=[])[1] == [["ec2:InstanceId", "ec2:SourceInstanceARN"]] * 2
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.simulate_principal_policy(PolicySourceArn=f"{role}-gone", ActionNames=["ec2:CreateTags"])
