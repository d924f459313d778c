"""Least privilege in the template's text, for all that the local AWS cannot enforce."""

import re

import pytest

from sandbox.aws.not_enforced import SERVICES_NOT_ENFORCED
from tests.support.project import ROOT, resources, step_of, template
from tests.template.permissions import listed, permissions, statements, table

FUNCTIONS = sorted(resources("AWS::Serverless::Function"))
MANAGED = resources("AWS::IAM::ManagedPolicy")
# Service authorization reference: these actions know no resource types.
WITHOUT_RESOURCES = {
    "ec2:DescribeInstances",
    "ec2:DescribeVolumes",
    "ec2:DescribeSnapshots",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeImages",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
    "ssm:DescribeInstanceInformation",
    "ssm:GetCommandInvocation",
}
# The services that IAM calls otherwise than boto3 does.
IAM_NAMES = {"stepfunctions": "states"}
# The actions on snapshots that need a condition on our tags.
CONDITIONED = {"ec2:CreateSnapshots", "ec2:CreateTags"}
TEXT = (ROOT / "template.yaml").read_text()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_allows_named_actions_only(function):
    for statement in statements(function):
        assert statement["Effect"] == "Allow"
        for action in listed(statement["Action"]):
            assert re.fullmatch(r"[a-z0-9]+:[A-Z][A-Za-z]+", action)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_everything_is_allowed_only_where_aws_knows_no_resources(function):
    for statement in statements(function):
        everything = "*" in listed(statement["Resource"])
        assert everything == (set(listed(statement["Action"])) <= WITHOUT_RESOURCES)


def test_every_statement_on_everything_says_which_api_demands_it():
    lines = TEXT.splitlines()
    on_everything = [number for number, line in enumerate(lines) if 'Resource: "*"' in line]
    assert len(on_everything) == str(template()).count("'Resource': '*'")
    for number in on_everything:
        sid = max(n for n in range(number + 1) if "Sid:" in lines[n])
        action = re.search(r"(ec2|ssm):\w+", " ".join(lines[sid : number + 1]))
        assert action is not None
        assert action[0] in lines[sid - 1], f"no comment above line {sid + 1} names {action[0]}"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_change_of_snapshots_is_bound_to_our_tags(function):
    for statement in statements(function):
        on_snapshots = any("snapshot/" in str(resource) for resource in listed(statement["Resource"]))
        if CONDITIONED & set(listed(statement["Action"])) and on_snapshots:
            assert statement["Condition"], statement["Sid"]


@pytest.mark.parametrize("function", ["ReportFunction", "SweepFunction"])
def test_only_snapshots_of_this_stack_can_be_tagged_later_and_with_two_tags_only(function):
    [tagging] = [s for s in statements(function) if "ec2:CreateTags" in listed(s["Action"])]
    assert tagging["Condition"] == {
        "StringEquals": {"aws:ResourceTag/quiesce:stack": {"Ref": "AWS::StackName"}},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["quiesce:consistency", "quiesce:device"]},
    }


@pytest.mark.parametrize("function", ["PlanFunction", "SnapshotFunction"])
def test_a_set_can_be_created_with_our_tag_only_and_tagged_at_its_creation_only(function):
    conditions = {
        action: statement.get("Condition")
        for statement in statements(function)
        for action in listed(statement["Action"])
        if "snapshot/" in str(statement["Resource"])
    }
    assert conditions == {
        "ec2:CreateSnapshots": {"StringEquals": {"aws:RequestTag/quiesce:stack": {"Ref": "AWS::StackName"}}},
        "ec2:CreateTags": {"StringEquals": {"ec2:CreateAction": "CreateSnapshots"}},
    }


def test_plan_may_try_exactly_what_snapshot_may_do():
    def creating(function):
        return [
            {name: part for name, part in statement.items() if name != "Sid"}
            for statement in statements(function)
            if "ec2:Create" in str(statement["Action"])
        ]

    assert creating("PlanFunction") == creating("SnapshotFunction")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_statement_has_a_reason_of_its_own(function):
    sids = [statement["Sid"] for statement in statements(function)]
    assert len(sids) == len(set(sids))


@pytest.mark.parametrize("policy", MANAGED)
def test_a_managed_policy_is_what_several_functions_share(policy):
    properties = [resources("AWS::Serverless::Function")[function]["Properties"] for function in FUNCTIONS]
    assert sum({"Ref": policy} in having["Policies"] for having in properties) > 1
    assert MANAGED[policy]["Properties"].keys() == {"PolicyDocument"}  # attached by its functions, named by none


