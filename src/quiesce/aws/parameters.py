"""Public parameters of Systems Manager: AWS names its images there."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from quiesce.aws.clients import code_of, repeatable

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient


def read_parameter(client: "SSMClient", name: str) -> str:
    """Return a parameter's value, empty if there is no such parameter."""
    try:
        with repeatable("ssm:GetParameter"):
            return client.get_parameter(Name=name)["Parameter"]["Value"]
    except ClientError as error:
        if code_of(error) not in ("ParameterNotFound", "ParameterVersionNotFound"):
            raise
        return ""
