"""AWS's own document for VSS: sent to a server once, found again after a lost answer, and waited for.

Unlike our own documents it must not be sent twice: each command makes a set of snapshots.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from quiesce.aws.clients import DENIED, THROTTLED, UNREADABLE, code_of, repeatable
from quiesce.aws.snapshots import NOT_SENT
from quiesce.aws.ssm import ANSWERED, LOST, MISFITS, UNDER_WAY, UNREACHABLE
from quiesce.clock import Clock
from quiesce.errors import (
    AccessDenied,
    AgentUnreachable,
    AnswerUnreadable,
    AwsThrottled,
    AwsUnavailable,
    CommandRefused,
    OutcomeUnknown,
)
from quiesce.guest.answers import MAX_QUOTED
from quiesce.vss.aws_document import NAME

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

# How often to look for a command's end and for a command: the application is held meanwhile.
LOOK_S = 1.0
# For so long SSM may not list a command that it has just taken.
LISTED_S = 10.0
# Our clock and SSM's may differ by so much.
SKEW = timedelta(minutes=1)


@dataclass(frozen=True)
class EndedCommand:
    """How a command ended on the server, and what a person reads of it: the steps' output, empty if it succeeded."""

    succeeded: bool
    words: str


@dataclass(frozen=True)
class VssDocument:
    """AWS's document on one server; ``client`` must not retry by itself."""

    client: "SSMClient"
    instance_id: str
    clock: Clock

    def send(self, parameters: Mapping[str, Sequence[str]], comment: str, *, delivery_s: int) -> str:
        """Send the document once, and return its command's id.

        Args:
            parameters: as ``vss.aws_document`` makes them.
            comment: up to 100 characters, for people.
            delivery_s: what has not begun on the server by then never begins; 30 at least.

        Raises:
            AwsThrottled, AwsUnavailable: SSM took no command; retried by the state machine.
            AccessDenied, AgentUnreachable, CommandRefused: SSM took no command; not retried.
            OutcomeUnknown: the answer was lost, can't be read or is a fault of SSM: ``find`` it.
        """
        try:
            answer = self.client.send_command(
                DocumentName=NAME,
                DocumentVersion="$DEFAULT",
                InstanceIds=[self.instance_id],
                TimeoutSeconds=delivery_s,
                Comment=comment[:100],
                Parameters={name: list(values) for name, values in parameters.items()},
            )
            return answer["Command"]["CommandId"]
        except ClientError as error:
            raise _sending_error(error) from error
        except NOT_SENT as error:
            raise AwsUnavailable(f"ssm:SendCommand was not sent: {error}") from error
        except BotoCoreError as error:
            raise OutcomeUnknown(f"{NAME} was sent and its answer lost: {error}") from error
        except UNREADABLE as error:
            words = f"{NAME} was sent and its answer can't be read ({type(error).__name__}: {error})"
            raise OutcomeUnknown(words) from error

    def find(self, tags: Sequence[str], since: datetime) -> str:
        """Return the id of the command with these tags, for which SSM may take a moment.

        Args:
            tags: the document's parameter: with stack and run it is this run's alone.
            since: in UTC, before it was sent.

        Raises:
            OutcomeUnknown: SSM lists none, or can't be asked; it may have been sent all the same.
            AccessDenied: not retried.
        """
        until, problem = self.clock.monotonic() + LISTED_S, ""
        while True:
            try:
                if found := self._listed(tags, since):
                    return found
                problem = "SSM lists no such command"
            except (AwsThrottled, AwsUnavailable) as error:
                problem = str(error)
            if self.clock.monotonic() >= until:
                raise OutcomeUnknown(f"{NAME} may have been sent to {self.instance_id}: {problem}")
            self.clock.sleep(LOOK_S)

    def await_end(self, command_id: str, limit_s: float) -> EndedCommand:
        """Wait for a command's end.

        Raises:
            OutcomeUnknown: it has no answer of the server within ``limit_s`` seconds: it may still run there.
            AnswerUnreadable: its status is none that SSM documents; not retried.
            AccessDenied: not retried.
        """
        what, until = f"{NAME} on {self.instance_id} (command {command_id})", self.clock.monotonic() + limit_s
        while True:
            why = ""
            try:
                if ended := self._look(command_id, what):
                    return ended
            except (AwsThrottled, AwsUnavailable) as error:
                why = f" ({error})"
            if self.clock.monotonic() >= until:
                raise OutcomeUnknown(f"{what} had not ended within {limit_s:.0f} s{why}")
            self.clock.sleep(LOOK_S)

    def _listed(self, tags: Sequence[str], since: datetime) -> str:
        filters: Any = [
            {"key": "DocumentName", "value": NAME},
            {"key": "InvokedAfter", "value": (since - SKEW).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
        ]
        with repeatable("ssm:ListCommands"):
            pages = self.client.get_paginator("list_commands").paginate(InstanceId=self.instance_id, Filters=filters)
            found = {each["CommandId"]: each.get("Parameters", {}) for page in pages for each in page["Commands"]}
            return next((command_id for command_id, given in found.items() if given.get("tags") == list(tags)), "")

    def _look(self, command_id: str, what: str) -> EndedCommand | None:
        """Return how a command ended, None while it may still do so; right after SendCommand SSM lists none."""
        with repeatable("ssm:ListCommandInvocations"):
            answer = self.client.list_command_invocations(
                CommandId=command_id, InstanceId=self.instance_id, Details=True
            )
            for found in answer["CommandInvocations"]:
                status = (found.get("StatusDetails") or found["Status"]).replace(" ", "")
                steps = found.get("CommandPlugins", [])
                said = " ".join(step.get("Output", "") for step in steps if step.get("Status") != "Success")
                return _ended(status, " ".join(said.split())[:MAX_QUOTED], what)
        return None


def _ended(status: str, said: str, what: str) -> EndedCommand | None:
    if status in UNDER_WAY:
        return None
    if status in LOST:
        # Its processes may go on: the agent ends the script alone (amazon-ssm-agent, executers.go).
        raise OutcomeUnknown(f"{what} ended as {status}")
    if status not in ANSWERED:
        raise AnswerUnreadable(f"{what} has an unknown status: {status}")
    if status == "Success":
        return EndedCommand(succeeded=True, words="")
    return EndedCommand(succeeded=False, words=f"{what} failed: {said or 'it says nothing'}")


def _sending_error(error: ClientError) -> Exception:
    code, status = code_of(error), error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in THROTTLED:
        return AwsThrottled(f"ssm:SendCommand: {error}")
    if code in DENIED:
        return AccessDenied(f"ssm:SendCommand: {error}")
    if code in UNREACHABLE:
        return AgentUnreachable(f"SSM refuses a command to it: {error}")
    if code not in MISFITS and status >= 500:  # noqa: PLR2004
        return OutcomeUnknown(f"{NAME} ended in a fault of SSM: {error}")
    return CommandRefused(f"SSM refuses {NAME}: {error}")