def test_no_function_may_delete_anything_but_its_lease():
    deleting = {
        (p.function, a)
        for p in permissions()
        for a in p.actions
        if p.function not in ("RecoverFunction", "MakeImageFunction") and ("Delete" in a or "Terminate" in a)
    }
    assert {action for _, action in deleting} == {"dynamodb:DeleteItem"}
    assert {function for function, _ in deleting} == {"ReportFunction", "SweepFunction"}


def test_images_go_that_a_backup_made_and_never_a_recovery_points_snapshots():
    conditions = {s["Sid"]: s.get("Condition", {}) for s in statements("MakeImageFunction")}
    assert conditions["RetireOurImages"]["Null"] == {"aws:ResourceTag/quiesce:run": "false"}
    assert conditions["DeleteSnapshotsOfImages"]["Null"] == {"aws:ResourceTag/quiesce:run": "true"}
    for sid in ("RetireOurImages", "DeleteSnapshotsOfImages"):
        assert conditions[sid]["StringEquals"] == {"aws:ResourceTag/quiesce:stack": {"Ref": "AWS::StackName"}}


def test_a_recovery_may_change_only_what_a_recovery_of_this_stack_makes_at_the_time():
    ours = {
        "StringEquals": {"aws:ResourceTag/quiesce:stack": {"Ref": "AWS::StackName"}},
        "Null": {"aws:ResourceTag/quiesce:recovering": "false"},
    }
    changing = [s for s in statements("RecoverFunction") if re.search("Start|Stop|Terminate|Delete|ttach", str(s))]
    conditions = {s["Sid"]: s["Condition"] for s in changing if "Tags" not in str(s["Action"])}
    assert set(map(str, conditions.values())) == {str(ours)}
    assert len(conditions) == 3


def test_a_recovery_creates_nothing_without_its_tag_and_reads_the_snapshots_of_its_stack_alone():
    conditions = {s["Sid"]: s.get("Condition") for s in statements("RecoverFunction")}
    tagged = {"StringEquals": {"aws:RequestTag/quiesce:stack": {"Ref": "AWS::StackName"}}}
    assert [conditions[sid] for sid in ("LaunchWithOurTag", "CreateVolumesWithOurTag", "IsolateWithOurTag")] == [
        tagged
    ] * 3
    assert conditions["ReadOurSnapshots"] == {
        "StringEquals": {"aws:ResourceTag/quiesce:stack": {"Ref": "AWS::StackName"}}
    }
    assert conditions["HandOver"]["ForAllValues:StringEquals"] == {"aws:TagKeys": ["quiesce:recovering"]}


@pytest.mark.parametrize("kind", ["subnet", "vpc"])
def test_a_recovery_may_use_a_network_that_another_account_shares(kind):
    """A shared subnet's ARN has its owner's account (terraform-aws-iam's issue 227, runs-on's issue 463)."""
    resources = [r for s in statements("RecoverFunction") for r in listed(s["Resource"]) if f":{kind}/" in str(r)]
    assert [r["Fn::Sub"] for r in resources] == [f"arn:${{AWS::Partition}}:ec2:${{AWS::Region}}:*:{kind}/*"]


def test_a_recovery_passes_only_roles_that_the_template_was_given_and_only_to_ec2():
    [passing] = [s for s in statements("RecoverFunction") if s["Action"] == "iam:PassRole"]
    assert passing["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/${ServerRoles}"}
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"]}
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_server_can_be_asked_through_our_own_document_only(function):
    where = "${AWS::Region}:${AWS::AccountId}"
    for statement in statements(function):
        if "ssm:SendCommand" in listed(statement["Action"]):
            assert statement["Action"] == "ssm:SendCommand"
            assert statement["Resource"] == [
                {"Fn::Sub": f"arn:${{AWS::Partition}}:ssm:{where}:document/${{GuestDocument}}"},
                {"Fn::Sub": f"arn:${{AWS::Partition}}:ec2:{where}:instance/*"},
            ]


def test_who_ends_a_run_may_do_what_report_may_and_find_its_snapshots():
    def sids(function):
        return {statement["Sid"] for statement in statements(function)}

    assert sids("SweepFunction") - sids("ReportFunction") == {"FindImages", "ReadHistories"}
    assert sids("ReportFunction") <= sids("SweepFunction")


