"""Least privilege in the template's text, for all that the local AWS cannot enforce."""

import json
import re

import pytest

from sandbox.aws import keys
from sandbox.aws.not_enforced import SERVICES_NOT_ENFORCED
from tests.support.project import ROOT, includes, resources, step_of, template, yaml_of_template
from tests.template.permissions import listed, permissions, statements, table

FUNCTIONS = sorted(resources("AWS::Serverless::Function"))
OWN_FILE = {
    name
    for name, policy in yaml_of_template()["Resources"].items()
    if "Fn::Transform" in policy.get("Properties", {}).get("PolicyDocument", {})
}
# Two more are attached to the roles of all functions: test_organizations.py.
# People attach these by themselves: test_people.py.
PEOPLE = ("OperatorPolicy", "ReaderPolicy")
MANAGED = {
    name: policy
    for name, policy in resources("AWS::IAM::ManagedPolicy").items()
    if "Roles" not in policy["Properties"] and name not in PEOPLE
}
# Service authorization reference: these actions know no resource types.
WITHOUT_RESOURCES = {
    "ec2:DescribeIamInstanceProfileAssociations",
    "ec2:DescribeInstances",
    "ec2:DescribeVolumes",
    "ec2:DescribeSnapshots",
    "ec2:DescribeSnapshotTierStatus",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeImages",
    "ec2:DescribeLockedSnapshots",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
    "ec2:ListSnapshotsInRecycleBin",
    "ec2:GetEbsEncryptionByDefault",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeVpcEndpoints",
    "scheduler:ListSchedules",
    "ssm:DescribeInstanceInformation",
    "ssm:GetCommandInvocation",
    "ssm:ListCommands",
    "ssm:ListCommandInvocations",
}
# Organizations have their keys in an account of their own; the key's policy decides who uses it.
ANY_ACCOUNTS_KEYS = "arn:${AWS::Partition}:kms:${AWS::Region}:*:key/*"
# The services that IAM calls otherwise than boto3 does.
IAM_NAMES = {"stepfunctions": "states"}
OURS = {"StringEquals": {"aws:ResourceTag/quiesce:stack": {"Ref": "AWS::StackName"}}}
# The actions on snapshots that need a condition on our tags.
CONDITIONED = {"ec2:CreateSnapshots", "ec2:CreateTags"}
FILES = ["template.yaml", "resources.yaml", *(file for file in includes() if file.startswith("rights/"))]
TEXT = "\n".join((ROOT / file).read_text() for file in FILES)


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
        if "Effect: Deny" in " ".join(lines[sid : number + 1]):
            continue  # what functions may never do
        action = re.search(r"(ec2|ssm|scheduler):\w+", " ".join(lines[sid : number + 1]))
        assert action is not None
        assert action[0] in lines[sid - 1], f"no comment above line {sid + 1} names {action[0]}"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_change_of_snapshots_is_bound_to_our_tags(function):
    for statement in statements(function):
        on_snapshots = any("snapshot/" in str(resource) for resource in listed(statement["Resource"]))
        if CONDITIONED & set(listed(statement["Action"])) and on_snapshots:
            assert statement["Condition"], statement["Sid"]


@pytest.mark.parametrize("function", ["ReportFunction", "SweepFunction"])
def test_only_snapshots_of_this_stack_can_be_tagged_later_and_with_three_tags_only(function):
    [tagging] = [s for s in statements(function) if "ec2:CreateTags" in listed(s["Action"])]
    assert tagging["Condition"] == {
        "StringEquals": {"aws:ResourceTag/quiesce:stack": {"Ref": "AWS::StackName"}},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["quiesce:consistency", "quiesce:device", "quiesce:state"]},
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
def test_a_managed_policy_is_what_several_share_or_stands_in_a_file_of_its_own(policy):
    having = [*resources("AWS::Serverless::Function").values(), *resources("AWS::Serverless::StateMachine").values()]
    shared = sum({"Ref": policy} in each["Properties"]["Policies"] for each in having)
    assert shared > 1 or (shared == 1 and policy in OWN_FILE)
    assert MANAGED[policy]["Properties"].keys() == {"PolicyDocument"}  # attached by its functions, named by none


