"""What people may do who attach the stack's policies to their users and roles."""

import re

import pytest

from tests.support.project import resources, template
from tests.template.permissions import listed
from tests.template.test_permissions import PEOPLE, WITHOUT_RESOURCES

LOOKING = re.compile(r"[a-z0-9]+:(Get|List|Describe)[A-Za-z]+")
# What a person may change: what the machines then do, they do in roles of their own.
CHANGES = {"states:StartExecution", "s3:PutObject", "s3:DeleteObject", "ec2:CreateTags", "ec2:DeleteTags"}
MACHINES = ("Backup", "Policy", "Recover", "Retention", "Doctor")


def statements(policy):
    return resources("AWS::IAM::ManagedPolicy")[policy]["Properties"]["PolicyDocument"]["Statement"]


def test_a_reader_changes_nothing_and_reads_no_blocks_of_disks():
    actions = {action for statement in statements("ReaderPolicy") for action in listed(statement["Action"])}
    assert all(map(LOOKING.fullmatch, actions))
    assert not {action for action in actions if action.startswith(("ebs:", "kms:", "ssm:Send"))}


def test_an_operator_starts_the_machines_and_puts_policies_and_changes_nothing_else():
    actions = {action for statement in statements("OperatorPolicy") for action in listed(statement["Action"])}
    assert actions == CHANGES
    [starting] = [s for s in statements("OperatorPolicy") if s["Action"] == "states:StartExecution"]
    assert starting["Resource"] == [{"Ref": f"{name}Machine"} for name in MACHINES]
    [putting] = [s for s in statements("OperatorPolicy") if "s3:PutObject" in s["Action"]]
    assert putting["Resource"] == {"Fn::Sub": "${Bucket.Arn}/policies/*"}


def test_an_operator_changes_two_tags_alone_and_never_takes_off_all_tags():
    holding, allowing = [s for s in statements("OperatorPolicy") if "ec2:DeleteTags" in s["Action"]]
    assert holding["Condition"] == {
        "StringEquals": {"aws:ResourceTag/quiesce:stack": {"Ref": "AWS::StackName"}},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["quiesce:hold"]},
        "Null": {"aws:TagKeys": "false"},
    }
    assert allowing["Condition"] == {
        "ForAllValues:StringEquals": {"aws:TagKeys": ["quiesce:may-be-changed"]},
        "Null": {"aws:TagKeys": "false"},
    }
    assert ":instance/*" in allowing["Resource"]["Fn::Sub"]


@pytest.mark.parametrize("policy", PEOPLE)
def test_everything_is_allowed_only_where_aws_knows_no_resources(policy):
    for statement in statements(policy):
        assert statement["Effect"] == "Allow"
        everything = "*" in listed(statement["Resource"])
        assert everything == (set(listed(statement["Action"])) <= WITHOUT_RESOURCES), statement["Sid"]


def test_both_are_outputs_and_no_function_has_them():
    outputs = template()["Outputs"]
    assert outputs["ReaderPolicyArn"]["Value"] == {"Ref": "ReaderPolicy"}
    assert outputs["OperatorPolicyArn"]["Value"] == {"Ref": "OperatorPolicy"}
    having = [*resources("AWS::Serverless::Function").values(), *resources("AWS::Serverless::StateMachine").values()]
    assert not [each for each in having if {*PEOPLE} & {p.get("Ref") for p in each["Properties"]["Policies"]}]
