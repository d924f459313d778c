"""A stack in an organization deploys, and each role has the boundary; the local AWS keeps neither key nor network."""

from pathlib import Path

import pytest

from tests.support.deployment import deploy
from tests.support.project import resources

PROJECT = Path(__file__).parents[2]
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
KEY = "arn:aws:kms:eu-central-1:210987654321:key/11111111-1111-1111-1111-111111111111"
GIVEN = {
    "PermissionsBoundary": BOUNDARY,
    "EncryptionKey": KEY,
    "SubnetIds": "subnet-01234567,subnet-89abcdef",
    "SecurityGroupIds": "sg-01234567",
    "ServerProfile": "yes",
}


@pytest.fixture(scope="session")
def organization(running_sandbox):
    return deploy(running_sandbox, PROJECT, "organized", GIVEN)


@pytest.mark.usefixtures("organization")
def test_a_stack_deploys_with_all_of_it_and_every_role_has_the_boundary(aws):
    iam, functions = aws.client("iam"), aws.client("lambda")
    roles = [r for page in iam.get_paginator("list_roles").paginate() for r in page["Roles"]]
    ours = [iam.get_role(RoleName=r["RoleName"])["Role"] for r in roles if r["RoleName"].startswith("organized-")]
    machines = resources("AWS::Serverless::StateMachine")
    # SAM gives a role to each function, machine, daily schedule, and rule that starts a machine.
    having = [*resources("AWS::Serverless::Function").values(), *machines.values()]
    daily = [e for h in having for e in h["Properties"].get("Events", {}).values() if e["Type"] == "ScheduleV2"]
    starting = [e for m in machines.values() for e in m["Properties"].get("Events", {}).values()]
    rules = [event for event in starting if event["Type"] == "EventBridgeRule"]
    assert len(ours) == len(having) + len(daily) + len(rules) + len(resources("AWS::IAM::Role"))
    assert {role["PermissionsBoundary"]["PermissionsBoundaryArn"] for role in ours} == {BOUNDARY}
    of_stack = [f for f in functions.list_functions()["Functions"] if f["FunctionName"].startswith("organized-")]
    assert len(of_stack) == len(resources("AWS::Serverless::Function"))


def test_a_stack_without_these_parameters_has_no_boundary(aws, quiesce):
    iam = aws.client("iam")
    role = iam.get_role(RoleName=quiesce.function_name("PlanFunctionRole"))["Role"]
    assert "PermissionsBoundary" not in role