# IAM's quota for a managed policy, which no support case raises: white space does not count.
@pytest.mark.parametrize("policy", [*MANAGED, *PEOPLE])
def test_a_managed_policy_has_at_most_the_characters_that_iam_takes(policy):
    longest = {"${AWS::Partition}": "aws-us-gov", "${AWS::Region}": "ap-southeast-1", "${AWS::AccountId}": "0" * 12}
    text = json.dumps(
        resources("AWS::IAM::ManagedPolicy")[policy]["Properties"]["PolicyDocument"], separators=(",", ":")
    )
    text = re.sub(r'\{"Ref":"AWS::StackName"\}', f'"{"s" * 64}"', text)
    text = re.sub(r'\{"Fn::(?:Sub|GetAtt)":("[^"]*"|\[[^]]*\])\}', r"\1", text)
    for name, value in longest.items():
        text = text.replace(name, value)
    assert len(re.sub(r"\$\{[^}]*\}", "n" * 64, text)) <= 6144


def test_no_function_may_delete_anything_but_its_lease():
    deleting = {
        (p.function, a)
        for p in permissions()
        for a in p.actions
        if p.function not in ("RecoverFunction", "RetentionFunction", "RevertFunction")
        and ("Delete" in a or "Terminate" in a)
    }
    # Schedules of the stack's group: no recovery point.
    assert {action for _, action in deleting} == {"dynamodb:DeleteItem", "scheduler:DeleteSchedule"}
    assert {function for function, _ in deleting} == {
        "ReportFunction",
        "SweepFunction",
        "ScheduleFunction",
        "PostureFunction",
        "DoctorFunction",
        "MendFunction",
    }


def test_schedules_are_changed_in_the_stacks_group_alone_and_get_its_role_alone():
    changing = [s for s in statements("ScheduleFunction") if "Schedule" in str(s["Action"]) and s["Resource"] != "*"]
    where = "arn:${AWS::Partition}:scheduler:${AWS::Region}:${AWS::AccountId}:schedule/${ScheduleGroup}/*"
    assert [s["Resource"] for s in changing] == [{"Fn::Sub": where}]
    [passing] = [s for s in statements("ScheduleFunction") if s["Action"] == "iam:PassRole"]
    assert passing["Resource"] == {"Fn::GetAtt": ["ScheduleRole", "Arn"]}
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "scheduler.amazonaws.com"}}


def test_the_role_of_schedules_starts_policies_for_its_own_group_alone_and_keeps_what_failed():
    role = resources("AWS::IAM::Role")["ScheduleRole"]["Properties"]
    [trust] = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}},
        "ArnEquals": {"aws:SourceArn": {"Fn::GetAtt": ["ScheduleGroup", "Arn"]}},
    }
    [policy] = role["Policies"]
    allowed = {s["Action"]: s["Resource"] for s in policy["PolicyDocument"]["Statement"]}
    assert allowed == {
        "states:StartExecution": {"Ref": "PolicyMachine"},
        "sqs:SendMessage": {"Fn::GetAtt": ["MissedSchedules", "Arn"]},
    }


def test_images_go_that_a_backup_made_and_never_a_recovery_points_snapshots():
    conditions = {s["Sid"]: s.get("Condition", {}) for s in statements("RetentionFunction")}
    assert conditions["RetireOurImages"] == OURS | {"Null": {"aws:ResourceTag/quiesce:run": "false"}}
    assert conditions["DeleteSnapshotsOfImages"] == OURS | {
        "Null": {
            "aws:ResourceTag/quiesce:run": "true",
            "aws:ResourceTag/quiesce:built-for": "true",
            "aws:ResourceTag/quiesce:hold": "true",
        }
    }
    assert not [
        a for s in statements("MakeImageFunction") for a in listed(s["Action"]) if "De" in a and "Desc" not in a
    ]


