"""The deployed stack: its outputs, and clients that ask as the person who typed the command."""

from dataclasses import dataclass
from datetime import datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Self

import boto3
import botocore.session
import botocore.utils
from botocore.config import Config
from botocore.exceptions import ClientError

from quiesce.aws import clients
from quiesce.aws.bucket import Bucket
from quiesce.aws.clients import code_of, repeatable
from quiesce_cli.chosen import Chosen
from quiesce_cli.troubles import NotReachable, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDED = ("BucketName", "BackupMachineArn", "RecoverMachineArn", "TopicArn")


@dataclass(frozen=True)
class Stack:
    """A stack of quiesce: what it is called, where it is, how CloudFormation left it, and its outputs.

    ``timezone`` and ``mail`` are its parameters; ``mail`` is empty if nobody shall get mails.
    """

    name: str
    region: str
    status: str
    outputs: "Mapping[str, str]"
    timezone: str = "UTC"
    mail: str = ""

    @classmethod
    def found(cls, chosen: Chosen) -> Self:
        """Return the chosen stack.

        Raises:
            NotReachable: there is no such stack in this Region, or it is not one of quiesce.
            Usage: no Region is chosen.
        """
        boto3.setup_default_session(
            profile_name=chosen.profile, region_name=chosen.region, botocore_session=quick_session()
        )
        # Sent once: where nothing answers, a person would rather know at once.
        cloudformation = once("cloudformation")
        region = str(cloudformation.meta.region_name)
        where = f"there is no stack '{chosen.stack}' in {region}"
        try:
            with repeatable("cloudformation:DescribeStacks"):
                [described] = cloudformation.describe_stacks(StackName=chosen.stack)["Stacks"]
        except ClientError as error:
            if code_of(error) != "ValidationError":
                raise
            raise NotReachable(where, "name it: --stack, --region and --profile; make deploy makes one") from error
        outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])}
        status = str(described["StackStatus"])
        if missing := [name for name in NEEDED if name not in outputs]:
            problem = (
                f"the stack '{chosen.stack}' in {region} ({status}) has no output {missing[0]}: it is not quiesce's"
            )
            raise NotReachable(problem, "name another one with --stack, or deploy it again if its update failed")
        given = {each["ParameterKey"]: each["ParameterValue"] for each in described.get("Parameters", [])}
        return cls(chosen.stack, region, status, outputs, given.get("Timezone", "UTC"), given.get("MailAddress", ""))

    def output(self, name: str) -> str:
        """Return an output that older stacks lack.

        Raises:
            Usage: the stack is older than this command.
        """
        if name not in self.outputs:
            raise Usage(f"the stack '{self.name}' has no output {name}", "update the stack to this release")
        return self.outputs[name]

    @property
    def machines(self) -> "Mapping[str, str]":
        """What people start and follow: the ARN of each state machine, and what an execution of it is."""
        kinds = {"BackupMachineArn": "backup", "PolicyMachineArn": "policy", "RecoverMachineArn": "recovery"}
        return {self.outputs[name]: kind for name, kind in kinds.items() if name in self.outputs}

    @cached_property
    def bucket(self) -> Bucket:
        """The stack's bucket."""
        return Bucket(client("s3"), client("s3"), self.outputs["BucketName"])


def quick_session() -> botocore.session.Session:
    """Return a session whose clients read times quickly: botocore's own way takes 2 s of CPU for 10,000 records."""
    session = botocore.session.Session()
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=moment)
    return session


def moment(value: Any) -> datetime:
    """Return a time out of an answer of AWS: ISO 8601 by Python's own reader, other forms by botocore's."""
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return botocore.utils.parse_timestamp(value)
    return found if found.tzinfo else botocore.utils.parse_timestamp(value)


@cache
def _client(service: str, config: Config, _session: Any) -> Any:
    return clients.client(service, config)


def caller() -> str:
    """Return the ARN of who typed the command: nobody is denied this question."""
    with repeatable("sts:GetCallerIdentity"):
        return str(client("sts").get_caller_identity()["Arn"])


def client(service: str) -> Any:
    """Return a client for what is safe to repeat, of the session that ``Stack.found`` has set up."""
    return _client(service, clients.SIDE_BY_SIDE, boto3.DEFAULT_SESSION)


def once(service: str) -> Any:
    """Return a client that sends each call once."""
    return _client(service, clients.ONCE, boto3.DEFAULT_SESSION)