def test_sweep_alone_reads_histories_of_this_stacks_backups_alone():
    reading = {f: s for f in FUNCTIONS for s in statements(f) if "states:" in str(s["Action"])}
    assert set(reading) == {"SweepFunction"}
    statement = reading["SweepFunction"]
    where = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${BackupMachine.Name}:*"
    assert (statement["Action"], statement["Resource"]) == ("states:GetExecutionHistory", {"Fn::Sub": where})


def test_what_the_local_aws_does_not_check_is_granted_to_nobody():
    granted = {action for permission in permissions() for action in permission.actions}
    unchecked = [action for action in granted if action.startswith(SERVICES_NOT_ENFORCED)]
    assert unchecked == ["kms:Decrypt"], "each needs a test of its own here"


def test_verify_alone_reads_blocks_of_this_stacks_snapshots_alone():
    reading = {f: s for f in FUNCTIONS for s in statements(f) if "ebs:" in str(s["Action"])}
    assert set(reading) == {"VerifyFunction"}
    statement = reading["VerifyFunction"]
    assert statement["Action"] == ["ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock"]
    assert statement["Condition"] == {"StringEquals": {"aws:ResourceTag/quiesce:stack": {"Ref": "AWS::StackName"}}}


def test_verify_decrypts_only_what_ebs_asks_for_of_a_volume_or_snapshot():
    decrypting = {f: s for f in FUNCTIONS for s in statements(f) if "kms:" in str(s["Action"])}
    assert set(decrypting) == {"VerifyFunction"}
    statement = decrypting["VerifyFunction"]
    where = "arn:${AWS::Partition}:kms:${AWS::Region}:${AWS::AccountId}:key/*"
    assert (statement["Action"], statement["Resource"]) == ("kms:Decrypt", {"Fn::Sub": where})
    assert statement["Condition"] == {
        "StringEquals": {"kms:ViaService": {"Fn::Sub": "ec2.${AWS::Region}.${AWS::URLSuffix}"}},
        "StringLike": {"kms:EncryptionContext:aws:ebs:id": ["vol-*", "snap-*"]},
    }


def functions_of(machine):
    """The functions that a machine may call, and those whose ARNs its definition is given."""
    properties = template()["Resources"][machine]["Properties"]
    called = {policy["LambdaInvokePolicy"]["FunctionName"]["Ref"] for policy in properties["Policies"]}
    arns = [value["Fn::GetAtt"] for value in properties["DefinitionSubstitutions"].values() if "Fn::GetAtt" in value]
    return called, {arn.removesuffix(".Arn") for arn in arns}


def test_the_machine_may_call_its_functions_and_nothing_else():
    steps = set(FUNCTIONS) - {"SweepFunction", "RecoverFunction"}  # an event starts the one, another machine the other
    assert functions_of("BackupMachine") == (steps, steps)


def test_the_recover_machine_may_call_its_one_function_and_nothing_else():
    assert functions_of("RecoverMachine") == ({"RecoverFunction"}, {"RecoverFunction"})


def test_every_arn_goes_by_the_partition():
    for arn in re.findall(r"arn:[^\s\"']+", TEXT):
        assert arn.startswith("arn:${AWS::Partition}:"), arn


def test_the_reference_has_the_templates_permissions():
    reference = (ROOT / "docs/reference/reference.md").read_text()
    between = re.search(r"<!-- permissions: begin.*?-->\n(.*?)<!-- permissions: end -->", reference, re.DOTALL)
    assert between, "docs/reference/reference.md has no place for the permissions"
    assert between[1].strip() == table(), "paste the output of: python -m tests.template.permissions"


def test_each_function_has_what_its_clients_need():
    """Each boto3 client in a function's module has at least one action of its service in the role, and the reverse."""
    for function in FUNCTIONS:
        source = (ROOT / "functions" / step_of(function) / "app.py").read_text()
        clients = {IAM_NAMES.get(name, name) for name in re.findall(r'\bclient\("(\w+)"', source)}
        granted = {action.partition(":")[0] for s in statements(function) for action in listed(s["Action"])}
        granted -= {"iam", "kms"}  # no calls of ours: EC2 checks PassRole at RunInstances, EBS calls Decrypt
        assert granted == clients, function