def test_retention_deletes_snapshots_with_our_runs_tag_and_its_mark_that_nobody_holds_and_no_others():
    rights = {s["Sid"]: s for s in statements("RetentionFunction")}
    deleting = {sid for sid, s in rights.items() if "ec2:DeleteSnapshot" in listed(s["Action"])}
    assert deleting == {"DeleteMarkedRecoveryPoints", "DeleteMarkedWhatBackupsBuilt", "DeleteSnapshotsOfImages"}
    marked = {"aws:ResourceTag/quiesce:removing": "false", "aws:ResourceTag/quiesce:hold": "true"}
    of_a_run = {"aws:ResourceTag/quiesce:run": "false"}
    built = {"aws:ResourceTag/quiesce:built-for": "false", "aws:ResourceTag/quiesce:recovery": "true"}
    assert rights["DeleteMarkedRecoveryPoints"]["Condition"] == OURS | {"Null": marked | of_a_run}
    assert rights["DeleteMarkedWhatBackupsBuilt"]["Condition"] == OURS | {"Null": marked | built}
    free = {"aws:ResourceTag/quiesce:hold": "true"}
    keys = {"ForAllValues:StringEquals": {"aws:TagKeys": ["quiesce:removing"]}}
    assert rights["MarkOurRecoveryPoints"]["Condition"] == OURS | {"Null": free | of_a_run} | keys
    assert rights["MarkWhatBackupsBuilt"]["Condition"] == OURS | {"Null": free | built} | keys


def test_retention_locks_what_a_run_or_its_build_made_and_is_not_going_and_nothing_can_end_a_lock():
    rights = {s["Sid"]: s for s in statements("RetentionFunction") if "ec2:LockSnapshot" in listed(s["Action"])}
    stays = {"aws:ResourceTag/quiesce:removing": "true"}
    built = {"aws:ResourceTag/quiesce:built-for": "false", "aws:ResourceTag/quiesce:recovery": "true"}
    assert {sid: each["Condition"] for sid, each in rights.items()} == {
        "LockOurRecoveryPoints": OURS | {"Null": stays | {"aws:ResourceTag/quiesce:run": "false"}},
        "LockWhatBackupsBuilt": OURS | {"Null": stays | built},
    }
    assert [p.function for p in permissions() if "ec2:LockSnapshot" in p.actions] == ["RetentionFunction"] * 2
    assert "Unlock" not in TEXT.replace("UnlockSnapshot is granted nowhere", "")


def test_retention_archives_what_a_run_or_its_build_made_that_nobody_holds_and_restores_nothing():
    rights = {s["Sid"]: s for s in statements("RetentionFunction") if "ec2:ModifySnapshotTier" in listed(s["Action"])}
    free = {"aws:ResourceTag/quiesce:removing": "true", "aws:ResourceTag/quiesce:hold": "true"}
    built = {"aws:ResourceTag/quiesce:built-for": "false", "aws:ResourceTag/quiesce:recovery": "true"}
    assert {sid: each["Condition"] for sid, each in rights.items()} == {
        "ArchiveOurRecoveryPoints": OURS | {"Null": free | {"aws:ResourceTag/quiesce:run": "false"}},
        "ArchiveWhatBackupsBuilt": OURS | {"Null": free | built},
    }
    assert [p.function for p in permissions() if "ec2:ModifySnapshotTier" in p.actions] == ["RetentionFunction"] * 2
    [restoring] = [s for f in FUNCTIONS for s in statements(f) if "ec2:RestoreSnapshotTier" in listed(s["Action"])]
    assert restoring in list(statements("RecoverFunction"))
    assert restoring["Condition"] == OURS


