"""The instance profile of a server: one where there is none, and none again.

AssociateIamInstanceProfile takes no token; a second one for the same server is refused (IncorrectState), so after an
unknown outcome the association itself tells what has happened.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable
from quiesce.errors import ChangeRefused

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

REMEDY = "look at it in EC2's console: Actions, Security, Modify IAM role"


class Association(NamedTuple):
    """An instance profile that a server has, by its ARN."""

    association_id: str
    profile: str


def associate(client: "EC2Client", instance_id: str, profile: str) -> None:
    """Give a server an instance profile where it has none; one that it has already is success.

    Raises:
        ChangeRefused: it has another one, or EC2 refuses it; not retried.
    """
    has = _association_of(client, instance_id) or _associated(client, instance_id, profile)
    if has.profile != profile:
        raise ChangeRefused("instance_id", f"{instance_id} has {has.profile} by now", REMEDY)


def _associated(client: "EC2Client", instance_id: str, profile: str) -> Association:
    """Return the association after a call for it, whoever has made it."""
    try:
        with repeatable("ec2:AssociateIamInstanceProfile"):
            made = client.associate_iam_instance_profile(IamInstanceProfile={"Arn": profile}, InstanceId=instance_id)
            return Association(made["IamInstanceProfileAssociation"]["AssociationId"], profile)
    except ClientError as error:
        has = _association_of(client, instance_id) if code_of(error) == "IncorrectState" else None
        if has is None:
            raise ChangeRefused("instance_id", f"EC2 refuses {profile}: {error}", REMEDY) from error
        return has


def disassociate(client: "EC2Client", instance_id: str, profile: str) -> None:
    """Take an instance profile from a server; one that it does not have any more is success.

    Raises:
        ChangeRefused: it has another one by now, which stays, or EC2 refuses it; not retried.
    """
    has = _association_of(client, instance_id)
    if has is None:
        return
    if has.profile != profile:
        raise ChangeRefused("instance_id", f"{instance_id} has {has.profile} by now, which stays", REMEDY)
    _take(client, has)


def _take(client: "EC2Client", has: Association) -> None:
    try:
        with repeatable("ec2:DisassociateIamInstanceProfile"):
            client.disassociate_iam_instance_profile(AssociationId=has.association_id)
    except ClientError as error:
        if code_of(error) != "InvalidAssociationID.NotFound":
            raise ChangeRefused("instance_id", f"EC2 refuses to take {has.profile} away: {error}", REMEDY) from error


def _association_of(client: "EC2Client", instance_id: str) -> Association | None:
    wanted: Any = [
        {"Name": "instance-id", "Values": [instance_id]},
        {"Name": "state", "Values": ["associating", "associated"]},
    ]
    with repeatable("ec2:DescribeIamInstanceProfileAssociations"):
        found = client.describe_iam_instance_profile_associations(Filters=wanted)["IamInstanceProfileAssociations"]
        every = [Association(each["AssociationId"], each["IamInstanceProfile"]["Arn"]) for each in found]
    return next(iter(every), None)
