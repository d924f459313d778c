"""The instance profile of a server is given where there is none, and only ours is taken again."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from quiesce.aws.doctor.profiles import associate, disassociate
from quiesce.errors import ChangeRefused

SERVER, OURS, THEIRS = (
    "i-0123456789abcdef0",
    "arn:aws:iam::1:instance-profile/ours",
    "arn:aws:iam::1:instance-profile/x",
)
WANTED = [
    {"Name": "instance-id", "Values": [SERVER]},
    {"Name": "state", "Values": ["associating", "associated"]},
]


@pytest.fixture
def ec2() -> Any:
    client = boto3.client("ec2", region_name="eu-central-1")
    with Stubber(client) as stub:
        yield client, stub
        stub.assert_no_pending_responses()


def has(stub: Stubber, *arns: str) -> None:
    found = [{"AssociationId": f"iip-assoc-{arn[-1]}", "IamInstanceProfile": {"Arn": arn}} for arn in arns]
    answer = {"IamInstanceProfileAssociations": found}
    stub.add_response("describe_iam_instance_profile_associations", answer, {"Filters": WANTED})


def test_a_profile_that_another_call_has_given_meanwhile_is_success(ec2: Any) -> None:
    client, stub = ec2
    has(stub)
    stub.add_client_error("associate_iam_instance_profile", "IncorrectState")
    has(stub, OURS)
    associate(client, SERVER, OURS)


@pytest.mark.parametrize("late", [False, True])
def test_a_server_with_another_profile_keeps_it(ec2: Any, late: bool) -> None:
    client, stub = ec2
    if late:
        has(stub)
        stub.add_client_error("associate_iam_instance_profile", "IncorrectState")
    has(stub, THEIRS)
    with pytest.raises(ChangeRefused, match=f"{SERVER} has {THEIRS} by now"):
        associate(client, SERVER, OURS)


def test_what_ec2_refuses_has_its_words(ec2: Any) -> None:
    client, stub = ec2
    has(stub)
    stub.add_client_error("associate_iam_instance_profile", "InvalidParameterValue", "no such profile")
    with pytest.raises(ChangeRefused, match="no such profile"):
        associate(client, SERVER, OURS)
    has(stub, OURS)
    stub.add_client_error("disassociate_iam_instance_profile", "IncorrectState", "not now")
    with pytest.raises(ChangeRefused, match="not now"):
        disassociate(client, SERVER, OURS)


def test_an_association_that_is_gone_by_now_is_success(ec2: Any) -> None:
    client, stub = ec2
    has(stub, OURS)
    stub.add_client_error("disassociate_iam_instance_profile", "InvalidAssociationID.NotFound")
    disassociate(client, SERVER, OURS)
    has(stub)
    disassociate(client, SERVER, OURS)