def test_retention_compares_the_stacks_snapshots_and_reads_no_block():
    rights = {s["Sid"]: s for s in statements("RetentionFunction") if "ebs:" in str(s["Action"])}
    assert {sid: (each["Action"], each["Condition"]) for sid, each in rights.items()} == {
        "CompareOurSnapshots": (["ebs:ListSnapshotBlocks", "ebs:ListChangedBlocks"], OURS)
    }
    through_ec2 = {"kms:ViaService": {"Fn::Sub": "ec2.${AWS::Region}.${AWS::URLSuffix}"}}
    using, lending = [s for s in statements("RetentionFunction") if "kms:" in str(s["Action"])]
    assert using["Condition"] == {"StringEquals": through_ec2}
    assert lending["Condition"] == {"StringEquals": through_ec2, "Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_a_recovery_may_change_only_what_a_recovery_of_this_stack_makes_at_the_time():
    ours = {
        "StringEquals": {"aws:ResourceTag/quiesce:stack": {"Ref": "AWS::StackName"}},
        "Null": {"aws:ResourceTag/quiesce:recovering": "false"},
    }
    changing = [s for s in statements("RecoverFunction") if re.search("Start|Stop|Terminate|Delete|ttach", str(s))]
    conditions = {s["Sid"]: s["Condition"] for s in changing if "Tags" not in str(s["Action"])}
    # Of snapshots only those that were built, and never a raw one.
    built = conditions.pop("DeleteChildrenInRecovery")
    assert built == ours | {"Null": {**ours["Null"], "aws:ResourceTag/quiesce:built-for": "false"}}
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
        "StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", {"Fn::Sub": "ec2.${AWS::URLSuffix}"}]}
    }


# Who looks at a server, and who acts on it.
DOCUMENTS_OF = {
    "PlanFunction": ("LookDocument", "ActDocument"),
    "FreezeFunction": ("ActDocument",),
    "ThawFunction": ("ActDocument",),
    "CompleteFunction": ("ActDocument",),
    "ReportFunction": ("LookDocument",),
    "DoctorFunction": ("LookDocument",),
    "MendFunction": ("MendDocument", "UpdateDocument", "ComponentsDocument"),
    "SweepFunction": ("LookDocument", "ActDocument"),
    # To end on a recovered server the session that its snapshots found open.
    "RecoverFunction": ("ActDocument",),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_server_can_be_asked_through_our_own_documents_only_and_by_one_function_through_one_of_awss(function):
    where = "${AWS::Region}:${AWS::AccountId}"
    sent = []
    for statement in statements(function):
        if "ssm:SendCommand" in listed(statement["Action"]):
            asked = [resource["Fn::Sub"] for resource in listed(statement["Resource"])]
            assert statement["Action"] == "ssm:SendCommand"
            documents = [each for each in asked if ":document/" in each]
            assert set(asked) - {*documents} <= {f"arn:${{AWS::Partition}}:ec2:{where}:instance/*"}
            sent += [each.removeprefix(f"arn:${{AWS::Partition}}:ssm:{where}:document/") for each in documents]
    if function == "SnapshotByAwsFunction":
        # Its ARN has no account or one of AWS's; nobody else can have a document of this name (CreateDocument).
        assert sent == ["arn:${AWS::Partition}:ssm:${AWS::Region}:*:document/AWSEC2-CreateVssSnapshot"]
        return
    assert sent == [f"${{{name}}}" for name in DOCUMENTS_OF.get(function, ())]


def test_what_sends_awss_document_may_change_nothing_itself():
    granted = {action for s in statements("SnapshotByAwsFunction") for action in listed(s["Action"])}
    assert {action for action in granted if action.startswith(("ec2:", "ssm:"))} == {
        "ec2:DescribeSnapshots",
        "ssm:ListCommandInvocations",
        "ssm:ListCommands",
        "ssm:SendCommand",
    }


def test_only_servers_that_a_person_has_tagged_for_it_are_changed_and_get_the_stacks_own_role_alone():
    allowed = {"StringEquals": {"aws:ResourceTag/quiesce:may-be-changed": {"Ref": "MayBeChanged"}}}
    on_servers = [s for s in statements("MendFunction") if ":instance/*" in str(s["Resource"])]
    assert {action for s in on_servers for action in listed(s["Action"])} == {
        "ssm:SendCommand",
        "ec2:AssociateIamInstanceProfile",
        "ec2:DisassociateIamInstanceProfile",
    }
    assert all(s["Condition"] == allowed for s in on_servers)
    changing = {a for s in statements("MendFunction") for a in listed(s["Action"]) if a.startswith(("ec2:", "ssm:"))}
    assert {action for action in changing if not re.search(":(Describe|Get)", action)} == {
        action for s in on_servers for action in listed(s["Action"])
    }
    ours = resources("AWS::IAM::ManagedPolicy")["MayGiveServersOurRole"]
    [passing] = ours["Properties"]["PolicyDocument"]["Statement"]
    assert (passing["Action"], passing["Resource"]) == ("iam:PassRole", {"Fn::GetAtt": ["ServerRole", "Arn"]})
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": ["ec2.amazonaws.com", {"Fn::Sub": "ec2.${AWS::URLSuffix}"}]}
    }
    assert ours["Properties"]["Roles"] == [{"Ref": "RecoverFunctionRole"}, {"Ref": "MendFunctionRole"}]


