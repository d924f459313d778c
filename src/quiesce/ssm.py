"""Systems Manager: one verb to one server and its answer. Sending a verb twice is safe: the server does it once."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quiesce.aws import code_of, repeatable
from quiesce.errors import AgentUnreachable, AnswerUnreadable, CommandRefused
from quiesce.preflight import Agent
from quiesce.session import Answer, read_answer
from quiesce.verbs import Patience

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# As SSM names them, blanks removed: the guide and the API write some of them differently.
UNDER_WAY = frozenset({"Pending", "InProgress", "Delayed", "Cancelling"})
ANSWERED = frozenset({"Success", "Failed"})
LOST = frozenset(
    [
        "DeliveryTimedOut",
        "ExecutionTimedOut",
        "TimedOut",
        "Undeliverable",
        "Terminated",
        "Cancelled",
        "InvalidPlatform",
        "AccessDenied",
        "RateExceeded",
        "Incomplete",
        "NoInstancesInTag",
    ]
)
# What SSM says of a document and parameters that do not fit together, or not into 64 KB.
MISFITS = frozenset({"InvalidDocument", "InvalidParameters", "MaxDocumentSizeExceeded"})
# SSM refuses less.
SHORTEST_DELIVERY_S = 30


@dataclass(frozen=True)
class Guest:
    """A server, the document that speaks to it, and the clock by which we wait for it."""

    client: "SSMClient"
    document: str
    instance_id: str
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def describe_agent(self) -> Agent | None:
        """Return what SSM knows of the agent, None if it knows no such server."""
        filters: Any = [{"Key": "InstanceIds", "Values": [self.instance_id]}]
        try:
            with repeatable("ssm:DescribeInstanceInformation"):
                found = self.client.describe_instance_information(Filters=filters)["InstanceInformationList"]
        except ClientError as error:
            if code_of(error) not in ("InvalidInstanceId", "InvalidInstanceInformationFilterValue"):
                raise
            found = []
        if not found:
            return None
        info = found[0]
        return Agent(
            online=info["PingStatus"] == "Online",
            version=info["AgentVersion"],
            platform=info["PlatformType"],
            windows=f"{info.get('PlatformName', '')} {info.get('PlatformVersion', '')}".strip(),
        )

    def ask(self, verb: str, parameters: Mapping[str, str], patience: Patience) -> Answer:
        """Send one verb and wait for its answer.

        Args:
            verb: of guest/document.yaml.
            parameters: of the document; all values are text.
            patience: the command is not begun on the server after ``limit_s`` either.

        Raises:
            AgentUnreachable: no answer in time; the command may still run. The state machine may ask again.
            AnswerUnreadable: an answer that is not ours; not retried.
            CommandRefused: the document does not take these parameters; not retried.
            AwsThrottled, AwsUnavailable: of SSM; retried by the state machine.
        """
        until = self.monotonic() + patience.limit_s
        command_id = self._send(verb, parameters, max(SHORTEST_DELIVERY_S, int(patience.limit_s)))
        while True:
            if answer := self._look(command_id, verb):
                return answer
            if self.monotonic() >= until:
                raise AgentUnreachable(
                    f"{self.instance_id} did not answer {verb} within {patience.limit_s:.0f} s (command {command_id})"
                )
            self.sleep(patience.look_every_s)

    def _send(self, verb: str, parameters: Mapping[str, str], delivery_s: int) -> str:
        run = parameters.get("RunId", "")
        try:
            with repeatable("ssm:SendCommand"):
                answer = self.client.send_command(
                    DocumentName=self.document,
                    InstanceIds=[self.instance_id],
                    TimeoutSeconds=delivery_s,
                    Comment=f"quiesce {verb} {run}"[:100],
                    Parameters={"Verb": [verb], **{name: [value] for name, value in parameters.items()}},
                )
        except ClientError as error:
            if code_of(error) in ("InvalidInstanceId", "UnsupportedPlatformType"):
                raise AgentUnreachable(f"SSM takes no command for {self.instance_id}: {error}") from error
            if code_of(error) in MISFITS:
                raise CommandRefused(f"SSM takes no {verb} with {self.document}: {error}") from error
            raise
        return answer["Command"]["CommandId"]

    def _look(self, command_id: str, verb: str) -> Answer | None:
        try:
            with repeatable("ssm:GetCommandInvocation"):
                found = self.client.get_command_invocation(CommandId=command_id, InstanceId=self.instance_id)
        except ClientError as error:
            if code_of(error) != "InvocationDoesNotExist":  # so it is for a moment after SendCommand
                raise
            return None
        status = found["StatusDetails"].replace(" ", "")
        if status in UNDER_WAY:
            return None
        if status in LOST:
            raise AgentUnreachable(
                f"{verb} on {self.instance_id} ended as {found['StatusDetails']} (command {command_id})"
            )
        if status not in ANSWERED:
            raise AnswerUnreadable(
                f"{verb} on {self.instance_id} has a status that nobody knows: {found['StatusDetails']}"
            )
        answer = read_answer(found["StandardOutputContent"])
        if answer.ok != (status == "Success" and found["ResponseCode"] == 0):
            raise AnswerUnreadable(
                f"{verb} on {self.instance_id} says ok = {answer.ok}, and ended as {status} {found['ResponseCode']}"
            )
        return answer
