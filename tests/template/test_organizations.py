"""What an organization may ask of the stack: a boundary, a key and a network of its own, on everything that has one."""

import json
import os
import re
from functools import cache
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from moto.iam.aws_managed_policies import aws_managed_policies_data
from samtranslator.translator.transform import transform

from tests.support.environment import REGION
from tests.support.project import ROOT, resources, step_of, template

FUNCTIONS = sorted(resources("AWS::Serverless::Function"))
NONE = {"Ref": "AWS::NoValue"}
KEY = {"Fn::If": ["HasKey", {"Ref": "EncryptionKey"}, NONE]}
PAGE = (ROOT / "docs/operate/organizations.md").read_text()
# The services that an interface endpoint names otherwise than boto3 does, and those that have a gateway endpoint.
ENDPOINTS = {"stepfunctions": "states"}


@cache
def transformed():
    """The stack as CloudFormation makes it, with the roles that SAM generates."""
    whole = json.loads(json.dumps(template()))
    for resource in whole["Resources"].values():
        for name in {"CodeUri", "ContentUri", "DefinitionUri"} & resource.get("Properties", {}).keys():
            resource["Properties"][name] = "s3://bucket/key"  # as `sam package` leaves it
    with patch.dict(os.environ, {"AWS_DEFAULT_REGION": REGION}):
        return transform(whole, {}, SimpleNamespace(load=dict))["Resources"]


def made(kind):
    return {
        name: resource.get("Properties", {}) for name, resource in transformed().items() if resource["Type"] == kind
    }


def test_every_role_has_the_boundary_those_that_sam_generates_too():
    roles = made("AWS::IAM::Role")
    machines = resources("AWS::Serverless::StateMachine")
    # Those of the schedules, of three daily looks, of the hourly and the weekly one, of the policy machine's rule, and
    # of servers.
    assert len(roles) == len(FUNCTIONS) + len(machines) + 8
    for name, role in roles.items():
        boundary = role.get("PermissionsBoundary")
        assert boundary == {"Fn::If": ["HasBoundary", {"Ref": "PermissionsBoundary"}, NONE]}, name


def test_all_that_holds_data_is_encrypted_by_the_stacks_key_if_it_has_one():
    [bucket], [table] = made("AWS::S3::Bucket").values(), made("AWS::DynamoDB::Table").values()
    [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    ours = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Ref": "EncryptionKey"}}
    assert rule["ServerSideEncryptionByDefault"] == {"Fn::If": ["HasKey", ours, {"SSEAlgorithm": "AES256"}]}
    ours = {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": {"Ref": "EncryptionKey"}}
    assert table["SSESpecification"] == {"Fn::If": ["HasKey", ours, {"SSEEnabled": True}]}
    keys = {
        **{name: topic["KmsMasterKeyId"] for name, topic in made("AWS::SNS::Topic").items()},
        **{name: queue["KmsMasterKeyId"] for name, queue in made("AWS::SQS::Queue").items()},
        **{name: group["KmsKeyId"] for name, group in made("AWS::Logs::LogGroup").items()},
        **{name: function["KmsKeyArn"] for name, function in made("AWS::Lambda::Function").items()},
    }
    assert keys == dict.fromkeys(["Topic", "MissedSchedules", "Log", *FUNCTIONS], KEY)


def test_a_queue_has_one_kind_of_encryption_and_a_topic_no_key_that_alarms_may_not_use():
    """SQS refuses both at once; SNS developer guide: CloudWatch can't publish to a topic under alias/aws/sns."""
    [queue], [topic] = made("AWS::SQS::Queue").values(), made("AWS::SNS::Topic").values()
    assert queue["SqsManagedSseEnabled"] == {"Fn::If": ["HasKey", NONE, True]}
    assert "alias/aws/sns" not in str(topic)


def test_every_function_runs_in_the_organizations_network_if_there_is_one():
    network = {"SubnetIds": {"Ref": "SubnetIds"}, "SecurityGroupIds": {"Ref": "SecurityGroupIds"}}
    for name, function in made("AWS::Lambda::Function").items():
        assert function["VpcConfig"] == {"Fn::If": ["InVpc", network, NONE]}, name
    assert "SecurityGroupIds" in str(template()["Rules"]["SubnetsHaveGroups"])


def test_two_policies_are_attached_to_the_role_of_every_function():
    of_functions = [{"Ref": f"{name}Role"} for name in FUNCTIONS]
    policies = made("AWS::IAM::ManagedPolicy")
    assert sorted(policies["OnlyLambdaMakesInterfaces"]["Roles"], key=str) == sorted(of_functions, key=str)
    # The schedules' dead-letter queue is encrypted, too, and so are the items that two machines read.
    others = ("ScheduleRole", "RetentionMachineDailyRole", "PolicyMachineRole", "RetentionMachineRole")
    others += ("DoctorMachineRole", "DoctorMachineDailyRole")
    with_key = [*of_functions, *({"Ref": name} for name in others)]
    assert sorted(policies["MayUseOurKey"]["Roles"], key=str) == sorted(with_key, key=str)
    assert {role["Ref"] for role in with_key} <= made("AWS::IAM::Role").keys()


def test_the_code_of_a_function_may_make_no_network_interface():
    """SAM attaches AWSLambdaVPCAccessExecutionRole; Lambda developer guide, VPC: deny it to calls of the code."""
    attached = [
        role["ManagedPolicyArns"] for name, role in made("AWS::IAM::Role").items() if name.endswith("FunctionRole")
    ]
    assert all("AWSLambdaVPCAccessExecutionRole" in str(arns) for arns in attached)
    [statement] = made("AWS::IAM::ManagedPolicy")["OnlyLambdaMakesInterfaces"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    [granted] = json.loads(aws_managed_policies_data)["AWSLambdaVPCAccessExecutionRole"]["Document"]["Statement"]
    changing = {action for action in granted["Action"] if re.match(r"ec2:(?!Describe)", action)}
    assert set(statement["Action"]) == changing
    assert statement["Condition"]["ArnLike"].keys() == {"lambda:SourceFunctionArn"}


def test_the_key_may_be_used_and_nothing_else_of_it():
    policy = made("AWS::IAM::ManagedPolicy")["MayUseOurKey"]["PolicyDocument"]
    [statement] = policy["Statement"]
    assert (statement["Action"], statement["Resource"]) == (
        ["kms:Decrypt", "kms:GenerateDataKey"],
        {"Ref": "EncryptionKey"},
    )
    assert resources("AWS::IAM::ManagedPolicy")["MayUseOurKey"]["Condition"] == "HasKey"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_page_names_the_endpoint_of_every_service_that_a_function_calls(function):
    source = (ROOT / "functions" / step_of(function) / "app.py").read_text()
    for service in re.findall(r'\bclient\("(\w+)"', source):
        assert f"`{ENDPOINTS.get(service, service)}`" in PAGE, service


def test_the_keys_policy_on_the_page_is_json_and_names_who_uses_the_key_beside_the_roles():
    statements, denied = map(json.loads, re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    assert (denied["Effect"], denied["Action"][0]) == ("Deny", "ssm:SendCommand")
    services = {statement["Principal"].get("Service", "the account") for statement in statements}
    assert services == {"the account", "cloudwatch.amazonaws.com", "logs.eu-central-1.amazonaws.com"}


@pytest.mark.parametrize("name", ["PermissionsBoundary", "EncryptionKey", "SubnetIds", "SecurityGroupIds"])
def test_the_page_explains_each_parameter_and_all_are_left_out_by_default(name):
    assert template()["Parameters"][name]["Default"] == ""
    assert f"`{name}`" in PAGE