def test_the_servers_role_has_no_name_is_there_only_if_asked_for_and_reaches_its_own_server_alone():
    role = resources("AWS::IAM::Role")["ServerRole"]
    [profile] = resources("AWS::IAM::InstanceProfile").values()
    assert role["Condition"] == profile["Condition"] == ours_condition()
    assert not {"RoleName", "InstanceProfileName", "Path"} & {*role["Properties"], *profile["Properties"]}
    assert role["Properties"]["ManagedPolicyArns"] == [
        {"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"}
    ]
    [policy] = role["Properties"]["Policies"]
    own = "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/${!ec2:InstanceId}"
    for statement in policy["PolicyDocument"]["Statement"]:
        if "instance/*" in str(statement["Resource"]):
            assert statement["Condition"] == {"ArnLike": {"ec2:SourceInstanceARN": {"Fn::Sub": own}}}
        elif "snapshot/*" in str(statement["Resource"]):
            assert statement["Condition"], statement["Sid"]
    actions = {a for s in policy["PolicyDocument"]["Statement"] for a in listed(s["Action"])}
    assert actions == {
        "ec2:CreateSnapshots",
        "ec2:CreateTags",
        "ec2:DescribeInstanceAttribute",
        "ec2:DescribeSnapshots",
    }


def ours_condition():
    assert template()["Conditions"]["HasServerProfile"] == {"Fn::Equals": [{"Ref": "ServerProfile"}, "yes"]}
    assert template()["Parameters"]["ServerProfile"]["Default"] == "no"
    return "HasServerProfile"


def test_who_ends_a_run_may_do_what_report_may_and_find_its_snapshots():
    def sids(function):
        return {statement["Sid"] for statement in statements(function)}

    ending_the_session = {"ActByOurDocument"}
    assert sids("SweepFunction") - sids("ReportFunction") == {"FindImages", "ReadHistories"} | ending_the_session
    assert sids("ReportFunction") <= sids("SweepFunction")


def test_sweep_alone_reads_histories_of_this_stacks_backups_alone():
    reading = {f: s for f in FUNCTIONS for s in statements(f) if "states:GetExecutionHistory" in str(s["Action"])}
    assert set(reading) == {"SweepFunction"}
    statement = reading["SweepFunction"]
    where = "arn:${AWS::Partition}:states:${AWS::Region}:${AWS::AccountId}:execution:${BackupMachine.Name}:*"
    assert (statement["Action"], statement["Resource"]) == ("states:GetExecutionHistory", {"Fn::Sub": where})


def test_plan_alone_writes_packages_which_servers_run_and_nobody_else_reads_them():
    touching = {f: s for f in FUNCTIONS for s in statements(f) if "packages/" in str(s["Resource"])}
    assert set(touching) == {"PlanFunction"}
    statement = touching["PlanFunction"]
    assert (statement["Action"], statement["Resource"]) == (
        ["s3:PutObject", "s3:GetObject"],
        {"Fn::Sub": "${Bucket.Arn}/packages/*"},
    )


def test_what_the_local_aws_does_not_check_is_granted_to_nobody():
    granted = {action for permission in permissions() for action in permission.actions}
    unchecked = [action for action in granted if action.startswith(SERVICES_NOT_ENFORCED)]
    assert unchecked == [], "each needs a test of its own here"


def test_verify_and_revert_alone_read_blocks_of_this_stacks_snapshots_alone():
    reading = {f: s for f in FUNCTIONS for s in statements(f) if "ebs:GetSnapshotBlock" in str(s["Action"])}
    assert set(reading) == {"VerifyFunction", "RevertFunction"}
    for statement in reading.values():
        assert statement["Action"] == ["ebs:ListSnapshotBlocks", "ebs:GetSnapshotBlock"]
        assert statement["Condition"] == OURS


def test_revert_alone_makes_children_with_our_tags_and_writes_and_deletes_those_alone():
    at_all = {f for f in FUNCTIONS for s in statements(f) if re.search("ebs:(Start|Put|Complete)|ec2:Copy", str(s))}
    assert at_all == {"RevertFunction"}
    rights = {s["Sid"]: s for s in statements("RevertFunction")}
    made_here = {"Null": {"aws:ResourceTag/quiesce:built-for": "false"}}
    assert rights["CompareAndCopyOurSnapshots"]["Condition"] == OURS
    assert rights["CreateChildrenWithOurTags"]["Condition"] == {
        "StringEquals": {"aws:RequestTag/quiesce:stack": {"Ref": "AWS::StackName"}},
        "Null": {"aws:RequestTag/quiesce:built-for": "false"},
    }
    assert rights["WriteAndDeleteChildren"]["Condition"] == OURS | made_here
    assert rights["TagCheckedChildren"]["Condition"] == OURS | made_here | {
        "ForAllValues:StringEquals": {"aws:TagKeys": ["quiesce:consistency"]}
    }
    for sid, actions in {
        "CompareAndCopyOurSnapshots": ["ebs:ListChangedBlocks", "ec2:CopySnapshot"],
        "CreateChildrenWithOurTags": ["ebs:StartSnapshot", "ec2:CopySnapshot", "ec2:CreateTags"],
        "WriteAndDeleteChildren": ["ebs:PutSnapshotBlock", "ebs:CompleteSnapshot", "ec2:DeleteSnapshot"],
    }.items():
        assert rights[sid]["Action"] == actions
        assert rights[sid]["Resource"] == {"Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}::snapshot/*"}


def test_revert_encrypts_through_ebs_alone_and_lends_keys_to_it_alone():
    rights = {s["Sid"]: s for s in statements("RevertFunction")}
    through_ebs = {"kms:ViaService": {"Fn::Sub": "ec2.${AWS::Region}.${AWS::URLSuffix}"}}
    encrypting, lending = rights["EncryptThroughEbs"], rights["LendKeysToEbs"]
    assert [s["Resource"] for s in (encrypting, lending)] == [{"Fn::Sub": ANY_ACCOUNTS_KEYS}] * 2
    assert (encrypting["Condition"], lending["Action"]) == ({"StringEquals": through_ebs}, "kms:CreateGrant")
    assert lending["Condition"] == {"StringEquals": through_ebs, "Bool": {"kms:GrantIsForAWSResource": "true"}}


@pytest.mark.parametrize("function", ["VerifyFunction", "RevertFunction"])
def test_who_reads_blocks_decrypts_only_what_ebs_asks_for_of_a_volume_or_snapshot(function):
    [statement] = [s for s in statements(function) if s["Sid"] == "DecryptBlocksThroughEbs"]
    assert (statement["Action"], statement["Resource"]) == ("kms:Decrypt", {"Fn::Sub": ANY_ACCOUNTS_KEYS})
    assert statement["Condition"] == {
        "StringEquals": {"kms:ViaService": {"Fn::Sub": "ec2.${AWS::Region}.${AWS::URLSuffix}"}},
        "StringLike": {"kms:EncryptionContext:aws:ebs:id": ["vol-*", "snap-*"]},
    }


def test_a_recovery_uses_keys_through_ec2_alone_and_lends_them_to_it_alone():
    """EBS user guide, "Requirements for Amazon EBS encryption": these, in the caller's name."""
    using, lending = [s for s in statements("RecoverFunction") if "kms:" in str(s["Action"])]
    through_ec2 = {"kms:ViaService": {"Fn::Sub": "ec2.${AWS::Region}.${AWS::URLSuffix}"}}
    assert [s["Resource"] for s in (using, lending)] == [{"Fn::Sub": ANY_ACCOUNTS_KEYS}] * 2
    assert (using["Condition"], lending["Action"]) == ({"StringEquals": through_ec2}, "kms:CreateGrant")
    assert lending["Condition"] == {"StringEquals": through_ec2, "Bool": {"kms:GrantIsForAWSResource": "true"}}
    assert {*using["Action"], lending["Action"]} == keys.ACTIONS - {"kms:GenerateDataKey"}


def test_nothing_but_verify_builds_recoveries_and_the_archive_uses_keys_of_servers():
    for function in set(FUNCTIONS) - {"VerifyFunction", "RevertFunction", "RecoverFunction", "RetentionFunction"}:
        assert not any("key/*" in str(s["Resource"]) for s in statements(function)), function


def functions_of(machine):
    """The functions that a machine may call, and those whose ARNs its definition is given."""
    properties = template()["Resources"][machine]["Properties"]
    invoking = [policy["LambdaInvokePolicy"] for policy in properties["Policies"] if "LambdaInvokePolicy" in policy]
    called = {policy["FunctionName"]["Ref"] for policy in invoking}
    arns = [value["Fn::GetAtt"] for value in properties["DefinitionSubstitutions"].values() if "Fn::GetAtt" in value]
    return called, {arn.removesuffix(".Arn") for arn in arns}


def test_the_machine_may_call_its_functions_and_nothing_else():
    # An event starts the first, other machines the others.
    others = {"SweepFunction", "RecoverFunction", "RevertFunction", "ResolveFunction", "SummarizeFunction"}
    steps = (
        set(FUNCTIONS)
        - others
        - {"ScheduleFunction", "RetentionFunction", "PageFunction", "PostureFunction", "DoctorFunction", "MendFunction"}
    )
    assert functions_of("BackupMachine") == (steps, steps)


@pytest.mark.parametrize(
    ("name", "functions"),
    [
        ("Recover", {"RecoverFunction", "RevertFunction"}),
        ("Revert", {"RevertFunction"}),
        ("Retention", {"RetentionFunction"}),
        ("Doctor", {"DoctorFunction", "MendFunction"}),
        ("Policy", {"ResolveFunction", "SummarizeFunction"}),
    ],
)
def test_another_machine_may_call_its_functions_and_nothing_else(name, functions):
    """A recovery has what can be built looked at by the function that builds."""
    assert functions_of(f"{name}Machine") == (functions, functions)


def test_machines_may_start_the_machine_that_builds_and_no_other():
    statements = MANAGED["MayRevert"]["Properties"]["PolicyDocument"]["Statement"]
    [starting] = [s for s in statements if "states:StartExecution" in listed(s["Action"])]
    assert (starting["Action"], starting["Resource"]) == ("states:StartExecution", {"Ref": "RevertMachine"})
    machines = resources("AWS::Serverless::StateMachine")
    having = {name for name, each in machines.items() if {"Ref": "MayRevert"} in each["Properties"]["Policies"]}
    assert having == {"BackupMachine", "RecoverMachine"}


def test_a_policy_starts_backups_retention_and_children_of_its_own_map_and_no_other_machine():
    machine = resources("AWS::Serverless::StateMachine")["PolicyMachine"]["Properties"]
    own = [s for policy in machine["Policies"] for s in policy.get("Statement", [])]
    maps = resources("AWS::IAM::ManagedPolicy")["MayRunMaps"]["Properties"]
    statements = [*own, *maps["PolicyDocument"]["Statement"]]
    starting = [s["Resource"] for s in statements if "states:StartExecution" in listed(s["Action"])]
    assert starting == [{"Ref": "BackupMachine"}, {"Ref": "RetentionMachine"}, {"Ref": "PolicyMachine"}]
    assert maps["Roles"] == [{"Ref": "PolicyMachineRole"}]
    following = [str(s["Resource"]) for s in statements if "states:StopExecution" in listed(s["Action"])]
    assert [":execution:${BackupMachine.Name}:*" in following[0], ":execution:${PolicyMachine.Name}/*" in following[1]]
    [reading] = [s for s in statements if "s3:GetObject" in listed(s["Action"])]
    assert reading["Resource"] == {"Fn::Sub": "${Bucket.Arn}/policy-runs/*"}


@pytest.mark.parametrize(("name", "folder"), [("Retention", "retention"), ("Doctor", "doctor/lists")])
def test_retention_and_doctor_start_children_of_their_own_map_and_no_other_machine(name, folder):
    machine = resources("AWS::Serverless::StateMachine")[f"{name}Machine"]["Properties"]
    [own] = [s for policy in machine["Policies"] for s in policy.get("Statement", [])]
    assert (own["Action"], own["Resource"]) == ("s3:GetObject", {"Fn::Sub": f"${{Bucket.Arn}}/{folder}/*"})
    maps = resources("AWS::IAM::ManagedPolicy")[f"MayRun{name}Map"]["Properties"]
    assert maps["Roles"] == [{"Ref": f"{name}MachineRole"}]
    [starting, following] = maps["PolicyDocument"]["Statement"]
    assert starting["Resource"] == {"Ref": f"{name}Machine"}
    assert f":execution:${{{name}Machine.Name}}/*" in str(following["Resource"])


def test_the_doctor_may_ask_servers_by_the_document_that_only_looks_and_change_nothing_of_them():
    granted = {action for s in statements("DoctorFunction") for action in listed(s["Action"])}
    assert {action for action in granted if action.startswith(("ec2:", "ssm:"))} == {
        "ec2:DescribeInstances",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcEndpoints",
        "ssm:DescribeDocument",
        "ssm:DescribeInstanceInformation",
        "ssm:GetCommandInvocation",
        "ssm:SendCommand",
    }
    [sending] = [s for s in statements("DoctorFunction") if "ssm:SendCommand" in listed(s["Action"])]
    documents = [str(each) for each in listed(sending["Resource"]) if ":document/" in str(each)]
    assert len(documents) == 1
    assert "LookDocument" in documents[0]


def test_every_arn_goes_by_the_partition():
    for arn in re.findall(r"(?<!\^)arn:[^\s\"']+", TEXT):
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
        actions = {action for s in statements(function) for action in listed(s["Action"])} - {"iam:PassRole"}
        # No calls of ours: EC2 checks PassRole at RunInstances, EBS calls Decrypt.
        granted = {action.partition(":")[0] for action in actions} - {"kms"}
        assert granted == clients, function
